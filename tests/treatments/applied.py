"""What treatments make of subjects, and what those compute."""

import torch
from torch import Tensor

from worker.network.run import Program
from worker.probe.evidence import Evidence
from worker.probe.measure import probe
from worker.subject import Subject
from worker.treatments import Change, Inapplicable, Outcome, treatments


def outcome(name: str, subject: Subject, evidence: Evidence | None = None) -> Outcome:
    """Return what comes of a treatment, by what a probe finds unless `evidence` is given."""
    return treatments[name].apply(subject, evidence or probe(subject))


def changed(name: str, subject: Subject, evidence: Evidence | None = None) -> Change:
    """Return the change that a treatment makes, which is told in sentences."""
    change = outcome(name, subject, evidence)
    assert isinstance(change, Change), change
    assert all(sentence.endswith(".") for sentence in change.changes)
    return change


def treated(name: str, subject: Subject, evidence: Evidence | None = None) -> Subject:
    """Return the subject as a treatment changes it."""
    return changed(name, subject, evidence).subject


def refused(name: str, subject: Subject, evidence: Evidence | None = None) -> str:
    """Return why a treatment has nothing to change."""
    reason = outcome(name, subject, evidence)
    assert isinstance(reason, Inapplicable), reason
    return reason.reason


def output(subject: Subject, *, training: bool = True) -> Tensor:
    """Return what the subject's network computes of its batch."""
    with torch.no_grad():
        return Program(subject.graph).run(subject.batch.inputs, training=training)[subject.output]


def weight(subject: Subject, name: str) -> Tensor:
    """Return a parameter's value."""
    return subject.graph.parameters[name].value
