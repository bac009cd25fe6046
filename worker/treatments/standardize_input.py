"""Inputs brought to unit scale."""

from dataclasses import replace

from service.contract.words import Symptom, TreatmentKind
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, treatment


@treatment(
    "standardize-input",
    TreatmentKind.DATA,
    {Symptom.INPUT_SCALE, Symptom.SATURATED_UNITS, Symptom.DEAD_UNITS},
    cost=1,
    retrains=False,
)
def standardize_input(subject: Subject, evidence: Evidence) -> Change | None:
    """Standardize the inputs

    What it changes
        From each float input its mean over the batch is subtracted, and the rest divided by its standard deviation.

    Why it helps
        Initializations and learning rates assume inputs of zero mean and unit scale.

    When it is wrong
        Mean and scale of one batch stand for those of the data set; take them from the data set.

    References
        LeCun et al. 1998, Efficient BackProp, section 4.3.
    """
    inputs, changes = dict(subject.batch.inputs), []
    for given in evidence.inputs:
        if given.std > 0:
            inputs[given.name] = (inputs[given.name] - given.mean) / given.std
            changes.append(f"Subtract {given.mean:.3g} from {given.name} and divide by {given.std:.3g}.")
    batch = replace(subject.batch, inputs=inputs)
    return Change(subject.replace(batch=batch), tuple(changes)) if changes else None
