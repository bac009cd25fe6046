"""Finds attention that looks at one position only."""

from service.contract.report import Place
from service.contract.words import Symptom
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, SHOWN_PLACES, Answer, Observation, Silence, rule, weigh


@rule("ATT01", Symptom.ATTENTION_COLLAPSE, order=30, aliases=["attention entropy collapse"])
def attention_collapse(evidence: Evidence, *, entropy: float = 0.1) -> Answer:
    """Attention has collapsed onto single positions.

    What it measures
        The mean entropy of an attention's rows by its largest possible value, ln of the positions in sight: .88 to
        .99 at a usual start, under .1 collapsed.

    Why it matters
        A softmax this sharp passes almost no gradient to queries and keys, and training becomes unstable.

    When it is wrong
        A trained head may look at one position on purpose.

    References
        Zhai et al. 2023 (arXiv 2303.06296).
    """
    if not evidence.attention:
        return Silence("not_applicable", "there is no attention")
    found = sorted((value, name) for name, value in evidence.attention.items() if value < entropy)
    if not found:
        return CLEAR
    return Observation(
        f"In {len(found)} of {len(evidence.attention)} attentions the weights sit on single positions: "
        f"{evidence.called(found[0][1])} keeps {found[0][0]:.0%} of the possible entropy ({entropy:.0%} is the limit).",
        weigh(evidence),
        tuple(
            Place(node=name, origin=evidence.origins.get(name), measured=value, limit=entropy)
            for value, name in found[:SHOWN_PLACES]
        ),
        {"entropy": found[0][0], "attentions": len(found)},
    )
