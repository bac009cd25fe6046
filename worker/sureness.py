"""How sure a verdict is: over the draws that were seen, and by how far each of them decides."""

import math
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Final

from scipy import special

from service.contract.words import Severity, Verdict
from worker.diagnose import told, verdict_of_draw
from worker.probe.evidence import Evidence
from worker.rules import Observation

_RISK: Final = 6.0
"""|G| from which a gain is told as a risk."""
_LEARNT: Final = ((200, 0.86), (100, 0.89), (0, 0.93))
"""Per steps at least: the share of healthy networks among those whose trial passed, half of all being healthy."""
_CLEAN: Final = 0.99
"""The same where the gain is known too and under the limit: 59 of 59 such networks trained."""
_UNTRIED: Final = 0.75
"""The same where nothing was trained and no evidence speaks against it."""


def sureness(verdict: Verdict, evidences: Sequence[Evidence], *, redrawn: bool) -> float:
    """Return the probability, in thousandths, that the verdict stands.

    Each draw i agrees with the verdict with a probability c_i: where it says the same, that of its most certain finding
    that decides, or, where it passes, the share of healthy networks among those whose trial passes (measured: .86 after
    200 steps; .99 where the gain is under its limit as well, times the probability that it is, where that is more);
    where it says otherwise, one less that.  Where the weights are drawn, it is the probability that most further draws
    agree, their share having the posterior Beta(1/2 + Σ c_i, 1/2 + n − Σ c_i) of Jeffreys' prior: .82 for one draw that
    is certain, .97 for three.  Where the file holds the weights, a further draw is the same again, and the mean of the
    c_i is told.
    """
    agreeing = [_agrees(verdict, evidence, told(evidence)) for evidence in evidences]
    if not redrawn:
        return round(mean(agreeing), 3)
    with_it = sum(agreeing)
    return round(float(special.betainc(0.5 + len(agreeing) - with_it, 0.5 + with_it, 0.5)), 3)


def _agrees(verdict: Verdict, evidence: Evidence, draw: Mapping[str, Observation]) -> float:
    """Return how probable it is that this draw by itself deserves the verdict."""
    own = verdict_of_draw({code: each.severity for code, each in draw.items()})
    sure = _passes(evidence, draw) if own is Verdict.PASS else _fires(draw, own)
    return sure if own is verdict else 1 - sure


def _fires(draw: Mapping[str, Observation], own: Verdict) -> float:
    """Return the confidence of the most certain finding that decides."""
    gravest = Severity.ERROR if own is Verdict.FAIL else Severity.WARNING
    return max(min(max(each.confidence, 0.0), 1.0) for each in draw.values() if each.severity is gravest)


def _passes(evidence: Evidence, draw: Mapping[str, Observation]) -> float:
    """Return how probable it is that a draw that nothing speaks against is healthy."""
    training, gain = evidence.training, evidence.gain
    under = _under(evidence, noted=any("gain" in each.evidence for each in draw.values()))
    if training is None or not training.passed or training.only_by_heart:
        return _UNTRIED * under
    tried = next(share for steps, share in _LEARNT if training.steps >= steps)
    if training.converged or (gain is not None and math.isfinite(gain.rate)):
        return max(_CLEAN * under, tried)
    return tried


def _under(evidence: Evidence, *, noted: bool) -> float:
    """Return how probable it is that |G| is under its limit, for a normal error of the cotangents and of the draw.

    A gain beyond it of which nothing is noted has another limit.
    """
    gain = evidence.gain
    if gain is None or not math.isfinite(gain.rate) or (abs(gain.rate) >= _RISK and not noted):
        return 1.0
    return 1 - gain.beyond(_RISK)
