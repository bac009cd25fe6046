"""What a deep examination measured, and what the examination took, in words."""

from collections.abc import Iterator

from service.contract.report import Report
from service.present.numbers import number, several


def measured(report: Report) -> Iterator[str]:
    """Yield what was measured in many passes, a sentence each; nothing where the examination was not deep."""
    if (deep := report.deep) is None:
        return
    if deep.noise_scale is not None:
        error = f" ± {number(deep.noise_scale_error)}" if deep.noise_scale_error is not None else ""
        yield f"Gradient noise and signal weigh the same at a batch of {number(deep.noise_scale)}{error} samples."
    if deep.coherence is not None:
        yield f"The gradients of two samples have a mean cosine of {number(deep.coherence)}."
    if deep.conditioning is not None:
        yield (
            f"Between the first and the last hidden layer the most stretched direction has {number(deep.conditioning)} "
            "times the mean square (1: all alike)."
        )
    if deep.half_gains is not None:
        one, other = (number(gain) for gain in deep.half_gains)
        yield f"On the two halves of the batch the gradient gain (ln of its square) is {one} and {other}."
    if deep.ranks:
        least = min(deep.ranks, key=lambda rank: rank.participation / max(rank.most, 1))
        place = least.origin or least.node
        yield f"Samples take {number(least.participation)} of {least.most} directions at {place}, the fewest of any."
    if deep.widths:
        steepest = max(deep.widths, key=lambda trend: abs(trend.slope))
        place = steepest.origin or steepest.node
        yield f"First steps move {place} as the power {number(steepest.slope)} of the network's width."
    yield from (f"{name}: not measured, {reason}" for name, reason in deep.unmeasured.items())


def effort(report: Report) -> str:
    """Return what the examination took: seconds, passes and steps."""
    seconds = f"{sum(report.timing.values()):.1f} s"
    if report.passes is None:
        return seconds
    passes, steps = report.passes, several(report.passes.steps, "training step")
    both = f"{passes.forward} passes forward, {passes.backward} back"
    return f"{seconds} ({both}, {steps})"
