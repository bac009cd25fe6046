"""Counts the parameters that training leaves as they are."""

from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence, ParameterEvidence
from worker.rules import CLEAR, Answer, Observation, Silence, places_of, rule


@rule(
    "PAR01",
    Symptom.STRUCTURE_FAULT,
    order=21,
    aliases=["unused parameters", "UnchangedTensor"],
    told_by=[Symptom.NO_GRADIENT],
)
def idle_parameters(evidence: Evidence) -> Answer:
    """Some parameters take no part in training.

    What it measures
        Parameters with no path to the output that the loss reads, counted and named; and how many numbers are frozen.

    Why it matters
        A layer that was declared and never called, a head that another loss trains, or a branch that was left out of a
        sum looks like this.  Memory and checkpoints carry it all the same.

    When it is wrong
        Further outputs have parameters of their own, which this loss does not reach.  Frozen parts are frozen on
        purpose.  It is a note, never more.

    References
        PyTorch, DistributedDataParallel, `find_unused_parameters`.
    """
    unused = [each for each in evidence.parameters if each.state == "unused"]
    if not evidence.parameters and not evidence.structure.frozen:
        return Silence("not_applicable", "the model has no parameters")
    if not unused and not evidence.structure.frozen:
        return CLEAR
    total = sum(each.count for each in evidence.parameters) + evidence.structure.frozen
    idle = sum(each.count for each in unused)
    said = [*_unused(evidence, unused, idle / total), *_frozen(evidence.structure.frozen, total)]
    return Observation(
        " ".join(said),
        Severity.INFO,
        places_of(unused),
        {"unused": len(unused), "unused_share": idle / total, "frozen_share": evidence.structure.frozen / total},
    )


def _unused(evidence: Evidence, unused: list[ParameterEvidence], share: float) -> list[str]:
    if not unused:
        return []
    first = unused[0]
    name = evidence.called(first.node) if first.node else first.name
    part = f"{len(unused)} of {len(evidence.parameters)} parameters, {share:.1%} of all numbers,"
    return [f"{part} have no path to the output that the loss reads: {name} is the first."]


def _frozen(count: int, total: int) -> list[str]:
    return [f"{count / total:.1%} of all numbers in weights are frozen."] if count else []
