"""A batch where none is given: drawn from what the graph says of its inputs.

Real numbers are standard normal, tokens uniform.  A free first axis gets 64 samples, 32 where a sample has more than
10,000 numbers, 16 beyond 100,000; other free axes get 16, an image's 64.
"""

from collections.abc import Iterator
from math import prod

import torch
from torch import Tensor

from service.contract.problem import BatchMismatch
from worker.network.graph import Graph, Input, torch_stream
from worker.subject import Batch

SAMPLES = ((100_000, 16), (10_000, 32), (0, 64))
"""Samples of a batch, by the numbers that one sample has more than."""
STEPS, PIXELS = 16, 64
IMAGE = 4
MOST_NUMBERS = 2**27
TOKENS = 2


def drawn(graph: Graph, *, seed: int, size: int | None = None) -> Batch:
    """Return a synthetic batch; BatchMismatch where the graph declares inputs over the limit."""
    unknown = next((each.name for each in graph.inputs if not each.ranked), None)
    if unknown is not None:
        detail = f"The model does not say what shape its input {unknown!r} has; send a sample batch."
        raise BatchMismatch(detail)
    free = dict(_inner(graph))
    largest = max((prod(_shape(each, free, 1)) for each in graph.inputs), default=1)
    samples = size or next((count for limit, count in SAMPLES if largest > limit), 1)
    shapes = {each.name: _shape(each, free, samples) for each in graph.inputs}
    for name, shape in shapes.items():
        if prod(shape) > MOST_NUMBERS:
            detail = f"{name!r} takes {prod(shape)} numbers (shape {list(shape)}); {MOST_NUMBERS} are drawn at most."
            raise BatchMismatch(detail)
    if (numbers := sum(map(prod, shapes.values()))) > MOST_NUMBERS:
        detail = f"The inputs take {numbers} numbers together; {MOST_NUMBERS} are drawn at most."
        raise BatchMismatch(detail)
    inputs = {each.name: _values(each, shapes[each.name], seed) for each in graph.inputs}
    return Batch(inputs, synthetic=True, notes=tuple(_notes(graph, free)))


def _inner(graph: Graph) -> Iterator[tuple[str, int]]:
    """Yield the sizes of free axes that do not count samples: those that stand behind the first somewhere.

    The first input's first axis counts samples wherever its name stands.
    """
    shapes = [each.shape for each in graph.inputs if each.shape]
    samples = shapes[0][0] if shapes else "?"
    for each in graph.inputs:
        for size in each.shape[1:]:
            if isinstance(size, str) and (size == "?" or size != samples):
                yield _key(size, each), PIXELS if len(each.shape) == IMAGE else STEPS


def _key(size: str, given: Input) -> str:
    """Return what a free axis is remembered by: its name, or, without one, its input."""
    return size if size != "?" else f"{given.name}:?"


def _shape(given: Input, free: dict[str, int], samples: int) -> tuple[int, ...]:
    known = {"?": samples, **free}
    first = tuple(known.get(size, samples) if isinstance(size, str) else size for size in given.shape[:1])
    rest = (known.get(_key(size, given), samples) if isinstance(size, str) else size for size in given.shape[1:])
    return (*first, *rest)


def _values(given: Input, shape: tuple[int, ...], seed: int) -> Tensor:
    generator = torch_stream(seed, f"batch/{given.name}")
    if given.dtype.is_floating_point:
        return torch.randn(shape, generator=generator).to(given.dtype)
    if given.dtype == torch.bool or _mask(given):
        return torch.ones(shape, dtype=given.dtype)
    return torch.randint(given.classes or TOKENS, shape, generator=generator).to(given.dtype)


def _mask(given: Input) -> bool:
    return given.classes is None and "mask" in given.name.lower()


def _notes(graph: Graph, free: dict[str, int]) -> Iterator[str]:
    yield "The batch is drawn, not given: real numbers from the standard normal law, tokens uniformly."
    for name, size in free.items():
        yield f"The free axis {name} got the size {size}."
    for each in graph.inputs:
        if each.dtype == torch.bool or (not each.dtype.is_floating_point and _mask(each)):
            yield f"{each.name} was taken for a mask and filled with ones."
        elif not each.dtype.is_floating_point and each.classes is None:
            yield f"How many tokens {each.name} knows is not to be seen; 0 and 1 were drawn."
