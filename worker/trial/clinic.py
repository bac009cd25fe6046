"""The search for what cures: screening, single treatments, then sets; of use at any time with what was found so far.

Order decides how soon a cure is found: first what a probe says may leave nothing to warn of, then what keeps trained
weights, then what costs least.  The first set that is confirmed is the prescription; what comes later is told.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final, TypeVar

import structlog

from service.contract.problem import Invalid, Unfit
from service.contract.words import RemedyStatus, Severity, TreatmentKind, Verdict
from worker.budget import Deadline, OutOfTime
from worker.subject import Subject
from worker.treatments import Inapplicable, Treatment, treatments
from worker.trial.bench import SETTINGS, Bench, Tried
from worker.trial.controls import Control, Controls
from worker.trial.examined import Examined
from worker.trial.judging import cures, judged, learns

SCREENING: Final = 0.3
"""Share of the time left that screening may take."""
_SCREENED, _SINGLE = 0.3, 0.8
"""Shares of the whole that are done when all were screened, and when all were tried alone."""
_WILD: Final = 100.0
"""Gains beyond which none is nearer to one than another."""
_ONLY_TRAINING_SHOWS: Final = SETTINGS | {TreatmentKind.REGULARIZATION}
_LATE: Final = "There was no time left to try it."
_FOUND: Final = "A cure had been found; a deeper examination tries the others, too."

Answer = TypeVar("Answer")
Tell = Callable[[float, str], None]
log = structlog.get_logger(__name__)


def silent(done: float, detail: str) -> None:
    """Tell nobody."""


@dataclass
class Verified:
    """A set of treatments that cures, and what confirmed it."""

    tried: Tried
    fresh: Examined | None = None
    """Copies under fresh seeds; None where there was no time."""
    second: Examined | None = None
    """The copy on the second batch, where one was given."""


@dataclass
class Clinic:
    """Tries what may help a subject and remembers what came of it."""

    bench: Bench
    second: Subject | None = None
    """The same model on a second batch."""
    asked: Sequence[str] = ()
    """Treatments that the caller wants to see tried."""
    more_s: float = inf
    """Planned seconds for which others are tried, too, once a cure is confirmed."""
    tell: Tell = silent
    screened: dict[str, Tried] = field(default_factory=dict)
    tried: dict[str, Tried] = field(default_factory=dict)
    """Single treatments by name; of those that promised nothing, the screening."""
    inapplicable: dict[str, str] = field(default_factory=dict)
    """Why treatments have nothing to change."""
    sets: list[Tried] = field(default_factory=list)
    """Sets of several: trained, or screened where a probe showed that they leave something."""
    prescribed: Verified | None = None
    refuted: set[frozenset[str]] = field(default_factory=set)
    """Sets that cured and were not borne out by every draw, fresh seeds or the second batch."""
    looking: Deadline | None = None
    """How long others are tried once a cure is confirmed."""

    def __post_init__(self) -> None:
        """Choose what is to be tried.  Invalid where a name that was asked for is none."""
        self.candidates = _candidates(self.bench.before, self.asked)
        self.waiting = _by_turns(self.candidates, self.asked)
        self.controls = Controls(self.bench, {each.name for each in self.candidates})

    def screen(self) -> bool:
        """Probe copies of the first draw under candidates, by turns of every kind; return whether there was one.

        As many as a share of the time left allows: where a probe takes long, some are trained before others are probed.
        """
        shared, left, size = self.bench.shared(SCREENING), len(self.waiting), len(self.candidates)
        while self.waiting and not (shared.passed or self.bench.out_of_time):
            if self._enough() and self.waiting[0].name not in self.asked:
                break
            treatment = self.waiting.pop(0)
            self.tell(_SCREENED * (1 - len(self.waiting) / size), f"screening {treatment.name}")
            found = self.safely(self.bench.screen, (treatment,))
            if isinstance(found, Inapplicable):
                self.inapplicable[treatment.name] = found.reason
            else:
                self.screened[treatment.name] = found
        return len(self.waiting) < left

    def try_singles(self) -> None:
        """Train what promises something, the most promising first; prescribe the first that cures, then look on."""
        order = [each for each in self._ordered() if not each.names & self.tried.keys()]
        for index, screened in enumerate(order):
            if self._enough() and not screened.names & set(self.asked):
                continue
            if self.bench.out_of_time:
                raise OutOfTime
            (treatment,) = screened.treatments
            done = _SCREENED + (_SINGLE - _SCREENED) * index / len(order)
            self.tell(done, f"trying {treatment.name}, {index + 1} of {len(order)}")
            found = self.trained(screened) if self._worth_training(screened) else screened
            if isinstance(found, Inapplicable):
                self.inapplicable[treatment.name] = found.reason
                del self.screened[treatment.name]
            else:
                self.tried[treatment.name] = found
                self.consider(found)

    def _enough(self) -> bool:
        """Whether a cure was confirmed that teaches the batch, and the others have had their time."""
        if self.prescribed is None or not learns(self.prescribed.tried):
            return False
        self.looking = self.looking or self.bench.within(self.more_s)
        return self.looking.passed

    def trained(self, screened: Tried) -> Tried | Inapplicable:
        """Train copies of what was screened; where they gain, copies under random changes, too."""
        found = self.safely(self.bench.attempt, screened)
        if isinstance(found, Tried) and found.duel.mean > 0:
            self.safely(self.controls.run, found.treatments)
        return found

    def consider(self, tried: Tried) -> None:
        """Prescribe a set that cures, where none is prescribed yet."""
        if self.prescribed is None and self.cures(tried):
            self.prescribed = self.confirmed(tried)

    def follow(self, treatment: Treatment) -> None:
        """Take in a treatment for what another brought to light."""
        if treatment not in self.candidates:
            found = self.safely(self.bench.screen, (treatment,))
            if isinstance(found, Tried):
                self.candidates = (*self.candidates, treatment)
                self.tried[treatment.name] = found

    def settle(self) -> None:
        """Prescribe the single treatment of the least price instead of the first that was confirmed."""
        held = self.prescribed
        if held is not None:
            known = [each for each in self.tried.values() if self.cures(each) and each.names not in self.refuted]
            best = min(known, key=self._price, default=held.tried)
            if self._price(best) < self._price(held.tried):
                self.prescribed = self.confirmed(best) or held

    def confirmed(self, tried: Tried) -> Verified | None:
        """Examine a set in every draw, under fresh seeds and on the second batch; None where it does not hold."""
        if tried.names in self.refuted:
            return None
        found = self.safely(self._verified, tried)
        if isinstance(found, Verified):
            return found
        self.refuted.add(tried.names)
        return None

    def _verified(self, tried: Tried) -> Verified | None:
        every = self.bench.in_every_draw(tried)
        if not self.cures(every):
            return None
        verified = Verified(every)
        try:
            verified.fresh = self.bench.fresh(every.treatments)
            if verified.fresh.verdict is not Verdict.PASS:
                return None
            verified.second = self.bench.on(self.second, every.treatments) if self.second else None
        except OutOfTime:
            self.prescribed = self.prescribed or verified
            raise
        return verified if verified.second is None or verified.second.verdict is Verdict.PASS else None

    def _price(self, tried: Tried) -> tuple[float, ...]:
        """Return what orders cures.

        How many there are, whether training is lost, whether the batch is learnt at all well; then what they cost, how
        much they draw anew, how far they are from the cause; then what they gain.
        """
        chosen = tried.treatments
        redrawn = sum(each.retrains for each in chosen)
        poor = not learns(tried)
        return len(chosen), self.loses(chosen), poor, tried.cost, redrawn, tried.roundabout, -tried.duel.mean

    def cures(self, tried: Tried) -> bool:
        """Whether a set is fit to be prescribed."""
        return cures(tried, self.control(tried))

    def control(self, tried: Tried) -> Control | None:
        """Return the random changes that a set is compared with."""
        return self.controls.of(tried.treatments)

    def _ordered(self) -> list[Tried]:
        """Return what was screened in the order of trying: the best of every kind first.

        What a probe says may leave nothing to warn of comes before the rest, and what keeps training before what loses
        it; within a kind, what costs least, is drawn least anew, and brings the gradient's gain nearest to one.
        """
        ranked = sorted(
            self.screened.values(),
            key=lambda each: (len(each.left or ()), each.cost, each.treatments[0].retrains, min(each.gain, _WILD) // 2),
        )
        places: dict[TreatmentKind, int] = {}
        order: dict[str, tuple[bool, bool, int, int, int]] = {}
        for each in ranked:
            (treatment,) = each.treatments
            place = places[treatment.kind] = places.get(treatment.kind, -1) + 1
            order[treatment.name] = bool(each.left), self.loses(each.treatments), place, each.cost, each.roundabout
        return sorted(ranked, key=lambda each: order[each.treatments[0].name])

    def loses(self, chosen: Iterable[Treatment]) -> bool:
        """Whether training would be lost that the weights show."""
        first, evidence = self.bench.before.subjects[0], self.bench.before.evidences[0]
        trained = not first.drawn and evidence.loss.informed
        return trained and any(each.retrains for each in chosen)

    def status(self, name: str) -> RemedyStatus:
        """Return what became of a single treatment."""
        if self.prescribed and name in self.prescribed.tried.names:
            return RemedyStatus.RECOMMENDED
        if name in self.tried:
            return judged(self.tried[name], self.control(self.tried[name]))
        return RemedyStatus.NOT_APPLICABLE if name in self.inapplicable else RemedyStatus.UNTESTED

    def note(self, name: str) -> str:
        """Say why a treatment does not apply, or was not tried."""
        if self.status(name) is RemedyStatus.UNTESTED:
            return _FOUND if self.prescribed is not None and not self.bench.out_of_time else _LATE
        return self.inapplicable.get(name, "")

    def only_training_shows(self, screened: Tried) -> bool:
        """Whether a probe cannot tell what treatments do."""
        return not self.bench.seen.codes or any(each.kind in _ONLY_TRAINING_SHOWS for each in screened.treatments)

    def _worth_training(self, screened: Tried) -> bool:
        asked = bool(screened.names & set(self.asked))
        return bool(screened.cures) or self.only_training_shows(screened) or asked

    def safely(self, attempt: Callable[..., Answer], *given: object) -> Answer | Inapplicable:
        """Return what an attempt comes to; a report is not lost over a copy that cannot be made or run."""
        try:
            return attempt(*given)
        except OutOfTime:
            raise
        except Unfit as error:
            return Inapplicable(f"The copy could not be run: {error}")
        except Exception as error:
            log.exception("a treatment could not be tried", given=str(given)[:200])
            return Inapplicable(f"A fault of ours keeps it from being tried ({type(error).__name__}).")


def _candidates(before: Examined, asked: Sequence[str]) -> tuple[Treatment, ...]:
    """Return what a finding's symptom speaks for, or was asked for, the least costly first."""
    for name in asked:
        if name not in treatments:
            msg = f"There is no treatment {name!r}; GET /v1/treatments lists them."
            raise Invalid(msg)
    shown = {finding.symptom for finding in before.findings if finding.severity is not Severity.INFO}
    fitting = [each for each in treatments.values() if each.symptoms & shown or each.name in asked]
    return tuple(sorted(fitting, key=lambda each: (each.cost, each.name)))


def _by_turns(candidates: Sequence[Treatment], asked: Sequence[str]) -> list[Treatment]:
    """Return the first of every kind, then the second, and so on; what was asked for comes first."""
    places: dict[TreatmentKind, int] = {}
    order: dict[str, tuple[bool, int]] = {}
    for each in candidates:
        place = places[each.kind] = places.get(each.kind, -1) + 1
        order[each.name] = each.name not in asked, place
    return sorted(candidates, key=lambda each: order[each.name])
