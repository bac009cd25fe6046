"""Where the lowering of a layer puts its nodes and weights, under names that the caller knows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import torch
from torch import Tensor

from service.contract.problem import Invalid
from worker.network.compound import shape_of
from worker.network.graph import Attribute, Graph, Input, Law, Node, Parameter, Penalty, stream


@dataclass
class Parts:
    """What has been put down so far."""

    seed: int | None
    """What weights are drawn by; None where they are not, and have shapes alone (torch's meta device)."""
    nodes: list[Node] = field(default_factory=list)
    parameters: dict[str, Parameter] = field(default_factory=dict)
    constants: dict[str, Tensor] = field(default_factory=dict)
    values: set[str] = field(default_factory=set)

    def take(self, values: Sequence[str], at: str) -> None:
        """Note the names of values; Invalid, pointing at `at`, where one is another's."""
        for value in values:
            if value and value in self.values:
                detail = f"Two parts of the network would be named {value!r:.200}; give the layer another name."
                raise Invalid(detail, pointer=at)
            self.values.add(value)

    def graph(self, inputs: Sequence[Input], outputs: Mapping[str, str], notes: Sequence[str] = ()) -> Graph:
        """Return all of it as a graph, which gives these values under the names before them."""
        nodes = list(self.nodes)
        names: dict[str, str] = {}
        taken = {each.name for each in inputs}
        self.take(tuple(taken), "")
        for name, value in outputs.items():
            if value in names or value in taken:  # given twice, or passed through
                nodes.append(Node("Identity", (value,), (name,), f"{name}.given"))
            else:
                names[value] = name
        versions = {"": 23 if any(node.op == "RMSNormalization" for node in nodes) else 22}
        return Graph(
            nodes=tuple(_renamed(node, names) for node in nodes),
            inputs=tuple(inputs),
            outputs=tuple(outputs),
            parameters=self.parameters,
            constants=self.constants,
            opsets=versions,
            notes=tuple(notes),
        )


def _renamed(node: Node, names: Mapping[str, str]) -> Node:
    """Return the node with values under other names."""

    def swap(values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(names.get(each, each) for each in values)

    return replace(node, inputs=swap(node.inputs), outputs=swap(node.outputs))


@dataclass(frozen=True)
class Builder:
    """Puts down the parts of one layer.

    A layer's node is named as the layer, `fc1` or `layers/3`; its other nodes, its weights and its constants have a
    role behind a dot, `fc1.kernel`; a node's value is named `<node>.out`.
    """

    parts: Parts
    path: str = ""
    """The layer's name, behind those of the layers it stands in."""
    place: str = ""
    """Where the layer stands in the file, such as `layers/3`."""
    repetition: str = ""
    """Which time this is, within repetitions, such as `, 2 of 10`."""
    origin: str | None = None
    weights: str | None = None
    """Whose weights and their names are used, where they are shared; the layer's own otherwise."""
    frozen: bool = False
    """Whether training leaves the weights alone."""
    settled: bool = False
    """Whether the layer is in evaluation while the network trains."""

    @property
    def pointer(self) -> str:
        """The layer's JSON pointer."""
        return f"/{self.place}" if self.place else ""

    def node(self, op: str, *inputs: str, role: str = "", domain: str = "", **attributes: Attribute) -> str:
        """Put down an operator with one output; return that value's name."""
        return self.nodes(op, *inputs, role=role, outputs=("out",), domain=domain, **attributes)[0]

    def nodes(
        self,
        op: str,
        *inputs: str,
        role: str = "",
        outputs: tuple[str, ...],
        domain: str = "",
        **attributes: Attribute,
    ) -> tuple[str, ...]:
        """Put down an operator with several outputs ("" where one is absent); return the values' names."""
        name = self._named(role, self.path)
        values = tuple(output and f"{name}.{output}" for output in outputs)
        self.parts.take(values, self.pointer)
        self.parts.nodes.append(Node(op, inputs, values, name, attributes, domain, self.origin))
        return values

    def parameter(self, role: str, law: Law, penalty: Penalty | None = None) -> str:
        """Draw a weight by its law, or find the one that is shared; return its name.

        Invalid, pointing at the layer's `init`, where the law cannot draw this weight.
        """
        name = self._named(role, self.path if self.weights is None else self.weights)
        if name not in self.parts.parameters:
            try:
                value = self._drawn(law, name)
            except Invalid as problem:
                raise Invalid(problem.detail, pointer=problem.pointer or f"{self.pointer}/init") from None
            self.parts.parameters[name] = Parameter(value, law, not self.frozen, self.origin, penalty)
        return name

    def _drawn(self, law: Law, name: str) -> Tensor:
        if self.parts.seed is None:
            return torch.empty(shape_of(law), device="meta")
        return law(stream(self.parts.seed, name))

    def constant(self, role: str, value: Tensor) -> str:
        """Put down a tensor that training leaves alone; return its name."""
        name = self._named(role, self.path)
        self.parts.constants[name] = value
        return name

    def inner(self, step: str, place: str = "", origin: str = "", *, owner: str | None = None) -> Self:
        """Return the builder of a layer, or of a part, inside this one; its weights are those of the layer `owner`."""
        own = self.weights if self.weights is not None or owner is None else self.path
        return replace(
            self,
            path=_below(self.path, step),
            place=place or self.place,
            origin=origin or self.origin,
            weights=None if own is None else _below(own, owner or step),
        )

    def again(self, time: int, times: int, *, shared: bool = False) -> Self:
        """Return the builder of one repetition."""
        own = self.weights if self.weights is not None or not shared else self.path
        return replace(
            self,
            path=f"{self.path}[{time}]",
            repetition=f"{self.repetition}, {time + 1} of {times}",
            weights=own if own is None or shared else f"{own}[{time}]",
        )

    def _named(self, role: str, path: str) -> str:
        return f"{path}.{role}" if role else path


def _below(path: str, step: str) -> str:
    return f"{path}/{step}" if path else step
