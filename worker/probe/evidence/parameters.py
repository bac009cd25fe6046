"""What was measured of the tensors that training changes."""

from dataclasses import dataclass


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
