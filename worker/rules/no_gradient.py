"""Finds the parameters that nothing can teach."""

from service.contract.report import Place
from service.contract.words import Symptom
from worker.probe.evidence import Evidence, ParameterEvidence
from worker.rules import CLEAR, SHOWN_PLACES, Answer, Observation, Silence, rule, weigh


@rule("GRD03", Symptom.NO_GRADIENT, order=20, aliases=["AllZero", "UnchangedTensor"])
def no_gradient(evidence: Evidence, *, share: float = 0.5) -> Answer:
    """No gradient reaches some of the weights.

    What it measures
        Parameters whose gradient is exactly zero on the batch, also in float64 and also after parameters that are
        all zero were jittered.  Half of all numbers in weights, or more, is a certainty that rejects.

    Why it matters
        What receives no gradient does not learn, under any optimizer and at any rate.

    When it is wrong
        Rows of an embedding whose tokens are absent from the batch have no gradient either; only whole tensors count.
        Experts that the batch does not reach look the same as dead ones.

    References
        Zhang et al. 2019 (Fixup), Bachlechner et al. 2020 (ReZero): zero gradients by design, told apart here.
    """
    if evidence.nonfinite is not None:
        return Silence("could_not_judge", "the gradient is not finite; see NUM01")
    reached = [parameter for parameter in evidence.parameters if parameter.state != "unused"]
    dead = [parameter for parameter in reached if parameter.state == "dead"]
    if not evidence.parameters:
        return Silence("not_applicable", "the model has no parameters that training changes")
    if not reached:
        return _cut_off(evidence)
    if not dead:
        return CLEAR
    lost = sum(parameter.count for parameter in dead) / sum(parameter.count for parameter in reached)
    return Observation(
        f"{len(dead)} of {len(reached)} parameters, {lost:.0%} of all weights, receive a gradient of exactly zero"
        f"{_where(dead)}.",
        weigh(evidence, certain=lost >= share),
        tuple(Place(node=p.node, origin=p.origin, parameter=p.name, measured=0, limit=0) for p in dead[:SHOWN_PLACES]),
        {"share": lost, "parameters": len(dead)},
    )


def _cut_off(evidence: Evidence) -> Observation:
    first = evidence.parameters[:SHOWN_PLACES]
    return Observation(
        f"None of the {len(evidence.parameters)} parameters has a differentiable path to the loss; an operator without "
        "a gradient stands between.",
        weigh(evidence, certain=True),
        tuple(Place(node=p.node, origin=p.origin, parameter=p.name, measured=0, limit=0) for p in first),
        {"share": 1.0, "parameters": len(evidence.parameters)},
    )


def _where(dead: list[ParameterEvidence]) -> str:
    ends = list(dict.fromkeys(parameter.blocked_at for parameter in dead if parameter.blocked_at))
    return f"; it ends at {' and '.join(ends[:2])}" if ends else ", wherever the loss is read from"
