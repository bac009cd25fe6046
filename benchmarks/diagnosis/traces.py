"""What ordinary training leaves behind: the numbers that debuggers of training read, step by step.

Plain floats, so that a rule can be tried on a trace made up for it.  `recording` makes one from a case.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Task = Literal["classification", "regression"]
Kind = Literal["relu", "tanh", "sigmoid", "other"]


@dataclass(frozen=True)
class Weight:
    """A trained tensor before a step, its gradient, and what the step did to it."""

    matrix: bool = True
    """Whether it has two axes or more; otherwise it is a bias, or a normalization's scale."""
    finite: bool = True
    mean: float = 0.0
    size: float = 0.05
    """Mean magnitude."""
    variance: float = 2.5e-3
    """Unbiased."""
    variance_by_he: float = 1.0
    """The variance by He's, Glorot's and LeCun's: 2/fan_in, 2/(fan_in + fan_out), 1/fan_in."""
    variance_by_glorot: float = 1.0
    variance_by_lecun: float = 1.0
    zero: float = 0.0
    tiny: float = 0.0
    """Share of magnitudes under 1e-5."""
    negative: float = 0.5
    empty_rows: int = 0
    """Filters of a convolution whose norm is under 1e-6."""
    gradient: float | None = 1e-2
    """Mean magnitude; None where the loss does not reach the tensor."""
    gradient_mean: float = 1e-4
    gradient_norm: float = 0.1
    gradient_spread: float = 0.05
    """Distance of the 5th from the 95th percentile."""
    gradient_zero: float = 0.0
    gradient_finite: bool = True
    count: int = 1000
    update: float = 1e-3
    """Mean magnitude of the step by the weight's (and 1e-9)."""
    largest_update: float = 1e-3
    """As `update`, of the element that moved most by its own magnitude."""


@dataclass(frozen=True)
class Activation:
    """What enters and leaves an activation function, on the batch."""

    kind: Kind
    finite: bool = True
    input_variance: float = 1.0
    input_mean: float = 0.0
    output_mean: float = 0.5
    output_deviation: float = 0.6
    zero: float = 0.5
    """Share of outputs that are exactly zero."""
    at_most_zero: float = 0.5
    inactive_units: float = 0.0
    """Share of units whose output is positive for under 1% of samples and positions."""
    quiet_units: float = 0.0
    """Share of units whose 95th percentile of magnitudes is under 1e-5."""
    extreme_units: float = 0.0
    """Share of units whose input is within SageMaker's limits for under 1% of samples and positions."""
    saturated: float = 0.0
    """Share of inputs beyond ±5."""
    saturated_units: float = 0.0
    """Share of units with ρ_B over .85: the mean distance of outputs from the middle of their range, by half of it."""


@dataclass(frozen=True)
class Step:
    """One step of training."""

    loss: float
    accuracy: float
    """Share of targets that are met; for a regression 1 - loss by the best constant's."""
    weights: Mapping[str, Weight] = field(default_factory=dict)
    """In the order in which they are read; none at steps at which nothing was looked at."""
    activations: Mapping[str, Activation] = field(default_factory=dict)
    """In the order of computation; likewise."""
    output_low: float = -2.0
    output_high: float = 2.0
    output_constant: bool = False
    """Whether some output is the same for all samples."""

    @property
    def matrices(self) -> list[Weight]:
        """The tensors of two axes or more, in the order in which they are read."""
        return [each for each in self.weights.values() if each.matrix]

    @property
    def gradients(self) -> list[Weight]:
        """Those that the loss reaches."""
        return [each for each in self.weights.values() if each.gradient is not None]


@dataclass(frozen=True)
class Trace:
    """A run of training, and what was known before it."""

    steps: tuple[Step, ...]
    task: Task = "classification"
    classes: int = 2
    chance: float = 0.6931
    """Loss of the best constant prediction."""
    head: str = ""
    """The operator that gives the output, where it is an activation."""
    batch: int = 64
    inputs: tuple[tuple[float, float, float], ...] = ((-3.0, 3.0, 1.0),)
    """Lowest, highest and standard deviation of each float input."""
    constant_features: int = 0
    image_shapes: tuple[tuple[int, ...], ...] = ()
    """Shapes of inputs with four axes."""
    negative_indices: bool = False
    target_low: float = 0.0
    target_high: float = 1.0
    batch_norm: bool = False
    bias_before_norm: int = 0
    unused: int = 0
    """Trained tensors that the loss does not reach."""
    optimizer: str = "adam"
    weight_decay: float = 0.0
    activation: Kind = "relu"
    """The kind of most hidden activations."""

    @property
    def losses(self) -> list[float]:
        """The loss at every step."""
        return [step.loss for step in self.steps]

    def read(self) -> Iterator[Step]:
        """Yield the steps at which activations were looked at."""
        return (step for step in self.steps if step.activations)
