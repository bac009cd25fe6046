"""What a narrower number format than float32 would do to the numbers of training."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Overflow:
    """A value of the forward pass that the format cannot hold."""

    node: str
    op: str
    """The operator; `input` or `weight` where it is that which overflows."""
    share: float = 0.0
    """Share of its numbers that become infinite."""
    largest: float = 0.0
    """Its largest magnitude."""
    origin: str | None = None


@dataclass(frozen=True)
class Rounding:
    """A weight's gradient, and its optimizer's first step, rounded to the format."""

    parameter: str
    node: str
    count: int
    rms: float
    """Root mean square of the gradient, times the loss's scale."""
    flushed: float
    """Share of the gradient's non-zero numbers that become zero."""
    lost: float
    """Norm of what rounding takes from the gradient by the gradient's norm."""
    moving: int
    """Numbers of the weight that the first step would move."""
    stalled: float
    """Share of these that it leaves where they are, where the weight itself is kept in the format."""
    made: float
    """How far the weight, kept in the format, goes along the first step: the share of the step that is made, 0 to 1."""
    matrix: bool
    """Whether it has more than one axis: biases and scales can have a gradient of nothing but rounding."""
    origin: str | None = None


@dataclass(frozen=True)
class PrecisionEvidence:
    """The numbers of one pass as the declared format holds them."""

    name: str
    """`float16` or `bfloat16`."""
    largest: float
    """The largest number that it holds."""
    smallest: float
    """The smallest number that it tells from zero."""
    overflows: tuple[Overflow, ...]
    """In forward order; empty where everything fits."""
    weights: tuple[Rounding, ...]
    """Every trainable parameter with a gradient, in the order of the file."""
    loss_scale: float = 1.0
    """What gradients are multiplied by before they are rounded."""

    @property
    def stalled(self) -> float:
        """Share of all weights that a step would move and that stay where they are."""
        moving = sum(each.moving for each in self.weights)
        return sum(each.stalled * each.moving for each in self.weights) / moving if moving else 0.0

    @property
    def made(self) -> float:
        """Share of the first step that is made, the mean over all weights that it would move."""
        moving = sum(each.moving for each in self.weights)
        return sum(each.made * each.moving for each in self.weights) / moving if moving else 1.0
