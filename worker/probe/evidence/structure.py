"""What the graph and its weights show by themselves: layers, norms, kernels, and what evaluation makes of them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Spot:
    """An operator that something was noticed at, and the number that says how much."""

    node: str
    op: str
    origin: str | None = None
    measured: float = 0.0
    also: str = ""
    """The other operator that it takes two for."""


@dataclass(frozen=True)
class Kernel:
    """The rows of a weight layer: what each of its units is made of."""

    name: str
    node: str
    units: int
    zeros: float
    """Share of units whose weights are all zero, where not all are."""
    copies: float
    """Share of units that repeat an earlier one, number by number, the bias included; zero ones left out."""
    chance: float
    """The same for rows of the few numbers that this kernel holds (quantized, say), drawn at random."""
    kept: bool
    """Whether the copies, moreover, receive equal gradients that are not zero, so that training cannot part them."""
    hidden: bool
    """Whether another weight layer reads what it makes."""
    origin: str | None = None


@dataclass(frozen=True)
class PlainNorm:
    """A batch norm, and how many numbers its statistics are of."""

    node: str
    samples: int
    numbers: int
    """Per channel: samples times positions."""
    origin: str | None = None


@dataclass(frozen=True)
class MeanField:
    """The gradient gain of a plain network by mean-field theory, from the variances of its weights alone."""

    layers: int
    predicted: float
    """Sum of ln χ₁ over the layers between the first and the head."""
    node: str
    """The layer that changes it most."""
    activation: str
    """What comes before that layer."""
    variance: float
    """Variance of its weights times its fan-in."""
    critical: float | None
    """What that should be; None where no usable scale is critical."""
    origin: str | None = None


@dataclass(frozen=True)
class Evaluation:
    """The loss on the batch as evaluation computes it: running statistics, no dropout."""

    loss: float
    training: float
    """The loss in training mode."""
    norms: int
    """Batch norms."""
    fresh: int
    """Those whose running statistics are still 0 and 1."""
    farthest: Spot | None = None
    """The batch norm whose running statistics are farthest from the batch's; by how many standard deviations."""


@dataclass(frozen=True)
class Structure:
    """What needs no gradient to be seen."""

    layers: int = 0
    """Weight layers on the longest way to the output."""
    linear: bool = False
    """Whether the whole network, up to the head's own activation, is affine in its input."""
    factored: bool = False
    """Whether every hidden layer is narrower than its neighbours, as in a factorization."""
    unbent: tuple[Spot, ...] = ()
    """Weight layers whose output goes straight to another one that makes them redundant, and no factorization."""
    repeated: tuple[Spot, ...] = ()
    """Activations that read nothing but another one's output."""
    pointlike: tuple[Spot, ...] = ()
    """Convolutions with a window over a map of one position; `measured` is the share of weights that see data."""
    lopsided: tuple[Spot, ...] = ()
    """Even windows whose padding is one longer on one side; `measured` is the shift in positions of its input."""
    biased: tuple[Spot, ...] = ()
    """Biases right before a norm that takes them away; `measured` is how many numbers they are."""
    dropped: tuple[Spot, ...] = ()
    """Batch norms behind a dropout; `measured` is its rate."""
    repeating: tuple[Spot, ...] = ()
    """Batch norms within a recurrence: in the body of a loop, or between two uses of the same kernel."""
    norms: tuple[PlainNorm, ...] = ()
    """Every batch norm that normalizes by the batch."""
    bare: int = 0
    """Batch norms that no skip leads around, one per layer at most."""
    bare_gain: float = 0.0
    """The gradient gain of those by theory: Σ ln χ."""
    kernels: tuple[Kernel, ...] = ()
    mean_field: MeanField | None = None
    """None where norms, skips, recurrence, trained weights or too few layers leave nothing to predict."""
    trained: bool = False
    """Whether the weights' singular values are such as no random law gives."""
    frozen: int = 0
    """Numbers in float weights that training leaves alone."""
    folded: tuple[Spot, ...] = ()
    """Convolutions into which the exporter, by the names that it left, folded a batch norm."""
    two_modes: bool = False
    """Whether evaluation computes something else than the training that the subject is examined in."""
    evaluation: Evaluation | None = None
    """None without two modes, and where the loss is no less than a guess's."""
