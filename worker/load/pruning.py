"""What a model gives beside tensors of numbers is left out: labels of text, maps, and what nothing here computes.

A gradient is asked of one float output alone.  The others may hold whatever they like, and so may nodes that no output
depends on, as long as one float output remains.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from onnx import TensorProto, TypeProto

from service.contract.problem import Trouble, UnsupportedModel, UnsupportedOperator
from worker.network.dtypes import DIFFERENTIABLE, ONNX, TORCH
from worker.network.graph import Graph, Node, names, reads
from worker.network.lowbit import NARROW
from worker.network.run import Program


@dataclass
class _Search:
    """What keeps values from being computed."""

    graph: Graph
    reasons: dict[str, Trouble] = field(default_factory=dict)
    known: dict[object, bool] = field(default_factory=dict)
    """Whether nodes of some operator, version and attributes are computed."""

    def look(self) -> None:
        """Find out, for every value that is not computed, why."""
        for given in self.graph.inputs:
            kind = TensorProto.DataType.Name(ONNX[given.dtype]) if given.form == "tensor" else given.form
            if given.form != "tensor" or given.dtype in NARROW:
                msg = f"The model's input {given.name!r} is no tensor of numbers that a batch holds ({kind})."
                self.reasons[given.name] = UnsupportedModel(msg)
        for node in self.graph.nodes:
            why = self._refusal(node) or next(
                (self.reasons[name] for name in reads(node) if name in self.reasons), None
            )
            if why is not None:
                self.reasons |= dict.fromkeys(names(node.outputs), why)

    def _refusal(self, node: Node) -> Trouble | None:
        kind = (node.domain, node.op, *node.attributes)
        whole = not any(isinstance(value, Graph) for value in node.attributes.values())
        if whole and self.known.get(kind):
            return None
        alone = Graph(nodes=(node,), inputs=(), outputs=(), parameters={}, opsets=self.graph.opsets)
        try:
            Program(alone)
        except (UnsupportedOperator, UnsupportedModel) as trouble:
            return trouble
        self.known[kind] = whole
        return None


def pruned(graph: Graph, types: Mapping[str, TypeProto]) -> Graph:
    """Return the graph without outputs that are not computed, or are no tensors of numbers.

    `types` are what the file declares of its outputs.  A note names each that is left out.  UnsupportedOperator or
    UnsupportedModel where no float output remains.
    """
    search = _Search(graph)
    search.look()
    dropped = {name: why for name in graph.outputs if (why := _unfit(name, types) or search.reasons.get(name))}
    if not search.reasons and not dropped:
        return graph
    kept = tuple(name for name in graph.outputs if name not in dropped)
    if dropped and not any(_real(types.get(name)) for name in kept):
        raise next(iter(dropped.values()))
    nodes = _needed(graph, kept)
    notes = (f"The output {name!r} is left out. {why.detail}" for name, why in dropped.items())
    inputs = tuple(given for given in graph.inputs if given.name not in search.reasons)
    return graph.replace(nodes=nodes, inputs=inputs, outputs=kept, notes=(*graph.notes, *notes))


def _unfit(name: str, types: Mapping[str, TypeProto]) -> Trouble | None:
    """Return why an output is no tensor of numbers, as far as the file declares it."""
    kind = types[name].WhichOneof("value") if name in types else None
    if kind == "tensor_type" and types[name].tensor_type.elem_type == TensorProto.STRING:
        return UnsupportedModel(f"The model's output {name!r} holds text.")
    if kind in {None, "tensor_type"}:
        return None
    return UnsupportedModel(f"The model's output {name!r} is no tensor ({str(kind).removesuffix('_type')}).")


def _real(kind: TypeProto | None) -> bool:
    """Whether an output holds real numbers, as far as the file declares it."""
    code = kind.tensor_type.elem_type if kind is not None and kind.HasField("tensor_type") else TensorProto.UNDEFINED
    return not code or TORCH.get(code) in DIFFERENTIABLE


def _needed(graph: Graph, outputs: Iterable[str]) -> tuple[Node, ...]:
    """Return the nodes that outputs depend on."""
    wanted, found = set(outputs), []
    for node in reversed(graph.nodes):
        if not wanted.isdisjoint(node.outputs):
            wanted.update(reads(node))
            found.append(node)
    return tuple(found[::-1])
