"""How gradients change on their way back through the network, and along time.

Gains are natural logarithms of *squared* norms, as in Schoenholz et al. 2017 (arXiv 1611.01232): divide by 2·ln10
for decades.
"""

from dataclasses import dataclass


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
