"""Evidence: what was measured on a subject, as plain numbers.

Gains are natural logarithms of *squared* norms, as in Schoenholz et al. 2017 (arXiv 1611.01232): divide by 2·ln 10
for decades.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.course import Run

_REPEATED = re.compile(r"\)((?:, \d+ of \d+)+)$")
TELLING_STEPS = 200
"""Steps from which a training trial that fails proves something: after 50, two of five networks that fail still
learn.
"""


@dataclass(frozen=True)
class Activation:
    """A tensor on the way forward, over the whole batch."""

    mean: float
    std: float
    rms: float
    zero: float
    """Share of exact zeros."""
    nonfinite: float
    """Share of NaN and infinities."""
    saturated: float | None = None
    """Share of pre-activations where |φ'| is under a tenth of its maximum; None where φ does not saturate."""


@dataclass(frozen=True)
class Gradient:
    """The loss's gradient at a tensor."""

    rms: float
    relative: float
    """Its norm as a share of the largest among all places."""
    nonfinite: float


@dataclass(frozen=True)
class Units:
    """The units of a rectifying activation over the batch."""

    count: int
    dead: float
    """Share of units whose pre-activation is positive for no sample."""
    expected: float
    """The share that correlated Gaussian pre-activations would show by chance."""
    excess: float
    """`dead` above `expected`, less three standard errors."""
    samples: int


@dataclass(frozen=True)
class PlaceEvidence:
    """One operator worth looking at: it holds a weight, is a nonlinearity or a norm, or joins branches."""

    node: str
    op: str
    depth: int
    """Weight layers between the input and here, on the longest path."""
    shape: tuple[int, ...]
    activation: Activation
    gradient: Gradient | None = None
    parameter: str | None = None
    origin: str | None = None
    units: Units | None = None


@dataclass(frozen=True)
class Cut:
    """An operator through which no gradient flows, such as ArgMax or a cast to whole numbers."""

    node: str
    op: str
    origin: str | None = None
    within: str = ""
    """The loop or branch in whose body it stands."""


@dataclass(frozen=True)
class ParameterEvidence:
    """A tensor that training changes, and what reaches it."""

    name: str
    node: str
    op: str
    count: int
    rms: float
    gradient_rms: float
    nonfinite: float
    """Share of NaN and infinities in its gradient."""
    state: str
    """`live`; `gated`: zero gradient by design (a zero-initialised factor elsewhere holds it back); `faint`: zero
    only because float32 cannot hold it; `dead`: it comes out as exactly zero; `cut`: it moves the loss, but every path
    there leads through an operator that no gradient comes back through; `unused`: no path to the loss."""
    update_ratio: float | None = None
    """Norm of the optimizer's first step by the norm of the weight."""
    units: int = 0
    """Output units of a weight matrix; 0 where it is none."""
    identical: bool = False
    """Whether all its units compute the same thing on every sample."""
    symmetric: bool = False
    """Whether, moreover, they receive the same gradient, so that training cannot tell them apart."""
    also: tuple[str, ...] = ()
    """Other nodes that read it, where it is shared."""
    blocked_at: str | None = None
    """For `dead` and `cut`: the node at which the gradient ends."""
    cuts: tuple[Cut, ...] = ()
    """For `cut`: the operators that end it, one or more on each path, in forward order."""
    origin: str | None = None


