"""Central differences along a direction: what the slope is, and whether the point is a kink."""

import math
from collections.abc import Callable
from dataclasses import dataclass

STEPS = (1e-6, 1e-5, 1e-4, 1e-3)
"""Larger ones are for functions that round to float32 inside."""
CLOSE = 1e-3
SIDES = 2e-2
"""How far slopes to the left and to the right may be apart where there is no kink."""
NOTHING = 1e-7


@dataclass(frozen=True)
class Slope:
    """The slope of a function of one number at 0."""

    value: float | None
    """None where two steps do not agree on it."""
    kink: bool = False
    """Whether the slopes to the left and to the right differ."""
    error: float = 0.0
    """How far two steps are apart."""

    @property
    def flat(self) -> bool:
        """Whether the function does not move."""
        return self.value is not None and abs(self.value) <= NOTHING

    def agrees(self, other: float) -> bool:
        """Whether a slope found otherwise is this one."""
        return (
            self.value is not None
            and abs(self.value - other) <= CLOSE * max(abs(self.value), abs(other)) + 2 * self.error + 1e-6
        )


def slope(along: Callable[[float], float]) -> Slope:
    """Return the slope of `along` at 0, at the smallest step that a step four times as large agrees with."""
    start, kink = along(0.0), False
    for step in STEPS:
        left, right, far_left, far_right = (along(size * step) for size in (-1, 1, -4, 4))
        near, far = (right - left) / (2 * step), (far_right - far_left) / (8 * step)
        scale = max(abs(near), abs(far))
        if not math.isfinite(scale) or abs(near - far) > CLOSE * scale + NOTHING:
            continue
        sides = (start - left) / step, (right - start) / step
        noise = 1e-15 * max(abs(start), 1.0) / step + 10 * step * scale
        kink = abs(sides[1] - sides[0]) > SIDES * max(map(abs, sides)) + 10 * noise + 1e-5
        return Slope(None if kink else near, kink, abs(near - far))
    return Slope(None, kink=False)
