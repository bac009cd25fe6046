"""Finds attention scores that have grown large."""

from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, SHOWN_PLACES, Answer, Observation, Silence, place_at, rule


@rule(
    "ATT02",
    Symptom.ATTENTION_COLLAPSE,
    order=31,
    aliases=["attention logit growth"],
    told_by=[Symptom.ATTENTION_COLLAPSE],
)
def attention_logits(evidence: Evidence, *, largest: float = 50.0) -> Answer:
    """Attention scores are large.

    What it measures
        The largest magnitude of a score before an attention's softmax, but for what masks put there; beyond 50 it is
        noted.

    Why it matters
        A difference of 50 between two scores gives one of them e^-50 of the weight: its slope is zero.  Scores that
        keep growing end in collapsed attention, in low precision in overflow.

    When it is wrong
        Scores may be large together: a softmax sees differences only.  Trained attention has large scores and works.
        It is a note, never more.

    References
        Wortsman et al. 2023 (arXiv 2309.14322); Dehghani et al. 2023 (arXiv 2302.05442): query and key norms.
    """
    if not evidence.attention:
        return Silence("not_applicable", "there is no attention")
    found = sorted(
        ((each.logit, name) for name, each in evidence.attention.items() if each.logit > largest), reverse=True
    )
    if not found:
        return CLEAR
    value, name = found[0]
    return Observation(
        f"In {len(found)} of {len(evidence.attention)} attentions scores are large: {evidence.called(name)} has one "
        f"of {value:.3g} ({largest:g} is the limit).",
        Severity.INFO,
        tuple(place_at(evidence, where, each, largest) for each, where in found[:SHOWN_PLACES]),
        {"logit": value, "attentions": len(found)},
    )
