"""What was measured on the draws of a subject, and what the rules make of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Self

from service.contract.report import Finding
from service.contract.words import Severity, Verdict
from worker.budget import PROBE, Deadline
from worker.course import Run
from worker.diagnose import diagnose, raised, verdict
from worker.probe.evidence import TELLING_STEPS, Evidence, Training
from worker.probe.measure import probe
from worker.probe.thorough import planned_s
from worker.probe.training import USUAL_RATE, Ask, try_training
from worker.subject import Subject

RISK: Final = 6.0
"""|G| from which the trial also asks whether plain SGD can train (Schoenholz et al. 2017: depth over six depth
scales).
"""


@dataclass(frozen=True)
class Examined:
    """Subjects, one per seed, with what was measured on them."""

    subjects: tuple[Subject, ...]
    """Empty for treated copies, which are made again where they are needed: one may weigh as much as the model."""
    evidences: tuple[Evidence, ...]
    findings: tuple[Finding, ...]

    @classmethod
    def of(cls, subjects: Sequence[Subject], evidences: Sequence[Evidence]) -> Self:
        """Return these draws with what the rules find in them together."""
        return cls(tuple(subjects), tuple(evidences), diagnose(evidences)[0])

    def part(self, draws: Sequence[int]) -> Self:
        """Return some of the draws."""
        return self.of([self.subjects[draw] for draw in draws], [self.evidences[draw] for draw in draws])

    @property
    def verdict(self) -> Verdict:
        """What the findings say together."""
        return verdict(self.findings)

    @property
    def cut(self) -> bool:
        """Whether time ran out before the training of every draw could show that it learns."""
        return any(evidence.training is not None and evidence.training.cut for evidence in self.evidences)

    @cached_property
    def codes(self) -> frozenset[str]:
        """The rules that warn or reject."""
        return frozenset(finding.code for finding in self.findings if finding.severity is not Severity.INFO)

    @cached_property
    def errors(self) -> frozenset[str]:
        """The rules that reject."""
        return frozenset(finding.code for finding in self.findings if finding.severity is Severity.ERROR)

    @cached_property
    def raised(self) -> frozenset[str]:
        """The rules that warn or reject on any draw, those among them that a cause has spoken for."""
        return self.codes.union(*map(raised, self.evidences))


def measured(subject: Subject, ask: Ask, deadline: Deadline) -> Evidence:
    """Probe a subject and, where its numbers are finite, train it; see `Ask` for how thoroughly."""
    with deadline.meter.timed("probe", PROBE * subject.pass_s + planned_s(subject, deep=ask.deep, sharp=ask.both)):
        evidence = probe(subject, deep=ask.deep, sharp=ask.both)
    if evidence.nonfinite is not None:
        return evidence
    at_risk = evidence.gain is not None and abs(evidence.gain.rate) >= RISK
    ask = replace(ask, both=ask.both and at_risk)
    return replace(evidence, training=try_training(subject, evidence.loss, ask, deadline))


def supposing(evidence: Evidence, *, learns: bool) -> Evidence:
    """Return evidence of a probe with the training trial supposed: that it learns, or that every way of it failed."""
    loss, steps = evidence.loss.chance, TELLING_STEPS
    run = Run(
        optimizer="adam",
        learning_rate=USUAL_RATE,
        declared=False,
        losses=(loss,) * steps,
        final=0.0,
        lowest=0.0,
        gradient_norms=(1.0,) * steps,
        beaten=True,
        diverged=False,
        spike=1.0,
    )
    return replace(
        evidence, training=Training((run,) if learns else (), steps, complete=True, converged=False, judged=True)
    )


def figures(evidence: Evidence) -> dict[str, float]:
    """Return the numbers that a reader compares."""
    found: dict[str, float] = {"initial_loss": evidence.loss.value}
    if evidence.gain is not None:
        found["gain"] = evidence.gain.total
    best = evidence.training.best if evidence.training else None
    if best is not None and math.isfinite(best.lowest):
        found["lowest_loss"] = best.lowest
    dead = [place.units.dead for place in evidence.places if place.units is not None]
    saturated = [place.activation.saturated for place in evidence.places if place.activation.saturated is not None]
    if dead:
        found["dead"] = max(dead)
    if saturated:
        found["saturated"] = max(saturated)
    return found
