"""How gradients change on their way back through the network, and along time.

Gains are natural logarithms of *squared* norms, as in Schoenholz et al. 2017 (arXiv 1611.01232): divide by 2·ln10
for decades.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Segment:
    """The stretch between two neighbouring cuts: all that is alive at once, mostly one tensor."""

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
    forward: float = 0.0
    """ln of the second moment at `end` by that at `start`."""
    slopes: float | None = None
    """ln E[φ'²] of the activations, the part of the gain that is theirs; None where branches lie between the ends."""
    activation: str = ""
    """The operator of those slopes; "" where there is none."""

    @property
    def normed(self) -> bool:
        """Whether a norm stands within."""
        return any("Norm" in operator for operator in self.operators)


@dataclass(frozen=True)
class Bypass:
    """A layer that skips lead past."""

    node: str
    share: float
    """ln of its share of the gradient's square there, by an even share among all that is alive."""


@dataclass(frozen=True)
class Gain:
    """How a random cotangent at the last hidden cut changes on its way back to the first."""

    segments: tuple[Segment, ...]
    """In forward order."""
    total: float
    """G: the sum of all gains; -inf where nothing comes back."""
    typical: float
    """G_exp: the median gain (of two, the lesser) times the number of segments; one odd layer makes no trend."""
    late: float
    """G_late: the mean gain of the half nearer to the output, times the number of segments."""
    standard_error: float
    """Of G, over cotangents."""
    sampling: float
    """Standard deviation of G over redraws of weights of this width and depth: √(κ·L/n)."""
    forward: float
    """F: ln of the last cut's second moment by the first's."""
    collapse: float
    """C: change of ln of the share of variance that is between samples; negative where samples become alike."""
    token_collapse: float
    """The same between the positions of one sequence; 0 where the cuts are no sequences."""
    nonlinearity: float | None = None
    """ln NLC² between the cuts: how much faster the output changes than a linear map's; None where not told."""
    bypass: Bypass | None = None
    """Where skips carry most of the gradient past a layer; None where none pass the cuts."""
    power: float | None = None
    """p, where the gradient grows as the p-th power of depth rather than exponentially; None where it does not."""
    normalized: bool = False
    """Whether there is a norm for every third weight layer, or more."""

    @property
    def rate(self) -> float:
        """The gain that total and trend agree on: the lesser in magnitude, 0 where their signs differ."""
        trend = max(self.typical, self.late, key=abs)
        if self.total * trend <= 0:
            return 0.0
        return min(self.total, trend, key=abs)

    @property
    def relative(self) -> float:
        """R = G − F: what no rescaling of tensors changes; positive in chaos, negative where signals level out."""
        return self.total - self.forward

    @property
    def dip(self) -> float:
        """The gain from the last cut back to the one where it is farthest from 0, which may lie in the middle."""
        sums = [0.0]
        for segment in reversed(self.segments):
            sums.append(sums[-1] + segment.gain)
        return max(sums, key=abs)

    @property
    def forward_dip(self) -> float:
        """ln of the second moment at the cut where it is farthest from the first one's, by that."""
        sums = [0.0]
        for segment in self.segments:
            sums.append(sums[-1] + segment.forward)
        return max(sums, key=abs)

    @property
    def crowding(self) -> float:
        """κ·L/n: depth by width; beyond 4 the network is too deep for its width."""
        return self.sampling**2

    @property
    def sigma(self) -> float:
        """Standard deviation of G, of the cotangents and of the draw together."""
        return math.hypot(self.standard_error, self.sampling)

    def beyond(self, limit: float) -> float:
        """Return how probable it is that |G| is beyond a limit, for a normal error of cotangents and draw."""
        distance = abs(self.rate) - limit
        if self.sigma == 0:
            return float(distance >= 0)
        return 0.5 * (1 + math.erf(distance / self.sigma / math.sqrt(2)))


@dataclass(frozen=True)
class RecurrentGain:
    """How a random cotangent at the last time step of a recurrent operator changes on its way to the first."""

    node: str
    op: str
    steps: int
    total: float
    origin: str | None = None

    @property
    def rate(self) -> float:
        """λ: ln of the squared gain per step."""
        return self.total / max(self.steps - 1, 1)

    @property
    def horizon(self) -> float:
        """2/|λ|: the steps over which the gradient's norm changes by a factor of e; infinite where it does not."""
        return 2 / abs(self.rate) if self.rate else math.inf


@dataclass(frozen=True)
class Join:
    """A sum of a skip and a branch."""

    node: str
    ratio: float
    """ρ: second moment of the branch by that of the skip; 0 where the branch is shut."""
    growth: float
    """ln of the second moment of the sum by that of the skip."""
    normalized: bool
    """Whether a norm stands in the branch, or reads the sum."""
    origin: str | None = None


@dataclass(frozen=True)
class Shattering:
    """What becomes of the likeness of two gradients whose inputs are alike."""

    given: float
    """Correlation of the inputs."""
    left: float
    """Cosine of the gradients at them, mean over the batch."""
