"""Finds batch norms within a recurrence."""

from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, Answer, Observation, Silence, places_at, rule, some


@rule("NRM06", Symptom.NORMALIZATION_MISUSE, order=12, aliases=["batch norm in a recurrent network"])
def recurrent_batch_norm(evidence: Evidence) -> Answer:
    """A batch norm stands within a recurrence.

    What it measures
        Batch norms in the body of a loop, and those that lie between two uses of one kernel.

    Why it matters
        One set of running statistics has to serve every step, though the signal's differ from step to step; and each
        step multiplies the gradient by what a batch norm without a skip gives.

    When it is wrong
        Batch norms with statistics of their own for each step train well, and look the same.  Layers that are shared
        over depth are no time steps.  It is a note, never more.

    References
        Laurent et al. 2016 (arXiv 1510.01378); Cooijmans et al. 2017 (arXiv 1603.09025).
    """
    norms, found = evidence.structure.norms, evidence.structure.repeating
    if not norms and not found:
        return Silence("not_applicable", "no batch norm normalizes by the batch")
    if not found:
        return CLEAR
    count = some(len(found), "batch norm stands", "batch norms stand")
    return Observation(
        f"{count} within a recurrence, {evidence.called(found[0].node)} first: every step shares the running "
        "statistics, and none has them right.",
        Severity.INFO,
        places_at(found),
        {"norms": len(found)},
    )
