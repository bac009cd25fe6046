"""Whether a file that was written for batches of one size takes any: exporters fix the size unless told otherwise."""

from dataclasses import replace

import torch
from torch import Tensor

from service.contract.problem import Trouble
from worker.network.graph import Graph, Input, stream
from worker.network.run import Program

SAME = 1e-4
"""Largest relative difference between samples computed together and apart: another blocking of the same sums."""
LARGEST = 2**24
"""Most numbers of an input that is tried."""
FREED = "The file fixes the size of its batch, but computes the same for others, so the sample batch is taken as it is."
BATCH = "batch"
_SHAPE = ("Reshape", 1)
"""The operator and the input that take a shape."""


def rebatchable(graph: Graph) -> Graph:
    """Return the graph with a free first axis where its inputs' first axes all have one fixed size and need not.

    It is tried: two batches of noise run as one give what they give apart, in every output; if need be after Reshape's
    that name the size were loosened.  Otherwise, and where sizes are free already, the graph comes back as it is.
    """
    sizes = {given.shape[0] if given.shape else "" for given in graph.inputs}
    fixed = len(sizes) == 1 and isinstance(next(iter(sizes)), int)
    if not fixed or any(not _small(given) for given in graph.inputs):
        return graph
    loosened = _loosened(graph, int(next(iter(sizes))))
    chosen = next((each for each in (graph, loosened) if _splits(each)), None)
    if chosen is None:
        return graph
    free = tuple(replace(given, shape=(BATCH, *given.shape[1:])) for given in graph.inputs)
    return chosen.replace(inputs=free, notes=(*graph.notes, FREED))


def _loosened(graph: Graph, size: int) -> Graph:
    """Return the graph in which a Reshape to a fixed batch of `size` takes whatever batch there is."""
    shapes = {node.inputs[1] for node in graph.nodes if node.op == "Reshape"} & graph.constants.keys()
    shapes -= {value for node in graph.nodes for place, value in enumerate(node.inputs) if (node.op, place) != _SHAPE}
    fixed = {name: graph.constants[name] for name in shapes if graph.constants[name].reshape(-1)[:1].tolist() == [size]}
    return graph.replace(constants={**graph.constants, **{name: _free(shape) for name, shape in fixed.items()}})


def _free(shape: Tensor) -> Tensor:
    """Return a Reshape's shape with its first entry left to the input: as what remains, or else as it comes in."""
    freed = shape.clone()
    freed[0] = 0 if bool((shape == -1).any()) else -1
    return freed


def _small(given: Input) -> bool:
    sizes = [size for size in given.shape if isinstance(size, int)]
    return len(sizes) == len(given.shape) and torch.Size(sizes).numel() <= LARGEST


def _splits(graph: Graph) -> bool:
    program = Program(graph)
    first, second = ({given.name: _noise(given, seed) for given in graph.inputs} for seed in (0, 1))
    both = {name: torch.cat([first[name], second[name]]) for name in first}
    try:
        with torch.no_grad():
            whole, *parts = (program.run(inputs) for inputs in (both, first, second))
    except Trouble:
        return False
    return all(_joined(whole[name], [part[name] for part in parts]) for name in graph.outputs)


def _noise(given: Input, seed: int) -> Tensor:
    sizes = [int(size) for size in given.shape]
    generator = stream(seed, given.name)
    if given.dtype.is_floating_point:
        return torch.randn(sizes, generator=generator).to(given.dtype)
    return torch.randint(0, given.classes or 2, sizes, generator=generator).to(given.dtype)


def _joined(whole: Tensor, parts: list[Tensor]) -> bool:
    if not whole.dim() or any(part.shape[1:] != whole.shape[1:] for part in parts):
        return False
    apart = torch.cat(parts)
    if apart.shape != whole.shape:
        return False
    scale = apart.abs().max() if apart.numel() else 0
    return bool(torch.allclose(whole.double(), apart.double(), 0, SAME * float(scale), equal_nan=True))
