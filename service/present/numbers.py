"""Numbers for people: as words, as bars, as little curves."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

_BLOCKS = "▁▂▃▄▅▆▇█"
_BARS = " ▏▎▍▌▋▊▉█"
_DECADES = 8


def number(value: float | None) -> str:
    """Return a number as people write it: three digits, and powers of ten only where they help."""
    if value is None:
        return "n/a"
    if math.isnan(value) or math.isinf(value):
        return "not a number" if math.isnan(value) else ("infinite" if value > 0 else "minus infinite")
    if value == 0 or 1e-3 <= abs(value) < 1e5:  # noqa: PLR2004  where plain digits read well
        return f"{value:.{4 if abs(value) >= 1 else 3}g}" if abs(value) < 1e4 else f"{value:.0f}"  # noqa: PLR2004
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def count(value: int) -> str:
    """Return a count with its thousands apart."""
    return f"{value:,}".replace(",", "\N{NO-BREAK SPACE}")


def several(amount: int, one: str, many: str = "") -> str:
    """Return an amount with its noun."""
    return f"{count(amount)} {one if amount == 1 else many or one + 's'}"


def sparkline(values: Sequence[float], width: int = 48) -> str:
    """Return a curve as blocks; × is where a value is not finite."""
    picked = list(_means(values, width))
    finite = [value for value in picked if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    top = len(_BLOCKS) - 1
    return "".join(
        (_BLOCKS[round(top * (value - low) / (high - low))] if high > low else _BLOCKS[0])
        if math.isfinite(value)
        else "×"
        for value in picked
    )


def bar(share: float, width: int = 32) -> str:
    """Return a share as a bar on a scale of eight decades; full is 1, empty is 1e-8 or less."""
    if not math.isfinite(share):
        return "×" * width
    level = 0.0 if share <= 0 else max(0.0, min(1.0, 1 + math.log10(share) / _DECADES))
    full, rest = divmod(round(level * width * 8), 8)
    return ("█" * full + (_BARS[rest] if rest else "")).ljust(width)


def _means(values: Sequence[float], most: int) -> Iterable[float]:
    if len(values) <= most:
        return values
    edges = [round(index * len(values) / most) for index in range(most + 1)]
    return (sum(values[start:end]) / (end - start) for start, end in pairwise(edges))
