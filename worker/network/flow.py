"""How far a gradient comes back, told from the graph alone: which operators let it pass, and where it ends.

A value *moves* with another where changing that changes it; it is *reached* where, moreover, every operator between
lets a gradient pass.  An operator that reads a reached value and writes a moved one that is not cuts the gradient.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final, TypeAlias

from onnx import defs

from worker.network.dtypes import DIFFERENTIABLE, dtype
from worker.network.graph import Graph, Node, names, reads
from worker.network.ops import find
from worker.network.straight import straight

VALUELESS: Final = frozenset(
    {"Shape", "Size", "ConstantOfShape", "EyeLike", "RandomNormalLike", "RandomUniformLike", "SequenceLength"}
)
"""Operators whose output does not depend on their input's values."""
WITH_BODIES: Final = frozenset({"If", "Loop", "Scan", "SequenceMap"})
"""Operators that give what their bodies give; the body of another changes only how it computes."""
CHOOSERS: Final = {"If": 1, "Loop": 2}
"""How many first inputs say which body runs, or how often."""
_FLOATS: Final = ("(float)", "(double)", "(float16)", "(bfloat16)")

Pairs: TypeAlias = Iterable[tuple[str, str]]
Through: TypeAlias = Callable[[Node, int, int], bool]
"""Whether one comes from an output of a node back to its input at a place."""


@dataclass(frozen=True)
class Cut:
    """An operator at which a gradient ends."""

    node: str
    op: str
    origin: str | None = None
    within: str = ""
    """The node in whose body it stands."""


@dataclass
class Flow:
    """What moves with some values, and how much of it a gradient comes back from."""

    moved: set[str]
    reached: set[str]
    steps: list[tuple[Cut, frozenset[str]]] = field(default_factory=list)
    """Operators that cut, with the moved values that they write."""

    def cuts(self, graph: Graph, output: str) -> tuple[Cut, ...]:
        """Return the operators that cut on the ways to `output`, in forward order."""
        needed = _needed(graph, output)
        return tuple(dict.fromkeys(cut for cut, written in self.steps if written & needed))


def flow(graph: Graph, start: Collection[str], apart: Collection[str] = ()) -> Flow:
    """Return what moves with `start` and how far a gradient at it comes; values `apart` are known to pass none on."""
    found, known = Flow(set(start), set(start)), frozenset(apart)
    for node in straight(graph).nodes:
        _through(node, graph.opsets, found, known)
    return found


def cut_off(graph: Graph, output: str, apart: Collection[str] = ()) -> set[str]:
    """Return the values that move `output` and that no gradient comes back to from there."""
    known = frozenset(apart)
    reached = _followed(
        straight(graph), {output} - known, lambda node, place, at: passes(node, graph.opsets, place, at), known
    )
    return _needed(graph, output) - reached


def passes(node: Node, opsets: Mapping[str, int], place: int, output: int) -> bool:
    """Whether a gradient can pass a node, from an output to the input at `place`."""
    if place < CHOOSERS.get(node.op, 0) and not node.domain:
        return False
    if node.op == "Cast" and not node.domain:
        return dtype(int(node.attributes["to"])) in DIFFERENTIABLE  # type: ignore[arg-type]
    return _allowed(node.domain, node.op, opsets.get(node.domain, 0), place, output)


@cache
def _allowed(domain: str, name: str, opset: int, place: int, output: int) -> bool:
    operator = find(domain, name, opset)
    return (operator is None or operator.passes(place)) and _holds_floats(domain, name, opset, output)


def _holds_floats(domain: str, name: str, opset: int, output: int) -> bool:
    """Whether an operator's output may hold floats, as far as its specification says."""
    try:
        specified = defs.get_schema(name, opset, domain).outputs
    except defs.SchemaError:
        return True
    kinds = specified[min(output, len(specified) - 1)].types if specified else ()
    return not specified or any(word in kind for kind in kinds for word in _FLOATS)


def _bodies(node: Node) -> list[Graph]:
    return [value for value in node.attributes.values() if isinstance(value, Graph)]


def _through(node: Node, opsets: Mapping[str, int], found: Flow, apart: frozenset[str]) -> None:
    """Add what a node writes to what moves and what is reached."""
    bodies = _bodies(node) if node.op in WITH_BODIES else []
    if node.op in VALUELESS or found.moved.isdisjoint(reads(node) if bodies else node.inputs):
        return
    before = len(found.steps)
    for body in bodies:
        _inside(node, body, opsets, found, apart)
    ended = _chosen(node, found) if bodies else _across(node, opsets, found)
    ended |= found.reached & apart if len(found.steps) == before else set()
    found.reached -= apart
    if ended:
        found.steps.append((Cut(node.name or node.outputs[0], node.op, node.origin), frozenset(ended)))


