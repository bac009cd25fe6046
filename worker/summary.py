"""The report in a sentence or two, as a person would say it."""

from collections.abc import Sequence

from service.contract.report import Finding, Prescription, Remedy
from service.contract.words import RemedyStatus, Severity, Verdict
from worker.answers import several
from worker.probe.evidence import Evidence
from worker.treatments import treatments


def summary(
    verdict: Verdict,
    findings: Sequence[Finding],
    prescription: Prescription | None,
    evidences: Sequence[Evidence],
    *,
    partial: Prescription | None = None,
    remedies: Sequence[Remedy] = (),
) -> str:
    """Say in a sentence or two what a person would say."""
    telling = [finding for finding in findings if finding.severity is not Severity.INFO]
    trained = [evidence for evidence in evidences if evidence.training is not None and evidence.training.passed]
    if not telling:
        return _healthy([*trained, *evidences][0])
    risk = "learns its batch, but is at risk" if 2 * len(trained) > len(evidences) else "is at risk"
    word = {Verdict.FAIL: "should not be trained as it stands", Verdict.WARN: risk}[verdict]
    others = f" (and {several(len(telling) - 1, 'more finding')})" if telling[1:] else ""
    return f"This model {word}: {_clause(telling[0])}{others}.{_cure(prescription) or _closest(partial, remedies)}"


def _cure(prescription: Prescription | None) -> str:
    """Return what cures it, where something was found to."""
    return f" Tried and found to cure it: {_names(prescription)}." if prescription else ""


def _closest(partial: Prescription | None, remedies: Sequence[Remedy]) -> str:
    """Return that nothing cures it, what comes closest, and how many treatments were left untried."""
    statuses = [remedy.status for remedy in remedies]
    untried = statuses.count(RemedyStatus.UNTESTED)
    tried = len(statuses) - untried - statuses.count(RemedyStatus.NOT_APPLICABLE)
    late = f" Time ran out with {several(untried, 'treatment')} untried." if untried else ""
    if partial is None:
        return (" Nothing that was tried cures it." if tried else "") + late
    leaves = f", which leaves {' and '.join(partial.leaves)}" if partial.leaves else ""
    return f" Nothing that was tried cures it; what comes closest: {_names(partial)}{leaves}.{late}"


def _names(prescription: Prescription) -> str:
    return " and ".join(_within(treatments[name].title) for name in prescription.remedies)


def _within(title: str) -> str:
    """Return a title as it stands within a sentence."""
    return title[0].lower() + title[1:]


def _clause(finding: Finding) -> str:
    """Return what a finding shows, and in how many draws where these are no majority."""
    said, seeds = _within(finding.title.rstrip(".")), finding.seeds
    if seeds is None or 2 * seeds.showing > seeds.of:
        return said
    together = "most of its draws fail, though not by one rule: " if finding.severity is Severity.ERROR else ""
    return f"{together}in {seeds.showing} of {seeds.of} draws {said}"


def _healthy(evidence: Evidence) -> str:
    training = evidence.training
    best = training.best if training else None
    if training is not None and training.converged:
        return "This model comes trained, and nothing speaks against training it on."
    if best is None:
        return "Nothing speaks against training this model, but there was nothing to try: " + _untried(evidence)
    if training is not None and not training.passed:
        return (
            "Nothing speaks against training this model, but the trial ran out of time after "
            f"{several(len(best.losses), 'step')} and shows nothing."
        )
    if training is not None and training.only_by_heart:
        return (
            "Nothing speaks against training this model: it learns a few samples by heart, though not the batch as a "
            f"whole within {several(len(best.losses), 'step')}."
        )
    return (
        f"This model trains: {best.optimizer} took the loss from {best.losses[0]:.3g} to {best.lowest:.3g} within "
        f"{len(best.losses)} steps, where the best constant prediction costs {evidence.loss.chance:.3g}."
    )


def _untried(evidence: Evidence) -> str:
    """Say why there was no training trial."""
    if not evidence.parameters:
        return "it has no weights to train."
    return "the batch's targets are all the same."
