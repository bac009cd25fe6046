"""Where numbers lie and how far they scatter, by medians, which a few odd ones do not move."""

from collections.abc import Sequence
from statistics import median
from typing import Final

NORMAL: Final = 1.4826
"""Standard deviation of a normal law by its median absolute deviation."""


def centre_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """Return the median, and the standard deviation that the median absolute deviation from it gives a normal law."""
    centre = median(values)
    return centre, NORMAL * median(abs(value - centre) for value in values)
