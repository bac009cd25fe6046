"""What was inserted behind a value, as one operator behind the other."""

from worker.network.graph import Graph, Node
from worker.patch.difference import Inserted
from worker.patch.folding import live
from worker.patch.normal import normal
from worker.patch.places import NoWay

_LAYOUT = frozenset({"Transpose", "Unsqueeze", "Squeeze"})


def chain(graph: Graph, inserted: Inserted) -> list[Node]:
    """Return inserted nodes in their normal form, without what only turns axes; NoWay where they are no chain."""
    alone = normal(graph.replace(nodes=inserted.nodes, outputs=(inserted.nodes[-1].outputs[0],)))
    alive, value, found = live(alone), inserted.behind, []
    for node in alone.nodes:
        if node.name not in alive:
            continue
        if node.inputs[0] != value:
            message = f"What stands behind {inserted.behind} is no chain of layers: {_listed(inserted)}."
            raise NoWay(message)
        value = node.outputs[0]
        found += [node] * (node.op not in _LAYOUT)
    return found


def number(graph: Graph, node: Node, place: int) -> float:
    """Return a constant number that a node reads; NoWay where it reads none there."""
    constant = graph.constants.get(node.inputs[place]) if len(node.inputs) > place else None
    if constant is None or constant.numel() != 1:
        message = f"No layer of the file's format is a {node.op} without all of its numbers."
        raise NoWay(message)
    return float(f"{float(constant):.7g}")


def _listed(inserted: Inserted) -> str:
    return ", ".join(node.op for node in inserted.nodes)
