"""The control of a trial: what random changes gain that nothing speaks for."""

import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from service.contract.words import TreatmentKind
from worker.treatments import Inapplicable, Treatment, treatments
from worker.trial.bench import Bench
from worker.trial.duel import Duel


class Control(NamedTuple):
    """Random treatments, and what they gained together."""

    treatments: tuple[str, ...]
    duel: Duel


@dataclass
class Controls:
    """Duels of as many random treatments as were tried together, of the same kinds where there are such."""

    bench: Bench
    known: Collection[str]
    """Names of the treatments that a finding speaks for, or that were asked for."""
    _run: dict[tuple[TreatmentKind, ...], Control | None] = field(default_factory=dict)

    def of(self, chosen: Sequence[Treatment]) -> Control | None:
        """Return the control that was run for treatments of these kinds; None where none was, or none applies."""
        return self._run.get(_kinds(chosen))

    def run(self, chosen: Sequence[Treatment]) -> None:
        """Run the control for treatments of these kinds, once."""
        kinds = _kinds(chosen)
        if kinds not in self._run:
            self._run[kinds] = None
            drawn = tuple(self._drawn(kinds))
            enough = len(drawn) == len(kinds)
            duel = self.bench.duel(drawn) if enough else Duel()
            self._run[kinds] = Control(tuple(each.name for each in drawn), duel) if duel.gains else None

    def _drawn(self, kinds: Sequence[TreatmentKind]) -> Iterator[Treatment]:
        """Yield a random treatment per kind, or of another kind where none of it applies."""
        others = [each for each in treatments.values() if each.name not in self.known]
        random.Random(self.bench.before.subjects[0].seed).shuffle(others)  # noqa: S311  no secret
        for kind in kinds:
            for each in sorted(others, key=lambda each: each.kind is not kind):
                if not isinstance(self.bench.screen((each,)), Inapplicable):
                    others.remove(each)
                    yield each
                    break


def _kinds(chosen: Sequence[Treatment]) -> tuple[TreatmentKind, ...]:
    return tuple(sorted(each.kind for each in chosen))
