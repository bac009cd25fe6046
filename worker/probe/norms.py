"""Where norms stand: as one operator, or spelt out as a division by the root of the signal's own mean square."""

from worker.network.graph import Node
from worker.probe.path import Path
from worker.probe.places import NORMS

_ROOTS = frozenset({"Sqrt", "Pow", "Reciprocal", "ReduceL2"})


def normed(path: Path) -> frozenset[str]:
    """Return the values that norms write; those spelt out are told by what they divide by."""
    return frozenset(value for node in path.nodes if _norms(node, path) for value in node.outputs)


def _norms(node: Node, path: Path) -> bool:
    if node.op in NORMS | {"LpNormalization", "MeanVarianceNormalization"}:
        return True
    places = {"Div": node.inputs[1:], "Mul": node.inputs}.get(node.op, ())
    return any(value in path.members and _root(value, path) for value in places)


def _root(value: str, path: Path) -> bool:
    """Whether a value is the root, or the root's inverse, of a mean over features."""
    node = path.producers.get(value)
    for _ in range(4):
        if node is None or node.op not in _ROOTS | {"Add", "Clip", "Max"}:
            break
        rooted = node.op in _ROOTS
        before = next((each for each in node.inputs if each in path.members), "")
        node = path.producers.get(before)
        if rooted and node is not None and (node.op.startswith("Reduce") or _mean_behind(node, path)):
            return True
    return node is not None and node.op == "ReduceL2"


def _mean_behind(node: Node, path: Path) -> bool:
    """Whether a small number is added to a mean here."""
    before = (path.producers.get(value) for value in node.inputs if value in path.members)
    return node.op == "Add" and any(each is not None and each.op.startswith("Reduce") for each in before)
