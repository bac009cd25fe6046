"""What was measured of the batch, the loss and the head, before anything propagates."""

from dataclasses import dataclass
from math import inf
from typing import Final

_INFORMED: Final = 0.9
"""Share of the best constant's loss that a random start may have by luck."""


@dataclass(frozen=True)
class LossEvidence:
    """The loss on the batch, and how the head fits it."""

    name: str
    value: float
    chance: float
    """The loss of the best constant prediction."""
    declared: bool
    """Whether the caller named the loss."""
    head: str
    """The operator that gives the output its range, such as Softmax; "" where none does."""
    head_node: str
    head_width: int
    """Numbers that the head's softmax shares its sum among; without one, the size of the output's class axis."""
    head_axis: int | None
    output_rank: int
    unreachable: float
    """Share of targets outside the range that the head can give."""
    target_constant: bool
    """Whether all targets are equal."""
    output_low: float
    output_high: float
    output_rms: float = 0.0
    scale: float = 1.0
    """What the loss is multiplied by."""
    head_low: float = -inf
    """The least that the head can give."""
    head_high: float = inf
    of_pairs: bool = False
    """Whether the head's softmax has a number for each pair of samples."""
    squashed_again: str = ""
    """The softmax or sigmoid in the model that reads what the loss reads, which one like it has made."""
    one_hot: bool = False
    """Whether the target holds, for every sample, a 1 among zeros."""
    hidden: str = ""
    """The node of the last hidden cut, before the head's weights; "" where there is none."""
    hidden_spread: float = 1.0
    """Standard deviation between samples by the root mean square, at the last hidden cut."""

    @property
    def informed(self) -> bool:
        """Whether the network knows something of the targets: more than a random start does by luck."""
        return 0 <= self.value < _INFORMED * self.chance


@dataclass(frozen=True)
class InputEvidence:
    """An input as the batch fills it, behind the arithmetic with constants that the network begins with."""

    name: str
    rms: float
    mean: float
    std: float
    nonfinite: float
    constant: float
    """Share of features that are the same in every sample."""
    zero: float = 0.0
    """Share of exact zeros."""
    active: float | None = None
    """Root mean square of the numbers that are not zero; None where there are none."""
    rescaled: bool = False
    """Whether arithmetic with constants stands between the input and what was measured."""
    normalized: str = ""
    """The norm behind the input, or behind the one weight layer that reads it: what its scale does not pass."""
    scaleless: bool = False
    """Whether the network's output stays as it is when the input is brought to unit scale."""
    by_column: bool = False
    """Whether that norm brings each column to unit scale by itself."""
    positions: bool = False
    """Whether only sines and cosines read it, as they do times and positions."""
    columns: int = 0
    """Columns of a table [batch, columns] or [batch, steps, columns]; 0 where the input is neither."""
    contrast: float = 1.0
    """Largest standard deviation of a column by the median of those that vary."""
    shape: tuple[int, ...] = ()
    channels_first: bool = False
    """Whether a convolution reads it as it stands, with the channels behind the batch."""


@dataclass(frozen=True)
class TargetEvidence:
    """The target as the batch gives it."""

    samples: int
    distinct: int
    """Samples with different inputs; as many as there are where they were not compared."""
    count: int
    """Numbers, or classes, in the target: one for each position of each sample."""
    mean: float
    std: float
    classes: int = 0
    """Classes that the output tells apart; 0 where the target holds numbers."""
    missing: int = 0
    """Classes that no target names."""
    dominant: float = 0.0
    """Share of the most frequent class, or of the more frequent of two answers."""
    contradicting: float = 0.0
    """Share of samples whose inputs come again with another target."""
    floor: float = 0.0
    """The least loss of any function of the inputs by the least of a constant, as repeated inputs allow."""
    leak: tuple[str, int] | None = None
    """The input, and its column, that holds the target itself."""


@dataclass(frozen=True)
class Mixing:
    """Whether samples of a batch reach each other's outputs in eval mode."""

    change: float = 0.0
    """Root mean square of how outputs change when other samples are exchanged, by the output's deviation."""
    purpose: str = ""
    """Why samples may meet here by right; "" where they may not."""
    where: str = ""
    """The first node with a row for each sample in which that shows."""
    unjudged: str = ""
    """Why it was not measured; "" where it was."""
    fixed: bool = False
    """Whether the file fixes the size of its first axis, so that it may count something else than samples."""
