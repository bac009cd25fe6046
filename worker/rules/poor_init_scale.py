"""Finds neighbouring layers that no common learning rate can serve."""

from itertools import pairwise
from math import log10, sqrt

from service.contract.report import Place
from service.contract.words import Symptom
from worker.probe.evidence import Evidence, ParameterEvidence
from worker.rules import CLEAR, Answer, Observation, Silence, rule, weigh


@rule(
    "INI02",
    Symptom.POOR_INIT_SCALE,
    order=45,
    aliases=["PoorWeightInitialization", "WeightUpdateRatio"],
    told_by=[Symptom.VANISHING_GRADIENT, Symptom.EXPLODING_GRADIENT, Symptom.RESIDUAL_SCALE],
)
def poor_init_scale(evidence: Evidence, *, jump: float = 3.0) -> Answer:
    """Neighbouring layers differ in scale so much that one learning rate cannot serve both.

    What it measures
        The gradient of each kernel relative to the kernel, g/w; the largest jump between neighbours in forward
        order, in decades; beyond 3 it counts, if the kernels' own scales explain at least half of it: a kernel that is
        s times as large as its fan-in asks for, beside one that makes up for it, learns s² times slower.

    Why it matters
        A pair scaled by 1000 and 1/1000 computes the same and passes gradients unchanged, but plain gradient
        descent moves the one a million times faster than the other.

    When it is wrong
        Attention's queries and keys receive little at first in every healthy network (the softmax is nearly even),
        whatever their scale, and a head may be drawn small on purpose, behind layers of the usual scale (policies
        of reinforcement learning): such jumps are left alone.  Kernels without gradient by design, or held back by
        one, are left out.

    References
        Yang, Simon and Bernstein 2023 (arXiv 2310.17813); Noci et al. 2022 (arXiv 2206.03126) for queries and keys.
    """
    if any(each.identical for each in evidence.parameters):
        return Silence("could_not_judge", "units are copies of one another; see INI01")
    kernels = [each for each in evidence.parameters if each.units > 1 and each.state == "live" and _ratio(each) > 0]
    if any(each.state == "gated" for each in evidence.parameters):
        return Silence("not_applicable", "some weights are held back by a gate of zeros, by design")
    if len(kernels) < 2:  # noqa: PLR2004  neighbours are two
        return Silence("not_applicable", "fewer than two kernels receive a gradient")
    told = kernels[:-1] if _small_head(*kernels[-2:]) else kernels
    steps = [pair for pair in pairwise(told) if 2 * _explained(*pair) >= abs(_jump(*pair))]
    before, after = max(steps, key=lambda pair: abs(_jump(*pair)), default=(kernels[0], kernels[0]))
    size = abs(_jump(before, after))
    if size <= jump:
        return CLEAR
    return Observation(
        f"From {evidence.called(before.node)} to {evidence.called(after.node)} the gradient relative to the weight "
        f"jumps by {size:.1f} decades ({jump:g} is the limit): the weights are {_scale(before):.2g} and "
        f"{_scale(after):.2g} times what their fan-ins ask for.",
        weigh(evidence),
        tuple(
            Place(node=each.node, origin=each.origin, parameter=each.name, measured=size, limit=jump)
            for each in (before, after)
        ),
        {"jump": size, "explained": _explained(before, after)},
    )


def _small_head(before: ParameterEvidence, head: ParameterEvidence) -> bool:
    """Whether the last kernel is small on its own account, and not to make up for the one before it."""
    usual = abs(log10(_scale(before))) < 1
    return usual and _scale(head) < _scale(before)


def _ratio(parameter: ParameterEvidence) -> float:
    return parameter.gradient_rms / parameter.rms if parameter.rms > 0 else 0.0


def _scale(parameter: ParameterEvidence) -> float:
    """Return the weight's rms by one over the root of its fan-in."""
    return parameter.rms * sqrt(parameter.count / parameter.units)


def _jump(before: ParameterEvidence, after: ParameterEvidence) -> float:
    return log10(_ratio(after) / _ratio(before))


def _explained(before: ParameterEvidence, after: ParameterEvidence) -> float:
    """Return the part of a jump, in decades, that the weights' scales make: g/w falls as their square."""
    sign = 1 if _jump(before, after) > 0 else -1
    return -2 * sign * log10(_scale(after) / _scale(before))
