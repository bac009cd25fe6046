"""Finds numbers to be predicted that are far from unit scale."""

from math import isfinite, sqrt

from service.contract.report import Place
from service.contract.words import LossName, Symptom
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, Answer, Observation, Silence, absent, note, rule

_NUMBERS = frozenset({LossName.MSE, LossName.MAE, LossName.HUBER})


@rule(
    "TGT02",
    Symptom.TARGET_PROBLEM,
    order=28,
    aliases=["unscaled target", "unnormalized label"],
    told_by=[Symptom.TARGET_PROBLEM, Symptom.LOSS_MISMATCH],
)
def target_scale(evidence: Evidence, *, decades: float = 1.5) -> Answer:
    """The numbers to be predicted are far from unit scale.

    What it measures
        For losses of numbers, the root mean square of the targets (over 30) and their standard deviation (under 0.03),
        in decades from 1; beyond 1.5 it counts, unless the outputs start that far out, too.

    Why it matters
        An initialized network answers with numbers around one.  Adam moves them by about its rate per weight and step,
        so far targets take thousands of steps before anything else is learnt, and make gradients as large; for near
        ones the network must first unlearn what it starts with.

    When it is wrong
        It costs time and no more where the training trial passes: it is a note unless that fails.  A head
        with a bound is judged by its reach (LOS01).

    References
        LeCun et al. 1998, Efficient BackProp, on the choice of target values; UMLAUT (Schoop et al. 2021).
    """
    loss, target = evidence.loss, evidence.target
    if loss.name not in _NUMBERS:
        return Silence("not_applicable", f"{loss.name} takes classes or shares, which have no scale of their own")
    if target is None:
        return absent(evidence, "the target was drawn")
    if isfinite(loss.head_high) and isfinite(loss.head_low):
        return Silence("not_applicable", "the head has a bound, by which LOS01 judges the targets")
    size, low, high = sqrt(target.mean**2 + target.std**2), 10**-decades, 10**decades
    large = size > high * max(loss.output_rms, 1)
    small = 0 < target.std < low * min(loss.output_rms or 1, 1)
    if not large and not small:
        return CLEAR
    what, measured = ("root mean square", size) if large else ("standard deviation", target.std)
    return Observation(
        f"The targets have a {what} of {measured:.3g}; {low:.2g} to {high:.3g} is what a network starts near. "
        "Standardize them, and undo it on the predictions.",
        note(evidence),
        (Place(node="target", measured=measured, limit=high if large else low),),
        {"mean": target.mean, "std": target.std},
    )
