"""Where numbers stop being finite."""

from dataclasses import dataclass


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
