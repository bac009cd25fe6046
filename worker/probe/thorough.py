"""What takes many passes: measured where the examination is deep, or where it costs little and a rate is declared."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from service.contract.problem import Trouble
from worker.network.run import FAULTS
from worker.probe.coherence import measure_coherence
from worker.probe.curvature import PASSES, affordable, measure_sharpness
from worker.probe.evidence import Deep, Sharpness
from worker.probe.jacobian import measure_isometry
from worker.probe.noise import measure_noise
from worker.probe.ranks import measure_ranks
from worker.probe.stability import measure_halves
from worker.probe.sweep import Sweep
from worker.probe.training import usual_optimizer
from worker.probe.widths import measure_widths
from worker.subject import Subject

Measured = TypeVar("Measured")
DEEP: Final = 120
"""Forward passes that a deep examination costs beside sharpness."""


@dataclass(frozen=True)
class Thorough:
    """What was measured in many passes, and why some of it could not be."""

    sharpness: Sharpness | None = None
    deep: Deep | None = None
    unmeasured: dict[str, str] = field(default_factory=dict)

    def taken(self, name: str, measure: Callable[[], Measured | str]) -> Measured | None:
        """Return what is measured; where it cannot be, note the reason."""
        try:
            found = measure()
        except Trouble as trouble:
            found = f"the network does not run so: {trouble}"
        except FAULTS as error:
            found = f"the network does not run so: {next(iter(str(error).splitlines()), type(error).__name__)}"
        if isinstance(found, str):
            self.unmeasured[name] = found
            return None
        return found


def planned_s(subject: Subject, *, deep: bool, sharp: bool) -> float:
    """Return the planned seconds of what will be measured."""
    passes = PASSES + DEEP if deep else PASSES * (sharp and affordable(subject))
    return passes * subject.pass_s


def measure_thoroughly(sweep: Sweep, *, deep: bool, sharp: bool) -> Thorough:
    """Return what many passes show of a subject whose numbers are all finite."""
    subject, notes = sweep.subject, Thorough()
    if not (deep or (sharp and affordable(subject))):
        return notes
    sharpness = notes.taken("sharpness", lambda: measure_sharpness(subject, usual_optimizer(subject)))
    return Thorough(sharpness, _deep(sweep, notes) if deep else None, notes.unmeasured)


def _deep(sweep: Sweep, notes: Thorough) -> Deep:
    subject = sweep.subject
    return Deep(
        noise=notes.taken("noise", lambda: measure_noise(subject)),
        coherence=notes.taken("coherence", lambda: measure_coherence(subject)),
        isometry=notes.taken("isometry", lambda: measure_isometry(sweep)),
        ranks=notes.taken("ranks", lambda: measure_ranks(sweep)) or (),
        widths=notes.taken("widths", lambda: measure_widths(subject, usual_optimizer(subject))) or (),
        halves=notes.taken("halves", lambda: measure_halves(subject)),
    )
