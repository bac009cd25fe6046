"""Finds neighbouring layers that no common learning rate can serve."""

from itertools import pairwise
from math import log10

from service.contract.report import Place
from service.contract.words import Symptom
from worker.probe.evidence import Evidence, ParameterEvidence
from worker.rules import CLEAR, Answer, Observation, Silence, rule, weigh


@rule("INI02", Symptom.POOR_INIT_SCALE, order=40, aliases=["PoorWeightInitialization", "WeightUpdateRatio"])
def poor_init_scale(evidence: Evidence, *, jump: float = 3.0) -> Answer:
    """Neighbouring layers differ in scale so much that one learning rate cannot serve both.

    What it measures
        The gradient of each kernel relative to the kernel, g/w; the largest jump between neighbours in forward
        order, in decades; beyond 3 it counts.

    Why it matters
        A pair scaled by 1000 and 1/1000 computes the same and passes gradients unchanged, but plain gradient
        descent moves the one a million times faster than the other.

    When it is wrong
        Adaptive optimizers level the difference.  Kernels without gradient by design, or held back by one, are left
        out.

    References
        Yang, Simon and Bernstein 2023 (arXiv 2310.17813).
    """
    if any(each.identical for each in evidence.parameters):
        return Silence("could_not_judge", "units are copies of one another; see INI01")
    kernels = [each for each in evidence.parameters if each.units > 1 and each.state == "live" and _ratio(each) > 0]
    if len(kernels) < 2 or any(each.state == "gated" for each in evidence.parameters):  # noqa: PLR2004
        return Silence("not_applicable", "fewer than two kernels receive a gradient, or some are gated by design")
    steps = [(abs(log10(_ratio(after) / _ratio(before))), before, after) for before, after in pairwise(kernels)]
    size, before, after = max(steps, key=lambda step: step[0])
    if size <= jump:
        return CLEAR
    return Observation(
        f"From {evidence.called(before.node)} to {evidence.called(after.node)} the gradient relative to the weight "
        f"jumps by {size:.1f} decades ({jump:g} is the limit).",
        weigh(evidence),
        tuple(
            Place(node=each.node, origin=each.origin, parameter=each.name, measured=size, limit=jump)
            for each in (before, after)
        ),
        {"jump": size},
    )


def _ratio(parameter: ParameterEvidence) -> float:
    return parameter.gradient_rms / parameter.rms if parameter.rms > 0 else 0.0
