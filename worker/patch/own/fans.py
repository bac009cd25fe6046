"""The fans by which the project's own format scales the laws of weights."""

from collections.abc import Iterator
from functools import lru_cache

from worker.network.graph import Graph, Node
from worker.network.laws import Fans, fans
from worker.network.layers import KERNELS
from worker.patch.survey import Survey

_RECURRENT = frozenset({"LSTM", "GRU", "RNN"})


@lru_cache(maxsize=1)
def fans_of(survey: Survey) -> dict[str, Fans]:
    """Return the fans of each kernel, and of each bias beside one."""
    graph = survey.after
    found = dict(_kernels(graph))
    beside = {
        name: found.get(f"{name.removesuffix('bias')}kernel") for name in graph.parameters if name.endswith("bias")
    }
    return found | {name: fan for name, fan in beside.items() if fan is not None}


def _kernels(graph: Graph) -> Iterator[tuple[str, Fans]]:
    for node in graph.nodes:
        if node.op not in KERNELS | _RECURRENT:
            continue
        for name in node.inputs[1 : 3 if node.op in _RECURRENT else 2]:
            if name in graph.parameters:
                yield name, _fans(tuple(graph.parameters[name].value.shape), node)


def _fans(shape: tuple[int, ...], node: Node) -> Fans:
    if node.op in _RECURRENT:
        units = node.attributes["hidden_size"]
        return Fans(shape[-1], units if isinstance(units, int) else 1)
    return fans(shape, node.op, transposed=bool(node.attributes.get("transB", 0))) if shape else Fans(1, 1)
