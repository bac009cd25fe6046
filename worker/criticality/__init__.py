"""The weights' scale at which gradients neither vanish nor explode, for each activation, and weights drawn at it.

χ₁ = σ_w² E[φ'(z)²] is the factor by which a layer changes a squared gradient; at criticality it is 1.
"""

from worker.criticality.drawing import by_fan, critical, orthonormal, redraw, redrawable, scaled_to, started
from worker.criticality.solver import LINEAR, Critical

__all__ = ["LINEAR", "Critical", "by_fan", "critical", "orthonormal", "redraw", "redrawable", "scaled_to", "started"]
