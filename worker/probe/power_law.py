"""Whether a gradient grows exponentially with depth or as a power of it, which is harmless.

ln‖δ_l‖² against l is a line where every layer multiplies by the same factor (an exponential), and against ln l where
block l adds its l-th part (residual branches behind norms: Yang and Schoenholz 2017, De and Smith 2020).  The better
fit decides.  No pass of its own.
"""

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

FEWEST: Final = 6
"""Segments below which the two cannot be told apart."""


def exponent(gains: Sequence[float]) -> float | None:
    """Return p where the squared gradient falls as l⁻ᵖ from front to front; None where an exponential fits better."""
    if len(gains) < FEWEST:
        return None
    levels = [*accumulate(reversed(gains), initial=0.0)][::-1]
    places = [float(place) for place in range(1, len(levels) + 1)]
    line, curve = _fit(places, levels), _fit([math.log(place) for place in places], levels)
    return -curve[0] if curve[1] < line[1] else None


def _fit(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float]:
    """Return the slope of the least-squares line, and the squares that it leaves."""
    middle, level = sum(xs) / len(xs), sum(ys) / len(ys)
    slope = sum((x - middle) * (y - level) for x, y in zip(xs, ys, strict=True)) / sum((x - middle) ** 2 for x in xs)
    return slope, sum((y - level - slope * (x - middle)) ** 2 for x, y in zip(xs, ys, strict=True))
