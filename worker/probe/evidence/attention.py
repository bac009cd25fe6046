"""What was measured of one attention's softmax."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AttentionEvidence:
    """How evenly an attention spreads its weight, and what scores it does so from."""

    entropy: float
    """Mean row entropy over all heads, by its logarithmic maximum."""
    heads: tuple[float, ...]
    """The same head by head, where the softmax keeps heads on an axis of their own; else one number."""
    logit: float
    """Largest magnitude of a score that no mask has put there."""
