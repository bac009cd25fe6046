"""Whether two graphs are the same network under other names, and which part of one is which of the other."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor

from worker.network.graph import Attribute, Graph, Node, Parameter
from worker.patch.normal import normal
from worker.patch.same_law import same_law

_TOLERANCE: Final = 1e-5


@dataclass(frozen=True)
class Likeness:
    """The second graph's names by the first's."""

    nodes: Mapping[str, str]
    parameters: Mapping[str, str]


def alike(first: Graph, second: Graph) -> Likeness | None:
    """Return how two graphs correspond; None unless they are the same network.

    The same are the operators with their attributes and wiring, as far as an output depends on them; the parameters'
    shapes and laws; and the constants.  Names may differ, and forms that compute the same (see `normal`).
    """
    if [given.name for given in first.inputs] != [given.name for given in second.inputs]:
        return None
    if len(first.outputs) != len(second.outputs):
        return None
    return _Comparison(normal(first), normal(second)).made()


@dataclass
class _Comparison:
    """Two graphs walked side by side, from their outputs back."""

    first: Graph
    second: Graph
    forth: dict[str, str] = field(default_factory=dict)
    back: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)
    captured: list[tuple[str, str]] | None = None
    """Of a body: the values that it reads from the graph around it."""

    def made(self) -> Likeness | None:
        """Return the correspondence; None at the first difference."""
        self._makers = self.first.producers(), self.second.producers()
        waiting = list(zip(self.first.outputs, self.second.outputs, strict=True))
        while waiting:
            one, two = waiting.pop()
            if one in self.forth or two in self.back:
                if self.forth.get(one) != two or self.back.get(two) != one:
                    return None
                continue
            self.forth[one], self.back[two] = two, one
            further = self._further(one, two)
            if further is None:
                return None
            waiting.extend(further)
        return Likeness(self.nodes, {name: self.forth[name] for name in self.first.parameters if name in self.forth})

    def _further(self, one: str, two: str) -> list[tuple[str, str]] | None:
        """Return what must be the same for these two values to be; None where they differ."""
        left, right = self._makers[0].get(one), self._makers[1].get(two)
        if left is None or right is None:
            same = left is right and self._same_start(one, two)
            return [] if same else None
        if not _same_operator(left, right) or left.outputs.index(one) != right.outputs.index(two):
            return None
        inside = _inside(left, right)
        if inside is None:
            return None
        self.nodes[left.name] = right.name
        return [*zip(left.inputs, right.inputs, strict=True), *inside]

    def _same_start(self, one: str, two: str) -> bool:
        """Whether two values that no node writes are the same."""
        left, right = self.first.parameters.get(one), self.second.parameters.get(two)
        if left is not None or right is not None:
            return left is not None and right is not None and _same_parameter(left, right)
        fixed, other = self.first.constants.get(one), self.second.constants.get(two)
        if fixed is not None or other is not None:
            return fixed is not None and other is not None and _same_tensor(fixed, other)
        if self.captured is None:
            return one == two
        self.captured.append((one, two))
        return True


def _inside(left: Node, right: Node) -> list[tuple[str, str]] | None:
    """Return what the bodies of two nodes read from around them; None where the bodies differ."""
    captured: list[tuple[str, str]] = []
    for name, one in left.attributes.items():
        two = right.attributes[name]
        if not isinstance(one, Graph) or not isinstance(two, Graph):
            continue
        if (len(one.inputs), len(one.outputs)) != (len(two.inputs), len(two.outputs)):
            return None
        forth = {here.name: there.name for here, there in zip(one.inputs, two.inputs, strict=True)}
        back = {there: here for here, there in forth.items()}
        if _Comparison(normal(one), normal(two), forth, back, captured=captured).made() is None:
            return None
    return captured


def _same_operator(left: Node, right: Node) -> bool:
    if (left.op, left.domain, len(left.inputs)) != (right.op, right.domain, len(right.inputs)):
        return False
    names = left.attributes.keys()
    return names == right.attributes.keys() and all(
        _same_attribute(left.attributes[name], right.attributes[name]) for name in names
    )


def _same_attribute(left: Attribute, right: Attribute) -> bool:
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        return _same_tensor(left, right)
    if isinstance(left, Graph) or isinstance(right, Graph):
        return isinstance(left, Graph) and isinstance(right, Graph)  # the bodies are compared node by node
    if isinstance(left, float) or isinstance(right, float):
        return isinstance(left, int | float) and isinstance(right, int | float) and _close(left, right)
    return bool(left == right)


def _same_parameter(left: Parameter, right: Parameter) -> bool:
    if (left.value.shape, left.trainable, left.penalty) != (right.value.shape, right.trainable, right.penalty):
        return False
    if left.law is None or right.law is None:
        return left.law is right.law and _same_tensor(left.value, right.value)
    return same_law(left.law, right.law)


def _same_tensor(left: Tensor, right: Tensor) -> bool:
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    if not left.is_floating_point():
        return torch.equal(left.cpu(), right.cpu())
    return torch.allclose(left.cpu(), right.cpu(), rtol=_TOLERANCE, atol=0, equal_nan=True)


def _close(left: float, right: float) -> bool:
    return abs(left - right) <= _TOLERANCE * max(abs(left), abs(right))
