"""Finds networks whose head sees nearly the same for every sample."""

from math import exp, isfinite, log

from service.contract.words import Symptom
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, Answer, Observation, Silence, note, place_at, rule, too_few


@rule(
    "RNK02",
    Symptom.RANK_COLLAPSE,
    order=50,
    aliases=["input-independent output", "TensorVariance"],
    told_by=[
        Symptom.VANISHING_GRADIENT,
        Symptom.NO_GRADIENT,
        Symptom.DEAD_UNITS,
        Symptom.SATURATED_UNITS,
        Symptom.RANK_COLLAPSE,
        Symptom.INPUT_SCALE,
        Symptom.SYMMETRIC_INIT,
        Symptom.RECURRENT_GAIN,
    ],
)
def constant_output(evidence: Evidence, *, limit: float = 3.0, adequate: int = 8) -> Answer:
    """The head is given nearly the same for every sample.

    What it measures
        The standard deviation between samples by the root mean square, in front of the head's weights, as ln; below -3
        (a twentieth, or e^-6 of the second moment) it counts.  The head's own weights and bias have no say.

    Why it matters
        Whatever the head learns, it first learns a constant; the difference between samples is lost in it.

    When it is wrong
        A head that starts at zero, or with a bias for the classes' frequencies, answers everyone the same by design:
        it is not what is measured.  Rectifiers make samples alike with depth (a twentieth comes after a hundred He
        layers).  Many such networks train all the same: it is a note unless the training trial fails.

    References
        Schoenholz et al. 2017 (arXiv 1611.01232); measured for this rule family: AUC .93 for trainability by itself.
    """
    loss = evidence.loss
    if not loss.hidden:
        return Silence("not_applicable", "no hidden layer stands alone in front of the head")
    if evidence.nonfinite is not None or not isfinite(loss.hidden_spread):
        return Silence("could_not_judge", "some numbers are not finite; see NUM01")
    if evidence.samples < adequate:
        return too_few(evidence, adequate, "show a spread")
    if loss.hidden_spread >= exp(-limit):
        return CLEAR
    return Observation(
        f"In front of the head ({evidence.called(loss.hidden)}) samples differ by {loss.hidden_spread:.2g} of the root "
        f"mean square; {exp(-limit):.2g} is the limit.",
        note(evidence),
        (place_at(evidence, loss.hidden, loss.hidden_spread, exp(-limit)),),
        {"spread": loss.hidden_spread, "ln_spread": log(max(loss.hidden_spread, 1e-30))},
    )
