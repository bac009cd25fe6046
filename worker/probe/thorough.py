"""What takes many passes: measured where the examination is deep, or where it costs little and a rate is declared."""

from dataclasses import dataclass, field

from worker.probe.curvature import affordable, measure_sharpness
from worker.probe.evidence import Deep, Sharpness
from worker.probe.sweep import Sweep
from worker.probe.training import usual_optimizer


@dataclass(frozen=True)
class Thorough:
    """What was measured in many passes, and why some of it could not be."""

    sharpness: Sharpness | None = None
    deep: Deep | None = None
    unmeasured: dict[str, str] = field(default_factory=dict)


def measure_thoroughly(sweep: Sweep, *, deep: bool) -> Thorough:
    """Return what many passes show of a subject whose numbers are all finite."""
    subject = sweep.subject
    if not (deep or affordable(subject)):
        return Thorough()
    found = measure_sharpness(subject, usual_optimizer(subject))
    unmeasured = {"sharpness": found} if isinstance(found, str) else {}
    return Thorough(None if isinstance(found, str) else found, None, unmeasured)
