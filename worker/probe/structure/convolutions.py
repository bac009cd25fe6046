"""Convolutions whose windows do not fit their maps, or shift them.  From the graph, and the sizes of the sweep."""

from math import prod
from typing import Final

from worker.network.graph import Node
from worker.probe.evidence import Spot
from worker.probe.path import Path
from worker.probe.sweep import Sweep

_SAME: Final = {"SAME_UPPER", "SAME_LOWER"}


def pointlike(sweep: Sweep) -> tuple[Spot, ...]:
    """Return the convolutions with a window of several positions over a map that has one: the rest sees padding."""
    found = []
    for node in sweep.path.nodes:
        sizes = tuple(sweep.values[node.inputs[0]].shape[2:]) if node.op == "Conv" else ()
        window = tuple(sweep.values[node.inputs[1]].shape[2:]) if node.op == "Conv" and _known(sweep, node) else ()
        wide = [each for each in window if each > 1]
        if wide and sizes and prod(sizes) == 1:
            found.append(Spot(node.name, node.op, node.origin, 1 / prod(wide)))
    return tuple(found)


def lopsided(path: Path) -> tuple[Spot, ...]:
    """Return the convolutions of stride 1 that pad one position more on one side than on the other.

    A window of one axis that pads before its start alone is causal, and means to.
    """
    found = []
    for node in path.nodes:
        pads = _pads(path, node) if node.op == "Conv" else ()
        half = len(pads) // 2
        shifts = [after - before for before, after in zip(pads[:half], pads[half:], strict=True)]
        causal = half == 1 and pads[1] == 0
        if any(abs(each) == 1 for each in shifts) and not causal and _steps_of_one(node):
            found.append(Spot(node.name, node.op, node.origin, max(map(abs, shifts)) / 2))
    return tuple(found)


def _known(sweep: Sweep, node: Node) -> bool:
    return node.inputs[1] in sweep.values


def _steps_of_one(node: Node) -> bool:
    return set(_numbers(node, "strides")) <= {1}


def _pads(path: Path, node: Node) -> tuple[int, ...]:
    """Return how much is padded at the beginning of each axis, then at the end of each, that of a Pad before included.

    Where an attribute leaves it to the runtime, an even window pads one more after it, or before.
    """
    rule = node.attributes.get("auto_pad")
    if rule in _SAME:
        window = _numbers(node, "kernel_shape")
        spare = [(size - 1) % 2 for size in window]
        none = [0] * len(window)
        return tuple(none + spare if rule == "SAME_UPPER" else spare + none)
    own = _numbers(node, "pads")
    before = path.producers.get(node.inputs[0])
    if before is None or before.op != "Pad":
        return own
    held = path.graph.constants.get(before.inputs[1]) if len(before.inputs) > 1 else None
    given = _numbers(before, "pads") if held is None else tuple(int(each) for each in held.flatten().tolist())
    half = len(given) // 2
    padded = (*given[2:half], *given[half + 2 :])
    return tuple(map(sum, zip(own, padded, strict=True))) if len(own) == len(padded) else padded


def _numbers(node: Node, name: str) -> tuple[int, ...]:
    value = node.attributes.get(name, ())
    return tuple(each for each in value if isinstance(each, int)) if isinstance(value, tuple) else ()
