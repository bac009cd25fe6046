"""One node on the values that another runtime has for its inputs: is it computed wrongly here?

Two right answers to one question differ where

- the operator breaks ties as it likes (the first of equal maxima), or its result is undefined (a cast of what does not
  fit): the values behind the indices are compared, what is undefined is not;
- the question is ill-conditioned: the result moves as much when the inputs move by their own rounding, or between
  float32 and float64;
- the other runtime deviates: onnx's own reference evaluator agrees with us.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import torch
from torch import Tensor

from service.contract.problem import Trouble
from worker.load.apart import Array
from worker.load.numbers import LIMIT, error, limit_of, number_of
from worker.load.reference import specified
from worker.network.export import to_onnx
from worker.network.graph import Graph, Input, Node, names, reads
from worker.network.retype import retyped
from worker.network.run import Program

ROUNDINGS: Final = 64
"""How many times the effect of rounding its inputs a node's error may be: as many roundings as a long sum adds up."""
EXACT: Final = frozenset(
    {
        "Ceil",
        "Equal",
        "Floor",
        "Greater",
        "GreaterOrEqual",
        "Less",
        "LessOrEqual",
        "Max",
        "Min",
        "Relu",
        "Round",
        "Sign",
    }
)
"""Operators that round nothing, and so have no excuse."""
QUANTIZED_STEP: Final = 1
"""Whole steps that a quantizing operator may differ by: a number in the middle of two goes either way."""


@dataclass(frozen=True)
class Step:
    """A node, or several of which only the last can be compared, with the values of its inputs."""

    graph: Graph
    values: Mapping[str, Tensor]

    @property
    def node(self) -> Node:
        """The node whose outputs are compared."""
        return self.graph.nodes[-1]

    def run(self, *, to: torch.dtype | None = None, noise: float = 0.0) -> dict[str, Array]:
        """Return the outputs, on request in another precision and of inputs moved at random by a share of each."""
        graph = self.graph if to is None else retyped(self.graph, {torch.float32}, to)
        moved = {name: _moved(value, to, noise, seed) for seed, (name, value) in enumerate(sorted(self.values.items()))}
        constants = {name: _moved(value, to, noise, seed) for seed, (name, value) in enumerate(graph.constants.items())}
        with torch.no_grad():
            outputs = Program(graph.replace(constants=constants)).run(moved)
        return {name: held for name, value in outputs.items() if (held := number_of(value)) is not None}


def step(graph: Graph, nodes: Sequence[Node], values: Mapping[str, Tensor]) -> Step:
    """Return nodes of a graph by themselves; `values` are those that they read and the graph does not hold."""
    read = {name for node in nodes for name in reads(node)}
    held = {**{name: each.value.detach().cpu() for name, each in graph.parameters.items()}, **graph.constants}
    part = graph.replace(
        nodes=tuple(nodes),
        inputs=tuple(Input(name, value.dtype, tuple(value.shape)) for name, value in values.items()),
        outputs=names(nodes[-1].outputs),
        parameters={},
        constants={name: held[name] for name in sorted(read & held.keys())},
    )
    return Step(part, values)


