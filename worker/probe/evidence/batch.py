"""What was measured of the batch, the loss and the head, before anything propagates."""

from dataclasses import dataclass


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
    spread: float
    """Standard deviation of the output between samples by its root mean square."""


@dataclass(frozen=True)
class InputEvidence:
    """An input as the batch fills it."""

    name: str
    rms: float
    mean: float
    std: float
    nonfinite: float
    constant: float
    """Share of features that are the same in every sample."""
