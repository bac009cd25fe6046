"""Finds the parameters that nothing can teach."""

from typing import Final

from service.contract.report import Place
from service.contract.words import Severity, Symptom
from worker.probe.evidence import Cut, Evidence, ParameterEvidence
from worker.rules import CLEAR, Answer, Observation, Silence, places_of, rule, some, weigh

NAMED: Final = 3
"""How many of the operators that cut a gradient are named."""
RECURRENT: Final = frozenset({"RNN", "GRU", "LSTM"})
ADEQUATE: Final = 32
"""Samples that tell a layer that is off for good from one that is idle."""


@rule("GRD03", Symptom.NO_GRADIENT, order=20, aliases=["AllZero", "UnchangedTensor"])
def no_gradient(evidence: Evidence, *, share: float = 0.5) -> Answer:
    """No gradient reaches some of the weights.

    What it measures
        Parameters whose gradient is exactly zero on the batch, also in float64, and also after parameters that are all
        zero took a step along their own gradient: what such a step opens (a zero-initialised gate) is no fault, what it
        leaves shut (zeros behind zeros) is.  And those that move the loss only through operators that no gradient
        comes back through: a choice (ArgMax, a comparison), a step (Round, Sign, Floor), a cast to whole numbers.  The
        operators are named.  Half of all numbers in weights, or more, is a certainty that rejects.  A bias that is
        taken out again behind (by a softmax, or the difference of two towers) is noted, no more.

    Why it matters
        What receives no gradient does not learn, under any optimizer and at any rate.

    When it is wrong
        Rows of an embedding whose tokens are absent from the batch have no gradient either; only whole tensors count.
        Experts that the batch does not reach look the same as dead ones.  A training script may pass a gradient
        straight through a step that the exported file shows as it is; or it freezes what lies behind on purpose.
        What is dead because a layer's units are is told by UNT01.  Where of a reversed direction only the last output
        is read, its state's weights do nothing: a note, no more.

    References
        Zhang et al. 2019 (Fixup), Bachlechner et al. 2020 (ReZero): zero gradients by design, told apart here.
        Bengio et al. 2013: estimators that pass a gradient through a step.
    """
    if evidence.nonfinite is not None:
        return Silence("could_not_judge", "the gradient is not finite; see NUM01")
    if not evidence.parameters:
        return Silence("not_applicable", "the model has no parameters that training changes")
    reached = [parameter for parameter in evidence.parameters if parameter.state != "unused"]
    if not reached:
        return _apart(evidence)
    units = _dead_units(evidence)
    silent = [parameter for parameter in reached if parameter.state in {"dead", "cut"}]
    lost = [parameter for parameter in silent if parameter.blocked_at not in units or parameter.state == "cut"]
    first = [parameter for parameter in lost if _first_step(parameter)]
    if lost and len(first) == len(lost):
        return _unread(evidence, first)
    if not lost:
        return Silence("clear", "UNT01 is the cause and says it") if silent else _useless(evidence)
    part = sum(parameter.count for parameter in lost) / sum(parameter.count for parameter in reached)
    cuts = _cuts(lost)
    return Observation(
        _told(evidence, lost, cuts, part),
        weigh(evidence, certain=part >= share),
        (*(Place(node=each.node, origin=each.origin, measured=0, limit=0) for each in cuts[:NAMED]), *places_of(lost)),
        {"share": part, "parameters": len(lost)},
    )


def _dead_units(evidence: Evidence) -> set[str]:
    """Return the activations whose units are all dead for sure."""
    judged = [(place.node, place.units) for place in evidence.places if place.units is not None]
    return {node for node, units in judged if units.off and not units.blank and units.samples >= ADEQUATE}


def _first_step(parameter: ParameterEvidence) -> bool:
    """Whether it is a recurrent operator's weight of the state, and what comes back stops within the operator."""
    return parameter.state == "dead" and parameter.op in RECURRENT and parameter.blocked_at == parameter.node


def _unread(evidence: Evidence, found: list[ParameterEvidence]) -> Answer:
    """Note the weights of a state that is only read where it has just begun."""
    return Observation(
        f"{found[0].name} of {evidence.called(found[0].node)} changes nothing: of that direction only the first step "
        "is read, whose state is zero. A last step's output holds a reversed direction's first one.",
        Severity.INFO,
        places_of(found),
        {"parameters": len(found)},
    )


def _useless(evidence: Evidence) -> Answer:
    """Note the biases whose gradient cancels exactly."""
    found = [each for each in evidence.parameters if each.state == "useless" and each.gradient_rms == 0]
    if not found:
        return CLEAR
    name = evidence.called(found[0].node)
    many = some(len(found), "bias changes", "biases change")
    return Observation(
        f"{many} nothing, {found[0].name} at {name}{' first' if found[1:] else ''}: what is added there is taken out "
        "again behind, by a softmax, a norm or a difference, so its gradient cancels.",
        Severity.INFO,
        places_of(found),
        {"parameters": len(found)},
    )


def _told(evidence: Evidence, lost: list[ParameterEvidence], cuts: list[Cut], part: float) -> str:
    """Return the finding in words: what is cut off for good, and what is dead on this batch."""
    reached = sum(parameter.state != "unused" for parameter in evidence.parameters)
    whole = f"{len(lost)} of {reached} parameters, {part:.0%} of all weights,"
    dead = [parameter for parameter in lost if parameter.state == "dead"]
    if not dead:
        return f"{whole} can receive no gradient{_ends(cuts)}."
    zero = f"receive a gradient of exactly zero{_where(evidence, dead)}{_blank(dead)}"
    if not cuts:
        return f"{whole} {zero}."
    return f"{whole} receive none: {len(dead)} {zero}; {len(lost) - len(dead)} can receive none{_ends(cuts)}."


def _blank(dead: list[ParameterEvidence]) -> str:
    """Say that weights of zero stand behind weights of zero."""
    zero = [parameter for parameter in dead if parameter.rms == 0 and parameter.units]
    return f"; {len(zero)} kernels are all zero, one behind the other, and no step opens them" if zero[1:] else ""


def _apart(evidence: Evidence) -> Observation:
    return Observation(
        f"None of the {len(evidence.parameters)} parameters changes the output that the loss reads.",
        weigh(evidence, certain=True),
        places_of(evidence.parameters),
        {"share": 1.0, "parameters": len(evidence.parameters)},
    )


def _cuts(lost: list[ParameterEvidence]) -> list[Cut]:
    return list(dict.fromkeys(cut for parameter in lost for cut in parameter.cuts))


def _ends(cuts: list[Cut]) -> str:
    shown = [f"{cut.op} {cut.node!r}" + (f" within {cut.within!r}" if cut.within else "") for cut in cuts[:NAMED]]
    more = f" and {len(cuts) - NAMED} more" if len(cuts) > NAMED else ""
    return f": the gradient ends at {', '.join(shown)}{more}" if shown else ""


def _where(evidence: Evidence, dead: list[ParameterEvidence]) -> str:
    ends = list(dict.fromkeys(parameter.blocked_at for parameter in dead if parameter.blocked_at))
    return (
        f"; it ends at {' and '.join(map(evidence.called, ends[:2]))}" if ends else ", wherever the loss is read from"
    )
