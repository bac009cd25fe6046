"""Finds attention that looks at one position only."""

from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, SHOWN_PLACES, Answer, Observation, Silence, place_at, rule, weigh


@rule("ATT01", Symptom.ATTENTION_COLLAPSE, order=30, aliases=["attention entropy collapse"])
def attention_collapse(evidence: Evidence, *, entropy: float = 0.1) -> Answer:
    """Attention has collapsed onto single positions.

    What it measures
        The mean entropy of an attention's rows by its largest possible value, ln of the positions in sight: .88 to
        .99 at a usual start, under .1 collapsed.  Where heads can be told apart, that of the sharpest head.

    Why it matters
        A softmax this sharp passes almost no gradient to queries and keys, and training becomes unstable.

    When it is wrong
        A trained head may look at one position on purpose.  So a single head warns only where weights were drawn; in a
        file, which may come trained, it is a note unless all heads together are as sharp.

    References
        Zhai et al. 2023 (arXiv 2303.06296).
    """
    if not evidence.attention:
        return Silence("not_applicable", "there is no attention")
    found = sorted((min(each.heads), name) for name, each in evidence.attention.items() if min(each.heads) < entropy)
    if not found:
        return CLEAR
    whole = [name for _, name in found if evidence.attention[name].entropy < entropy]
    sure = bool(whole) or evidence.drawn
    return Observation(
        _sentence(evidence, found, entropy),
        weigh(evidence) if sure else Severity.INFO,
        tuple(place_at(evidence, name, value, entropy) for value, name in found[:SHOWN_PLACES]),
        {"entropy": found[0][0], "attentions": len(found), "collapsed_throughout": len(whole)},
    )


def _sentence(evidence: Evidence, found: list[tuple[float, str]], limit: float) -> str:
    value, name = found[0]
    heads = evidence.attention[name].heads
    sharp = sum(each < limit for each in heads)
    which = "" if sharp == len(heads) else f"the sharpest of {sharp} such heads among {len(heads)} of "
    return (
        f"In {len(found)} of {len(evidence.attention)} attentions the weights sit on single positions: "
        f"{which}{evidence.called(name)} keeps {value:.0%} of the possible entropy ({limit:.0%} is the limit)."
    )
