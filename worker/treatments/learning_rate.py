"""A learning rate that was tried."""

from dataclasses import replace

from service.contract.words import OptimizerName, Symptom, TreatmentKind
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Inapplicable, Outcome, treatment


@treatment(
    "learning-rate",
    TreatmentKind.LEARNING_RATE,
    {Symptom.UNSTABLE_LEARNING_RATE, Symptom.SLOW_LEARNING_RATE, Symptom.GRADIENT_SPIKES},
    cost=1,
    retrains=False,
)
def learning_rate(subject: Subject, evidence: Evidence) -> Outcome:
    """Use the learning rate that trained

    What it changes
        The declared optimizer and rate give way to those under which the training trial learnt the batch.

    Why it helps
        The declared rate was tried and diverged; this one was tried and did not.

    When it is wrong
        The best rate of the first two hundred steps is not the best of a whole schedule.

    References
        Smith 2017 (arXiv 1506.01186): the learning-rate range test.
    """
    best = evidence.training.best if evidence.training else None
    if best is None or not best.beaten or best.declared:
        return Inapplicable("No rate but the declared one was found to train.")
    name, rate = OptimizerName(best.optimizer), best.learning_rate
    settings = replace(subject.settings, optimizer=name, learning_rate=rate)
    return Change(subject.replace(settings=settings), (f"Train with {name} at a rate of {rate:g}.",))
