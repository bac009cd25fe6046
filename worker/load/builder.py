"""Where the lowering of a layer puts its nodes and weights, under names that the caller knows."""

from dataclasses import dataclass, field, replace
from typing import Self

from torch import Tensor

from worker.network.graph import Attribute, Law, Node, Parameter, stream


@dataclass
class Parts:
    """What has been put down so far."""

    seed: int
    nodes: list[Node] = field(default_factory=list)
    parameters: dict[str, Parameter] = field(default_factory=dict)
    constants: dict[str, Tensor] = field(default_factory=dict)


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

    @property
    def pointer(self) -> str:
        """The layer's JSON pointer."""
        return f"/{self.place}" if self.place else ""

    def node(self, op: str, *inputs: str, role: str = "", **attributes: Attribute) -> str:
        """Put down an operator with one output; return that value's name."""
        return self.nodes(op, *inputs, role=role, outputs=("out",), **attributes)[0]

    def nodes(
        self, op: str, *inputs: str, role: str = "", outputs: tuple[str, ...], **attributes: Attribute
    ) -> tuple[str, ...]:
        """Put down an operator with several outputs ("" where one is absent); return the values' names."""
        name = self._named(role, self.path)
        values = tuple(output and f"{name}.{output}" for output in outputs)
        self.parts.nodes.append(Node(op, inputs, values, name, attributes, origin=self.origin))
        return values

    def parameter(self, role: str, law: Law) -> str:
        """Draw a weight by its law, or find the one that is shared; return its name."""
        name = self._named(role, self.path if self.weights is None else self.weights)
        if name not in self.parts.parameters:
            value = law(stream(self.parts.seed, name))
            self.parts.parameters[name] = Parameter(value, law, origin=self.origin)
        return name

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
