"""Finds networks whose gradients at inputs that are alike have nothing in common."""

from math import exp

from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, Answer, Observation, Silence, absent, place_at, rule, ungained


@rule("SHT01", Symptom.SHATTERED_GRADIENT, order=47, told_by=[Symptom.VANISHING_GRADIENT, Symptom.EXPLODING_GRADIENT])
def shattered_gradient(evidence: Evidence, *, alike: float = 0.1, nonlinearity: float = 10.0) -> Answer:
    """Gradients at inputs that are alike have nothing in common.

    What it measures
        The cosine between the gradients at two inputs of correlation 0.9, and NLC, how much faster the output
        changes with the input than a linear map's would.  Under 0.1 at an NLC above 10 the gradient is white noise.
        Measured in deep examinations.

    Why it matters
        What one sample teaches the first layers is then no use for its neighbours; momentum and averages over a batch
        cancel.

    When it is wrong
        Plain rectifier networks are shattered from some thirty layers on and can still be trained for a while.  It is a
        note, never more.

    References
        Balduzzi et al. 2017 (arXiv 1702.08591); Philipp and Carbonell 2018 (arXiv 1806.00179).
    """
    found, gain = evidence.shattering, evidence.gain
    if found is None or gain is None or gain.nonlinearity is None:
        return _unmeasured(evidence)
    ratio = exp(gain.nonlinearity / 2)
    if found.left >= alike or ratio <= nonlinearity:
        return CLEAR
    start = gain.segments[0].start
    return Observation(
        f"Gradients at inputs of correlation {found.given:g} have a cosine of {found.left:.2f} ({alike:g} is the "
        f"limit), and the output changes {ratio:.3g} times as fast as a linear map's ({nonlinearity:g}): what one "
        "sample teaches is noise to its neighbours.",
        Severity.INFO,
        (place_at(evidence, start, found.left, alike),),
        {"cosine": found.left, "nonlinearity": ratio},
    )


def _unmeasured(evidence: Evidence) -> Silence:
    """Return why there are no two gradients to compare, or nothing to hold them against."""
    if evidence.deep is None:
        return absent(evidence, "shattering is measured in deep examinations only")
    if evidence.gain is None:
        return ungained(evidence)
    if evidence.samples == 1:
        return Silence("could_not_judge", "a single sample has no second one to be mixed with")
    if evidence.shattering is None:
        return Silence("not_applicable", "some input holds tokens, which cannot be moved a little")
    return Silence("could_not_judge", "the hidden layers do not show how nonlinear the network is")
