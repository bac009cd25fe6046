"""Finds recurrent layers whose gradient explodes, or fades, along time."""

from math import exp

from service.contract.report import Place
from service.contract.words import Symptom
from worker.probe.evidence import Evidence, RecurrentGain
from worker.rules import CLEAR, SHOWN_PLACES, Answer, Observation, Silence, rule, weigh


@rule("REC01", Symptom.RECURRENT_GAIN, order=40, aliases=["exploding gradient through time"])
def recurrent_gain(evidence: Evidence, *, risk: float = 6.0, forgotten: float = 12.0) -> Answer:
    """The gradient of a recurrent layer explodes or fades along time.

    What it measures
        ln of how much the squared norm of a random cotangent at the last time step changes on its way to the first:
        of recurrent operators, of loops and scans, and of cells that an exporter wrote out step by step.  Above +6 it
        explodes.  Below -12 the early steps are forgotten, which counts only if the training trial fails.  The
        gradient changes e-fold in 2/|λ| steps, where λ is the gain per step.

    Why it matters
        The same matrix acts at every step: what grows by a tenth per step grows a hundredfold in fifty.

    When it is wrong
        A short memory is a fault only where the task needs a longer one; an LSTM in its usual state remembers two
        steps and learns more.  The gain is that of this batch's length: longer sequences grow further.

    References
        Pascanu et al. 2013 (arXiv 1211.5063); Chen et al. 2018 (mean field of recurrent networks).
    """
    if not evidence.recurrent:
        return Silence("not_applicable", "there is no recurrent operator")
    found = [each for each in evidence.recurrent if each.total > risk or (evidence.failed and each.total < -forgotten)]
    if not found:
        return CLEAR
    worst = max(found, key=lambda each: abs(each.total))
    return Observation(
        f"Over {worst.steps} time steps the gradient of {evidence.called(worst.node, worst.op)} {_does(worst)} "
        f"(ln of squared gain {worst.total:+.1f}; {risk if worst.total > 0 else -forgotten:+g} is the limit).",
        weigh(evidence),
        tuple(
            Place(node=each.node, origin=each.origin, measured=each.total, limit=risk if each.total > 0 else -forgotten)
            for each in found[:SHOWN_PLACES]
        ),
        {"gain": worst.total, "steps": worst.steps, "rate": worst.rate, "horizon": worst.horizon},
    )


def _does(gain: RecurrentGain) -> str:
    """Say what becomes of the gradient at every step, and over how many it keeps."""
    each = f"each step multiplies it by {exp(gain.rate / 2):.2f}"
    if gain.total > 0:
        return f"grows: {each}"
    return f"shrinks: {each}, so that it remembers {gain.horizon:.1f} of them"
