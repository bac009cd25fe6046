"""The bench: treatments are applied to copies of every draw and measured as the subject was, with the same seeds."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from service.contract.words import TreatmentKind, Verdict
from worker.budget import PROBE, Deadline, OutOfTime
from worker.passes import Passes, counted
from worker.probe.evidence import Evidence
from worker.probe.measure import probe
from worker.probe.training import HALF, LEARNT, Ask
from worker.subject import Subject
from worker.treatments import Change, Inapplicable, Outcome, Treatment
from worker.trial.duel import RATES, WORTH, Duel, affordable, log_losses, rounds
from worker.trial.examined import Examined, measured, supposing

FRESH: Final = 1000
"""How far the seeds of the last confirmation lie from those that anything was chosen by."""
SETTINGS: Final = frozenset({TreatmentKind.CLIPPING, TreatmentKind.LEARNING_RATE, TreatmentKind.OPTIMIZER})
"""Kinds of treatment that only training shows, and that go by what it measured."""
_SET_THE_RATE: Final = frozenset({TreatmentKind.LEARNING_RATE, TreatmentKind.OPTIMIZER})
_DIRECT: Final = (
    *(TreatmentKind.LOSS, TreatmentKind.DATA, TreatmentKind.PRECISION, TreatmentKind.REGULARIZATION),
    *(TreatmentKind.LEARNING_RATE, TreatmentKind.CLIPPING, TreatmentKind.OPTIMIZER, TreatmentKind.INIT),
    *(TreatmentKind.ACTIVATION, TreatmentKind.NORMALIZATION, TreatmentKind.RESIDUAL),
)
"""Kinds of treatment, those first that go to a cause."""
_SHARE: Final = 0.25
"""Most of the time left that the training of one copy may take."""


@dataclass(frozen=True)
class Tried:
    """Treatments applied together, and what they did."""

    treatments: tuple[Treatment, ...]
    changes: tuple[str, ...]
    """Those of the first draw, as sentences."""
    values: Mapping[str, str]
    """What fills the blanks of the treatments' hints."""
    before: Examined
    """The draws that were compared."""
    after: Examined
    duel: Duel = field(default_factory=Duel)
    """Empty where the re-probe decided alone."""
    left: frozenset[str] | None = None
    """Of what was probed and not trained: what would be left to warn of if the copy learns."""
    passes: Passes = field(default_factory=Passes)

    @property
    def names(self) -> frozenset[str]:
        """The names of the treatments."""
        return frozenset(treatment.name for treatment in self.treatments)

    @property
    def trained(self) -> bool:
        """Whether copies were trained, too."""
        return self.left is None

    @property
    def cost(self) -> int:
        """What the changes ask of the owner."""
        return sum(treatment.cost for treatment in self.treatments)

    @property
    def roundabout(self) -> int:
        """How far the changes are from causes: of what costs as much, a loss, data or a rate says more."""
        return sum(_DIRECT.index(treatment.kind) for treatment in self.treatments)

    @property
    def gain(self) -> float:
        """|ln of the squared gradient's gain| of the first copy; 0 where there is none to measure."""
        found = self.after.evidences[0].gain
        return 0.0 if found is None or math.isnan(found.total) else abs(found.total)

    @property
    def cures(self) -> frozenset[str]:
        """Findings that are gone, not even silenced by another."""
        return self.before.codes - self.after.raised

    @property
    def causes(self) -> frozenset[str]:
        """Findings that nothing spoke of before."""
        return self.after.codes - self.before.raised


