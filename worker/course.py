"""The course of a training run, as plain numbers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """One training run on the batch."""

    optimizer: str
    learning_rate: float
    declared: bool
    """Whether the caller named both."""
    losses: tuple[float, ...]
    """At every step, before the update."""
    final: float
    """Mean over the last tenth of the steps asked for."""
    lowest: float
    """Lowest mean over a window as long, with three standard errors added where steps take part of the batch."""
    gradient_norms: tuple[float, ...]
    beaten: bool
    """Whether `lowest` is below .999 of the best constant prediction's loss, and nothing became non-finite."""
    diverged: bool
    """Whether something became non-finite, or nothing was learnt and the loss ended above where it began."""
    spike: float
    """The highest loss by the first, or by the best constant prediction's where that is higher."""
