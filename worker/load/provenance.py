"""What torch's exporters write down, beside the graph, about the module that a file was made of."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from onnx import GraphProto, ModelProto, NodeProto, StringStringEntryProto

from worker.network.graph import Graph, Node
from worker.network.proto import legible

SIGNATURE = "pkg.torch.export.ExportedProgram.graph_signature"
"""Under this key the newer exporter lists the module's tensors and what each is."""
LISTED = re.compile(
    r"\b(PARAMETER|BUFFER|CONSTANT_TENSOR)\b(?:: \d+>, arg=TensorArgument\(name='[^']*'\),)? target='([^']*)'"
)
SCOPES = "pkg.torch.onnx.name_scopes"
CLASSES = "pkg.torch.onnx.class_hierarchy"
RULE = "pkg.onnxscript.rewriter.rule_name"
KEYS = (SIGNATURE, SCOPES, CLASSES, RULE)
"""What is read of the metadata of graphs and nodes; a file is read without the rest."""
BETWEEN = "', '"
"""Parts the names that a node's metadata lists."""
MADE_UP = re.compile(r"^(?:onnx::\w+|/.*|\d+|.*::\d+)$")
"""Names that the older exporter gives to tensors that it computed itself."""


@dataclass(frozen=True)
class Module:
    """The module that a node was written for."""

    path: str
    """Its name in the network, such as `layer1.0.conv1`; "" is the network itself."""
    kind: str
    """Its class without the package, such as `BatchNorm2d`."""
    rule: str = ""
    """The rewriting that made the node, such as `FuseBatchNormIntoConv`; "" for none."""

    @property
    def origin(self) -> str | None:
        """What its nodes are told by, such as `layer1.0.conv1 (Conv2d)`; None for the network itself, which is all."""
        return f"{self.path} ({self.kind})" if self.path else None


@dataclass(frozen=True)
class Provenance:
    """Where a file comes from; empty for files that do not say."""

    torch: bool = False
    """Whether one of torch's exporters wrote the file."""
    named: frozenset[str] = frozenset()
    """Tensors under a module's own name: parameters, and buffers where `listed` does not part them."""
    listed: frozenset[str] = frozenset()
    """Names of all parameters that the module had, whether or not the file still holds them."""
    others: frozenset[str] = frozenset()
    """Tensors that are certainly no parameters: buffers, and what the module's code wrote out as numbers."""
    modules: Mapping[str, Module] = field(default_factory=dict)
    """The module that each value was written for."""


UNKNOWN = Provenance()


def provenance(model: ModelProto) -> Provenance:
    """Return where a file comes from."""
    if model.producer_name != "pytorch":
        return UNKNOWN
    said = _said(model.graph.metadata_props)
    kinds = {found[2]: found[1] for found in LISTED.finditer(said.get(SIGNATURE, ""))}
    listed = frozenset(target for target, kind in kinds.items() if kind == "PARAMETER")
    held = {each.name for each in model.graph.initializer}
    own = listed if kinds else {name for name in held if not MADE_UP.match(name)}
    return Provenance(
        torch=True,
        named=frozenset(held & own),
        listed=listed,
        others=frozenset([*_literals(model.graph), *(kinds.keys() - listed)]),
        modules=dict(_modules(model.graph.node)),
    )


def placed(graph: Graph, known: Provenance) -> Graph:
    """Return the graph whose nodes say which module they were written for."""
    return graph.replace(nodes=tuple(_placed(node, known.modules) for node in graph.nodes)) if known.modules else graph


def _placed(node: Node, modules: Mapping[str, Module]) -> Node:
    module = next((modules[name] for name in node.outputs if name in modules), None)
    return node if module is None else replace(node, origin=module.origin)


def _literals(graph: GraphProto) -> Iterator[str]:
    """Yield what `Constant` nodes write: torch's exporters hold parameters as initialisers, and numbers so."""
    for node in graph.node:
        if node.op_type in {"Constant", "ConstantOfShape"}:
            yield from node.output
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _literals(attribute.g)


def _modules(nodes: list[NodeProto]) -> Iterator[tuple[str, Module]]:
    for node in nodes:
        said = _said(node.metadata_props)
        (depth, path), (same, kind) = (_last_but_one(said.get(key, "")) for key in (SCOPES, CLASSES))
        if depth > 1 and depth == same:
            module = Module(path, kind.rpartition(".")[2], said.get(RULE, ""))
            yield from ((output, module) for output in node.output if output)


def _said(entries: Iterable[StringStringEntryProto]) -> dict[str, str]:
    return {each.key: legible(each.value) for each in entries if each.key in KEYS}


def _last_but_one(listed: str) -> tuple[int, str]:
    """Return how many names a list such as `['', 'body', 'tanh']` holds, and the last but one: the last is the node."""
    names = listed.removeprefix("['").removesuffix("']")
    return names.count(BETWEEN) + 1, ["", *names.rsplit(BETWEEN, 2)][-2]
