"""Finds networks whose output hardly depends on the sample."""

from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, Answer, Observation, learnt, place_at, rule, ungained, weigh


@rule(
    "RNK01",
    Symptom.RANK_COLLAPSE,
    order=45,
    aliases=["TensorVariance", "input-independent output"],
    told_by=[Symptom.VANISHING_GRADIENT, Symptom.DEAD_UNITS, Symptom.RECURRENT_GAIN],
)
def rank_collapse(evidence: Evidence, *, limit: float = 6.0, severe: float = 12.0) -> Answer:
    """Samples become indistinguishable on their way through.

    What it measures
        C: how the share of variance that is between samples (or, where that is worse, between the positions of one
        sequence) changes from the first to the last hidden cut, as ln; below -6 it counts, down to -12 only as a note
        where the training trial learns in every way that it tries.

    Why it matters
        What the last layers cannot tell apart they cannot learn to answer differently.

    When it is wrong
        Deep rectifier networks make samples alike by nature: He's initialization reaches -5.6 after a hundred layers.
        Where the gradient vanishes as well, that finding says the same and this one stays silent.

    References
        Schoenholz et al. 2017; Noci et al. 2022 (arXiv 2206.03126) for tokens.
    """
    gain = evidence.gain
    if gain is None:
        return ungained(evidence)
    worst = min(gain.collapse, gain.token_collapse)
    if worst > -limit:
        return CLEAR
    end = gain.segments[-1].end
    what = "positions of a sequence" if gain.token_collapse < gain.collapse else "samples"
    return Observation(
        f"Between the first and the last hidden layer the share of variance between {what} falls by a factor "
        f"of e^{-worst:.1f} (e^{limit:g} is the limit).",
        Severity.INFO if worst > -severe and learnt(evidence) else weigh(evidence),
        (place_at(evidence, end, worst, -limit),),
        {"collapse": gain.collapse, "token_collapse": gain.token_collapse, "forward_gain": gain.forward},
    )