def _chosen(node: Node, found: Flow) -> set[str]:
    """Let the outputs move with what chooses a body; return them where that was reached, which ends there."""
    choosers = set(names(node.inputs[: CHOOSERS.get(node.op, 0)]))
    if found.moved & choosers:
        found.moved.update(names(node.outputs))
    return set(names(node.outputs)) if found.reached & choosers else set()


def _across(node: Node, opsets: Mapping[str, int], found: Flow) -> set[str]:
    """Let the outputs of a node without bodies move; return those to which some reached input is cut off."""
    found.moved.update(names(node.outputs))
    places = [place for place, name in enumerate(node.inputs) if name in found.reached]
    edges = [(place, at) for place in places for at, name in enumerate(node.outputs) if name]
    passed = [edge for edge in edges if passes(node, opsets, *edge)]
    found.reached.update(node.outputs[at] for _, at in passed)
    return {node.outputs[at] for place, at in edges if (place, at) not in passed}


def _inside(node: Node, body: Graph, opsets: Mapping[str, int], found: Flow, apart: frozenset[str]) -> None:
    """Follow the values through the body of an If, Loop or Scan, round after round while more of them move."""
    inner, size = Flow(set(found.moved), set(found.reached)), -1
    into, around, out = _ties(node, body)
    while size != (size := len(inner.moved) + len(inner.reached)):
        inner.steps.clear()
        _carry(into, found, inner)
        for each in body.nodes:
            _through(each, opsets, inner, apart)
        _carry(around, inner, inner)
    _carry(out, inner, found)
    if node.op == "Loop" and body.outputs[0] in inner.moved:
        found.moved.update(names(node.outputs))
    for cut, written in inner.steps:
        found.steps.append((replace(cut, within=cut.within or node.name), written))


def _needed(graph: Graph, output: str) -> set[str]:
    """Return the values that move an output, those inside bodies included."""
    return _followed(graph, {output}, lambda node, _place, _at: True)  # noqa: ARG005  whatever the node


def _followed(graph: Graph, outputs: set[str], through: Through, apart: frozenset[str] = frozenset()) -> set[str]:
    """Return the values from which outputs are come to, over the inputs and outputs of nodes that lead through."""
    found = set(outputs)
    for node in reversed(graph.nodes):
        _back(node, found, through, apart)
    return found


def _back(node: Node, found: set[str], through: Through, apart: frozenset[str]) -> None:
    """Add the values that a node comes to its outputs from."""
    written = [at for at, name in enumerate(node.outputs) if name in found and name not in apart]
    if node.op in VALUELESS or not written:
        return
    bodies = _bodies(node) if node.op in WITH_BODIES else []
    for body in bodies:
        _back_inside(node, body, found, through, apart)
    places = range(CHOOSERS.get(node.op, 0) if bodies else len(node.inputs))
    found.update(
        node.inputs[place]
        for place in places
        if place < len(node.inputs) and node.inputs[place] and any(through(node, place, at) for at in written)
    )


def _back_inside(node: Node, body: Graph, found: set[str], through: Through, apart: frozenset[str]) -> None:
    """Follow the values back through a body, round after round while there are more."""
    into, around, out = _ties(node, body)
    found.update(first for first, second in out if second in found and second not in apart)
    if node.op == "Loop" and through(node, 1, 0):
        found.add(body.outputs[0])
    size = -1
    while size != (size := len(found)):
        for each in reversed(body.nodes):
            _back(each, found, through, apart)
        found.update(first for first, second in (*into, *around) if second in found)


def _carry(pairs: Pairs, source: Flow, target: Flow) -> None:
    """Let each pair's second value move, and be reached, where its first is."""
    for first, second in pairs:
        target.moved |= {second} if first in source.moved else set()
        target.reached |= {second} if first in source.reached else set()


def _ties(node: Node, body: Graph) -> tuple[list[tuple[str, str]], ...]:
    """Return which values a body takes from its node, from its own last round, and gives to its node."""
    inputs = [each.name for each in body.inputs]
    if node.op == "If":
        return [], [], list(zip(body.outputs, node.outputs, strict=False))
    if node.op == "Loop":
        results = body.outputs[1:]
        return (
            list(zip(node.inputs[2:], inputs[2:], strict=False)),
            list(zip(results, inputs[2:], strict=False)),
            list(zip(results, node.outputs, strict=False)),
        )
    given = node.inputs[len(node.inputs) - len(inputs) :]
    states = len(inputs) - int(node.attributes.get("num_scan_inputs", len(inputs)))  # type: ignore[arg-type]
    return (
        list(zip(given, inputs, strict=False)),
        list(zip(body.outputs[:states], inputs, strict=False)),
        list(zip(body.outputs, node.outputs, strict=False)),
    )