class Bench:
    """A subject under treatment: everything that is tried is measured against the same untreated side."""

    def __init__(self, before: Examined, steps: int, deadline: Deadline) -> None:
        """Compare with `before`; `steps` is the length of the full training trial."""
        self.before = before
        self._ask = Ask(steps, goal=HALF)
        self._deadline = deadline
        self._losses: dict[tuple[int, tuple[float, ...]], float] = {}
        self._retuned: dict[tuple[frozenset[str], int], Evidence] = {}

    @property
    def out_of_time(self) -> bool:
        """Whether there is no time left for another probe of a draw."""
        return self._deadline.left < PROBE * self.before.subjects[0].pass_s or self._deadline.too_late_for("probe")

    @cached_property
    def draws(self) -> tuple[int, ...]:
        """The fewest draws, the first among them, that show all that the draws show together."""
        chosen = [0]
        for draw in range(1, len(self.before.evidences)):
            if self.before.codes <= self.before.part(chosen).raised:
                break
            chosen.append(draw)
        return tuple(chosen)

    @cached_property
    def compared(self) -> Examined:
        """What those draws show."""
        every = len(self.draws) == len(self.before.evidences)
        return self.before if every else replace(self.before.part(self.draws), findings=self.before.findings)

    @cached_property
    def seen(self) -> Examined:
        """What a probe of the first draw alone shows, supposing that training goes as it went."""
        return Examined.of(self.before.subjects[:1], [self._supposing(self.before.evidences[0])])

    def _supposing(self, evidence: Evidence) -> Evidence:
        return supposing(evidence, learns=not self.before.evidences[0].failed)

    def shared(self, part: float) -> Deadline:
        """Return when this part of the time left will be over."""
        return self._deadline.share(part)

    def within(self, seconds: float) -> Deadline:
        """Return when this many planned seconds from now will be over."""
        return replace(self._deadline, at=min(self._deadline.at, self._deadline.meter.now() + seconds))

    def screen(self, treatments: Sequence[Treatment]) -> Tried | Inapplicable:
        """Apply the treatments to the first draw and probe the copy, without training it."""
        with counted(Passes()) as passes:
            change = self.treated(treatments)
            if isinstance(change, Inapplicable):
                return change
            with self._deadline.meter.timed("screen", PROBE * change.subject.pass_s):
                evidence = probe(change.subject)
        after = Examined.of((), [self._supposing(evidence)])
        left = Examined.of((), [supposing(evidence, learns=True)]).codes
        return Tried(tuple(treatments), change.changes, change.values, self.seen, after, left=left, passes=passes)

    def attempt(self, screened: Tried) -> Tried:
        """Let what was screened duel, and examine the copies of the draws compared, unless nothing speaks for it."""
        with counted(screened.passes):
            duel = self.duel(screened.treatments)
            if duel.bounds[1] < WORTH and not screened.cures:
                return replace(screened, duel=duel)
            copies = (self._copy(screened.treatments, self.before.subjects[draw], draw) for draw in self.draws)
            return replace(screened, before=self.compared, after=self._examined(copies), duel=duel, left=None)

    def in_every_draw(self, tried: Tried) -> Tried:
        """Return what was tried on some draws, examined on all of them."""
        if len(tried.after.evidences) == len(self.before.evidences):
            return tried
        others = [draw for draw in range(len(self.before.subjects)) if draw not in self.draws]
        with counted(tried.passes):
            more = self._examined(self._copy(tried.treatments, self.before.subjects[draw], draw) for draw in others)
        return replace(tried, before=self.before, after=Examined.of((), (*tried.after.evidences, *more.evidences)))

    def duel(self, treatments: Sequence[Treatment]) -> Duel:
        """Train treated copies beside untreated ones, pair by pair, until it is clear who ends lower.

        Where the rate is what is treated, both sides take the rate that they have.
        """
        rates = (1.0,) if any(each.kind in _SET_THE_RATE for each in treatments) else RATES
        first, duel = self.before.subjects[0], Duel()
        for pairs in rounds(first, len(rates), self._deadline):
            if duel.settled:
                break
            copies = self._treated_pairs(treatments, pairs)
            if not affordable(first, 2 * len(pairs) * len(rates), self._deadline):
                break
            ends, bare = log_losses(copies, rates, self._deadline), self._untreated(copies, rates)
            duel = Duel((*duel.gains, *(bare[pair] - ends[pair] for pair in copies)))
        return duel

    def treated(self, treatments: Sequence[Treatment]) -> Outcome:
        """Return the first draw with the treatments applied, or why one of them has nothing to change."""
        change, reasons = self._applied(treatments, self.before.subjects[0], 0)
        return Inapplicable(reasons[0]) if reasons else change

    def fresh(self, treatments: Sequence[Treatment]) -> Examined:
        """Return what copies drawn under seeds that nothing was chosen by show."""
        copies = (
            self._copy(treatments, subject.redrawn(subject.seed + FRESH), draw)
            for draw, subject in enumerate(self.before.subjects)
        )
        return self._examined(copies, LEARNT)

    def on(self, second: Subject, treatments: Sequence[Treatment]) -> Examined:
        """Return what the treated copy of the first draw shows on another batch."""
        first = self._copy(treatments, self.before.subjects[0], 0)
        again = self._copy(treatments, second, 0)
        return self._examined([again.replace(graph=first.graph) if again.output == first.output else again])

    def _copy(self, treatments: Sequence[Treatment], subject: Subject, draw: int) -> Subject:
        """Return a changed copy; a treatment that has nothing to change in it leaves it as it is."""
        return self._applied(treatments, subject, draw)[0].subject

    def _applied(self, treatments: Sequence[Treatment], subject: Subject, draw: int) -> tuple[Change, list[str]]:
        """Return a changed copy, and why treatments have nothing to change in it.

        Settings go by what training shows of the network as the other treatments have changed it.
        """
        network = [each for each in treatments if each.kind not in SETTINGS]
        settings = [each for each in treatments if each.kind in SETTINGS]
        change, reasons = _applied_to(network, Change(subject, ()), self.before.evidences[draw])
        if not settings:
            return change, reasons
        evidence = self._evidence_of(network, draw) if network else self.before.evidences[draw]
        change, more = _applied_to(settings, change, evidence)
        return change, reasons + more

    def _evidence_of(self, network: Sequence[Treatment], draw: int) -> Evidence:
        """Measure, once, a draw whose network was changed."""
        key = frozenset(each.name for each in network), draw
        if key not in self._retuned:
            self._retuned[key] = self._measured(self._copy(network, self.before.subjects[draw], draw))
        return self._retuned[key]

    def _pair(self, pair: int) -> tuple[Subject, int]:
        draw = pair % len(self.before.subjects)
        return self.before.subjects[draw].redrawn(self.before.subjects[0].seed + pair), draw

    def _treated_pairs(self, treatments: Sequence[Treatment], pairs: Iterable[int]) -> dict[int, Subject]:
        """Return the changed copies of these pairs; none where no treatment has anything to change."""
        made = {pair: self._applied(treatments, *self._pair(pair)) for pair in pairs}
        return {pair: change.subject for pair, (change, reasons) in made.items() if len(reasons) < len(treatments)}

    def _untreated(self, pairs: Iterable[int], rates: tuple[float, ...]) -> dict[int, float]:
        missing = {pair: self._pair(pair)[0] for pair in pairs if (pair, rates) not in self._losses}
        found = log_losses(missing, rates, self._deadline)
        self._losses |= {(pair, rates): loss for pair, loss in found.items()}
        return {pair: self._losses[pair, rates] for pair in pairs}

    def _examined(self, subjects: Iterable[Subject], goal: float = HALF) -> Examined:
        """Examine copies.  OutOfTime where nothing is found in them only because their training was cut."""
        examined = Examined.of((), [self._measured(subject, goal) for subject in subjects])
        if examined.verdict is Verdict.PASS and examined.cut:
            raise OutOfTime
        return examined

    def _measured(self, subject: Subject, goal: float = HALF) -> Evidence:
        """Measure a copy, as far as to show that it learns.  OutOfTime where a probe would end after the limit."""
        if self._deadline.too_late_for("probe"):
            raise OutOfTime
        return measured(subject, replace(self._ask, goal=goal), self._deadline.share(_SHARE))


def applied_to(treatments: Sequence[Treatment], subject: Subject, evidence: Evidence) -> Outcome:
    """Return a copy with the treatments applied one behind the other, or why one of them has nothing to change."""
    change, reasons = _applied_to(treatments, Change(subject, ()), evidence)
    return Inapplicable(reasons[0]) if reasons else change


def _applied_to(treatments: Sequence[Treatment], change: Change, evidence: Evidence) -> tuple[Change, list[str]]:
    reasons: list[str] = []
    for treatment in treatments:
        made = treatment.apply(change.subject, evidence)
        if isinstance(made, Inapplicable):
            reasons.append(made.reason)
        else:
            change = Change(made.subject, (*change.changes, *made.changes), {**change.values, **made.values})
    return change, reasons
