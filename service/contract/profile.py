"""The profile: what was measured at each place of a network, in forward order."""

from service.contract.base import Contract, Number


class ActivationProfile(Contract):
    """A tensor on the way forward."""

    mean: Number
    std: Number
    rms: Number
    zero: Number
    saturated: Number | None = None
    nonfinite: Number


class GradientProfile(Contract):
    """The loss's gradient at a tensor."""

    rms: Number
    relative: Number
    """Its norm as a share of the largest in the network."""
    nonfinite: Number


class ParameterProfile(Contract):
    """A place's weight."""

    name: str
    count: int
    rms: Number
    gradient_rms: Number
    update_ratio: Number | None = None
    """Norm of the first step of the optimizer by the norm of the weight."""


class ProfileRow(Contract):
    """One place, in forward order."""

    node: str
    op: str
    origin: str | None = None
    depth: int
    shape: tuple[int, ...]
    activation: ActivationProfile
    gradient: GradientProfile | None = None
    parameter: ParameterProfile | None = None
