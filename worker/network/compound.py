"""Laws made of other laws: shifted, multiplied, laid out otherwise, stacked."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from worker.network.fans import Shape
from worker.network.graph import Law
from worker.network.streams import Stream


def shape_of(law: Law) -> Shape:
    """Return the shape of what a law draws, without drawing it."""
    if isinstance(law, Permuted):
        inner = shape_of(law.law)
        return tuple(inner[axis] for axis in law.axes)
    if isinstance(law, Shifted | Times | Reordered):
        return shape_of(law.law)
    shape: Shape = law.shape  # type: ignore[attr-defined]
    return shape


class Said:
    """Something whose text is made of its own numbers."""

    words: ClassVar[str] = "{law}"

    def __str__(self) -> str:
        """Return the words, with the numbers in them."""
        return self.words.format(**vars(self))


@dataclass(frozen=True)
class Shifted(Said):
    """What another law draws, plus a constant."""

    words: ClassVar[str] = "{law}, plus {by:.4g}"

    law: Law
    by: float

    def __call__(self, stream: Stream) -> Tensor:
        """Draw."""
        return self.law(stream) + self.by


@dataclass(frozen=True)
class Times(Said):
    """What another law draws, multiplied."""

    words: ClassVar[str] = "{law}, times {factor:.4g}"

    law: Law
    factor: float

    def __call__(self, stream: Stream) -> Tensor:
        """Draw."""
        return self.law(stream) * self.factor


@dataclass(frozen=True)
class Permuted(Said):
    """What another law draws, its axes in another order.

    Keras draws kernels as (window…, in, out), ours lie as (out, in, window…): Permuted(law, (3, 2, 0, 1)).
    """

    law: Law
    axes: tuple[int, ...]

    def __call__(self, stream: Stream) -> Tensor:
        """Draw."""
        return self.law(stream).permute(self.axes).contiguous()


@dataclass(frozen=True)
class Reshaped(Said):
    """What another law draws, in another shape of as many numbers."""

    law: Law
    shape: Shape

    def __call__(self, stream: Stream) -> Tensor:
        """Draw."""
        return self.law(stream).reshape(self.shape)


@dataclass(frozen=True)
class Reordered(Said):
    """What another law draws, its first axis cut in as many equal blocks as `order` names, put in that order.

    Keras lays an LSTM's gates as input, forget, cell, output; ONNX as input, output, forget, cell: (0, 3, 1, 2).
    """

    law: Law
    order: tuple[int, ...]

    def __call__(self, stream: Stream) -> Tensor:
        """Draw."""
        blocks = self.law(stream).chunk(len(self.order))
        return torch.cat([blocks[index] for index in self.order])


@dataclass(frozen=True)
class Stacked(Said):
    """What several laws draw, one behind the other along the first axis, then in `shape`.

    Recurrent kernels are drawn gate by gate, so that each gate's matrix follows its law.
    """

    laws: tuple[Law, ...]
    shape: Shape

    def __call__(self, stream: Stream) -> Tensor:
        """Draw."""
        return torch.cat([law(stream) for law in self.laws]).reshape(self.shape)

    def __str__(self) -> str:
        """Return the laws' words, each once."""
        return "; ".join(dict.fromkeys(map(str, self.laws)))
