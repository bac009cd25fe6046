"""Laws compared: whether two draw from the same distribution."""

from dataclasses import fields, is_dataclass, replace
from math import isclose

from worker.network.graph import Law
from worker.network.laws import (
    Constant,
    DeltaOrthogonal,
    Identity,
    Normal,
    Orthogonal,
    Permuted,
    Reordered,
    Reshaped,
    Shape,
    Shifted,
    Stacked,
    Times,
    Uniform,
)


def same_law(left: object, right: object) -> bool:
    """Whether two laws, or numbers or tuples in them, are the same up to rounding."""
    left, right = (simple(each) if callable(each) else each for each in (left, right))
    if isinstance(left, float | int) and isinstance(right, float | int):
        return isclose(left, right, rel_tol=1e-6, abs_tol=1e-12)
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(map(same_law, left, right))
    if type(left) is not type(right) or not is_dataclass(left):
        return left == right
    return all(same_law(getattr(left, each.name), getattr(right, each.name)) for each in fields(left))


def simple(law: Law) -> Law:
    """Return the law without factors and shifts that its own numbers can hold."""
    match law:
        case Times():
            return scaled_by(simple(law.law), law.factor)
        case Shifted():
            inner = simple(law.law)
            return replace(inner, value=inner.value + law.by) if isinstance(inner, Constant) else Shifted(inner, law.by)
        case Stacked():
            return _stacked(tuple(simple(each) for each in law.laws), law.shape)
        case Permuted() | Reshaped() | Reordered():
            return _laid_out(law, simple(law.law))
        case _:
            return law


def _stacked(laws: tuple[Law, ...], shape: Shape) -> Law:
    """Return what laws draw behind each other; one law where they all draw numbers one by one, and alike."""
    first = laws[0]
    if isinstance(first, Normal | Uniform | Constant):
        whole = replace(first, shape=shape)
        if all(isinstance(each, type(first)) and replace(each, shape=shape) == whole for each in laws):
            return whole
    return Stacked(laws, shape) if len(laws) > 1 else _laid_out(Reshaped(first, shape), first)


def _laid_out(law: Permuted | Reshaped | Reordered, inner: Law) -> Law:
    """Return what `inner` draws in another layout; numbers that are drawn one by one have none but their shape."""
    if isinstance(inner, Normal | Uniform | Constant):
        return replace(inner, shape=_shape(law, inner.shape))
    if isinstance(law, Reshaped) and isinstance(inner, Orthogonal) and inner.shape == law.shape:
        return inner
    if isinstance(law, Permuted) and isinstance(inner, Orthogonal | Identity) and law.axes == (1, 0):
        return replace(inner, shape=inner.shape[::-1])  # as likely one way as the other
    return replace(law, law=inner)


def _shape(law: Permuted | Reshaped | Reordered, shape: Shape) -> Shape:
    if isinstance(law, Permuted):
        return tuple(shape[axis] for axis in law.axes)
    return law.shape if isinstance(law, Reshaped) else shape


def scaled_by(law: Law, factor: float) -> Law:  # noqa: PLR0911  one return per law
    """Return the law of `factor` times what `law` draws."""
    match law:
        case Normal():
            return replace(law, std=law.std * abs(factor), mean=law.mean * factor)
        case Uniform():
            low, high = sorted((law.low * factor, law.high * factor))
            return Uniform(law.shape, low, high)
        case Constant():
            return Constant(law.shape, law.value * factor)
        case Orthogonal() | DeltaOrthogonal() | Identity():
            return replace(law, gain=law.gain * factor)
        case Stacked():
            return Stacked(tuple(scaled_by(each, factor) for each in law.laws), law.shape)
        case Permuted() | Reshaped() | Reordered():
            return replace(law, law=scaled_by(law.law, factor))
        case Shifted():
            return Shifted(scaled_by(law.law, factor), law.by * factor)
        case _:
            return Times(law, factor)