def _moved(value: Tensor, to: torch.dtype | None, noise: float, seed: int) -> Tensor:
    if not value.is_floating_point():
        return value
    held = value.to(to) if to is not None and value.dtype == torch.float32 else value
    if not noise:
        return held
    signs = torch.randint(2, held.shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return held * (1 + noise * signs.to(held.dtype))


def differing(given: Step, theirs: Mapping[str, Array]) -> Iterator[tuple[str, float]]:
    """Yield the outputs that another runtime has otherwise, with the error; ties and what is undefined are none."""
    ours = given.run()
    if _undefined(given):
        return
    for name, mine in ours.items():
        found = _error(given, mine, theirs[name]) if name in theirs else 0.0
        if found and found > limit_of(theirs[name]) and not _tied(given, name, theirs):
            yield name, found


def _error(given: Step, mine: Array, theirs: Array) -> float:
    found = error(mine, theirs)
    whole = theirs.dtype.itemsize == 1 and theirs.dtype.kind in "iu"
    return 0.0 if whole and "Q" in given.node.op and found <= QUANTIZED_STEP else found


def excused(given: Step, name: str, found: float, theirs: Array) -> bool:
    """Whether rounding alone may make an output differ by `found`."""
    return given.node.op not in EXACT and found <= ROUNDINGS * _conditioning(given, name, theirs)


def _conditioning(given: Step, name: str, theirs: Array) -> float:
    """Return how far the result moves when inputs are rounded, or everything is computed in float64."""
    half = theirs.dtype == np.float16
    noise = float(torch.finfo(torch.float16 if half else torch.float32).eps)
    try:
        single, double = given.run()[name], given.run(to=torch.float64)[name]
        shaken = given.run(to=torch.float64, noise=noise)[name]
    except (Trouble, RuntimeError, KeyError, TypeError, ValueError):  # an operator that knows float32 only
        single, double, shaken = given.run()[name], given.run()[name], given.run(noise=noise)[name]
    return max(error(single, double.astype(single.dtype)), error(shaken, double))


def specified_agrees(given: Step, name: str, limit_s: float) -> bool:
    """Whether onnx's own reference gives what we give."""
    fed = {key: held for key, value in given.values.items() if (held := number_of(value)) is not None}
    found = specified(to_onnx(given.graph).SerializeToString(), fed, given.graph.outputs, limit_s)
    if isinstance(found, str) or name not in found:
        return False
    return error(given.run()[name], found[name]) <= LIMIT


def _undefined(given: Step) -> bool:
    """Whether a node makes whole numbers of what is no number, or of what they cannot hold."""
    node = given.node
    held = {**given.graph.constants, **given.values}
    first, *others = (held.get(name) for name in (*node.inputs, ""))
    if first is None or not first.is_floating_point():
        return False
    if node.op == "QuantizeLinear":
        return bool(first.isnan().any()) or others[0] is None or not bool(others[0].isfinite().all())
    return node.op == "Cast" and _overflows(given, first)


def _overflows(given: Step, value: Tensor) -> bool:
    """Whether a cast to whole numbers gets numbers that they cannot hold."""
    held = given.run()[given.graph.outputs[0]]
    if held.dtype.kind not in "iu":
        return False
    bounds = np.iinfo(held.dtype.name)
    return not bool(((value > bounds.min - 1) & (value < bounds.max)).all())


def _tied(given: Step, name: str, theirs: Mapping[str, Array]) -> bool:
    check = _TIES.get(given.node.op)
    return check is not None and check(given, name, theirs)


def _extremum(given: Step, name: str, theirs: Mapping[str, Array]) -> bool:
    """Whether the places of an ArgMax or ArgMin hold equal numbers."""
    axis = int(given.node.attributes.get("axis", 0))  # type: ignore[arg-type]
    return _same_behind(given, axis, given.run()[name], theirs[name])


def _largest(given: Step, name: str, theirs: Mapping[str, Array]) -> bool:
    """Whether the places of a TopK hold equal numbers."""
    axis = int(given.node.attributes.get("axis", -1))  # type: ignore[arg-type]
    return name == given.node.outputs[-1] and _same_behind(given, axis, given.run()[name], theirs[name])


def _same_behind(given: Step, axis: int, *places: Array) -> bool:
    data = given.values.get(given.node.inputs[0])
    held = number_of(data)
    if held is None:
        return False
    whole = [each if each.ndim == held.ndim else np.expand_dims(each, axis) for each in places]
    try:
        mine, other = (np.take_along_axis(held, each.astype(np.int64), axis) for each in whole)
    except (IndexError, ValueError):
        return False
    return bool(np.array_equal(mine, other, equal_nan=True))


_TIES: Mapping[str, Callable[[Step, str, Mapping[str, Array]], bool]] = MappingProxyType(
    {"ArgMax": _extremum, "ArgMin": _extremum, "TopK": _largest}
)