@dataclass(frozen=True)
class Segment:
    """The stretch between two neighbouring cuts: tensors that no edge of the graph jumps over."""

    start: str
    """The node that writes the cut nearer to the input."""
    end: str
    gain: float
    """ln of the squared norm of the cotangent at `start` by that at `end`."""
    layers: int
    """Weight layers within."""
    origin: str | None = None
    """The layer of the caller's file at `start`."""
    operators: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gain:
    """How a random cotangent at the last hidden cut changes on its way back to the first."""

    segments: tuple[Segment, ...]
    """In forward order."""
    total: float
    """G: the sum of all gains; -inf where nothing comes back."""
    typical: float
    """G_exp: the median gain times the number of segments; one odd layer does not make a trend."""
    late: float
    """G_late: the mean gain of the half nearer to the output, times the number of segments."""
    standard_error: float
    """Of G, over cotangents."""
    sampling: float
    """Standard deviation of G over redraws of weights of this width and depth (κ·L/n, κ = 5)."""
    forward: float
    """F: ln of the last cut's second moment by the first's."""
    collapse: float
    """C: change of ln of the share of variance that is between samples; negative where samples become alike."""
    token_collapse: float
    """The same between the positions of one sequence; 0 where the cuts are no sequences."""

    @property
    def rate(self) -> float:
        """The gain that total and trend agree on: the lesser in magnitude, 0 where their signs differ."""
        trend = max(self.typical, self.late, key=abs)
        if self.total * trend <= 0:
            return 0.0
        return min(self.total, trend, key=abs)


@dataclass(frozen=True)
class RecurrentGain:
    """How a random cotangent at the last time step of a recurrent operator changes on its way to the first."""

    node: str
    op: str
    steps: int
    total: float
    origin: str | None = None


@dataclass(frozen=True)
class NonFinite:
    """The first operator that made a NaN or an infinity that reaches the loss or its gradient."""

    node: str
    op: str
    stage: str
    """`batch`, `weights`, `forward` or `backward`."""
    cause: str
    """What was fed to it, as half a sentence."""
    share: float
    """Share of its values that are not finite."""
    samples: tuple[int, ...] = ()
    """The first samples at fault, where they can be told."""
    origin: str | None = None


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
class Training:
    """The training trial: one run per seed under each way of training that was tried."""

    runs: tuple[Run, ...]
    """The last tried way of training first seed by seed; a later way is tried only where an earlier one failed."""
    steps: int
    """Steps asked for."""
    complete: bool
    """Whether every run had all its steps within the time box."""
    converged: bool
    """Whether the model came trained: its loss was already far below the best constant's, so nothing was run."""
    judged: bool
    """Whether the batch allows a judgement: its targets differ."""
    stable_learning_rate: float | None = None
    """The largest rate that trains, found only where the declared one does not."""
    suggested_learning_rate: float | None = None
    suggested_clip: float | None = None

    @property
    def passed(self) -> bool:
        """Whether some way of training beat the best constant prediction, or nothing had to be shown."""
        return self.converged or any(run.beaten for run in self.runs)

    @property
    def failed(self) -> bool:
        """Whether every way of training was given its steps, and enough of them, and none beat the best constant."""
        return self.judged and self.complete and self.steps >= TELLING_STEPS and not self.passed

    @property
    def best(self) -> Run | None:
        """The run that came lowest."""
        return min(self.runs, key=lambda run: run.lowest, default=None)


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


@dataclass(frozen=True)
class Evidence:
    """Everything that was measured on one subject under one seed."""

    places: tuple[PlaceEvidence, ...]
    parameters: tuple[ParameterEvidence, ...]
    loss: LossEvidence
    inputs: tuple[InputEvidence, ...]
    samples: int
    gain: Gain | None = None
    """None where the network has fewer than two weight layers in a row."""
    recurrent: tuple[RecurrentGain, ...] = ()
    nonfinite: NonFinite | None = None
    training: Training | None = None
    attention: dict[str, float] = field(default_factory=dict)
    """Mean row entropy of each attention softmax by its logarithmic maximum."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """Per node, the layer of the caller's file, where the file holds layers."""

    def called(self, node: str, op: str = "") -> str:
        """Return what a sentence calls a node: its layer, such as `layers/3 "fc1" (dense, 2 of 6)`, or its own name.

        With `op`, a node that is of no layer is called by its operator too.
        """
        origin = self.origins.get(node)
        if origin is None:
            return f"{node} ({op})" if op else node
        return _REPEATED.sub(r"\1)", origin)
