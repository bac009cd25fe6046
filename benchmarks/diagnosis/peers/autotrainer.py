"""AutoTrainer (Zhang et al., ICSE 2021) with the defaults of its repository's monitor."""

from collections.abc import Callable
from itertools import pairwise
from math import isfinite
from typing import Final

from benchmarks.diagnosis.peers.rule import Peer, broken, rule
from benchmarks.diagnosis.traces import Step, Trace

VANISHING_RATIO: Final = 1e-3
VANISHING_NORM: Final = 1e-4
EXPLODING_RATIO: Final = 70.0
ZEROS: Final = 0.7
SATISFYING: Final = 0.7
SWING: Final = 0.03
SWINGS: Final = 0.2
SLOW: Final = 0.01
JUDGED_FROM: Final = 0.3
LARGEST_LOSS: Final = 1e5


def issue(trace: Trace) -> str:
    """Return the first issue that the monitor raises, "" where there is none."""
    if broken(trace) or any(loss >= LARGEST_LOSS for loss in trace.losses):
        return "explode"
    start = max(int(JUDGED_FROM * len(trace.steps)), 1)
    accuracies = [step.accuracy for step in trace.steps]
    for end in range(start, len(trace.steps) + 1):
        found = _issue(trace.steps[:end], accuracies[:end])
        if found:
            return found
    return ""


def _issue(steps: tuple[Step, ...], accuracies: list[float]) -> str:
    slow = max((after - before for before, after in pairwise(accuracies)), default=0.0) < SLOW
    if max(accuracies) >= SATISFYING and not slow:
        return "unstable" if _swings(accuracies) >= SWINGS * len(accuracies) else ""
    for name, told in _SIGNS.items():
        if any(told(step) for step in steps):
            return name
    return "not_converge" if slow else ""


def _swings(accuracies: list[float]) -> int:
    """Return how many peaks stand over the trough of the same number by the limit."""
    inner = range(1, len(accuracies) - 1)
    peaks = [accuracies[i] for i in inner if accuracies[i - 1] <= accuracies[i] >= accuracies[i + 1]]
    troughs = [accuracies[i] for i in inner if accuracies[i - 1] >= accuracies[i] <= accuracies[i + 1]]
    return sum(high - low >= SWING for high, low in zip(peaks, troughs, strict=False))


def _ratio(step: Step) -> tuple[float, float]:
    """Return the norm of the first weight's gradient, and that by the last one's."""
    norms = [each.gradient_norm for each in step.gradients if each.matrix]
    if not norms or not all(map(isfinite, norms)):
        return 1.0, 1.0
    return norms[0], norms[0] / norms[-1] if norms[-1] else 1.0


def _vanishing(step: Step) -> bool:
    norm, ratio = _ratio(step)
    return ratio < VANISHING_RATIO and norm < VANISHING_NORM


def _exploding(step: Step) -> bool:
    return _ratio(step)[1] > EXPLODING_RATIO


def _dying(step: Step) -> bool:
    count = sum(each.count for each in step.gradients)
    return count > 0 and sum(each.count * each.gradient_zero for each in step.gradients) >= ZEROS * count


_SIGNS: Final[dict[str, Callable[[Step], bool]]] = {"relu": _dying, "explode": _exploding, "vanish": _vanishing}
"""In the monitor's order."""

PEER: Final = Peer(
    name="AutoTrainer",
    source="https://github.com/shiningrain/AUTOTRAINER (AutoTrainer/utils/monitor.py)",
    reading=(
        "A step on the whole batch is an epoch, there is no validation set, and a regression's accuracy is 1 - loss by "
        "the best constant's (Keras's would be zero throughout)."
    ),
    rules=(
        rule("gradient vanish", lambda trace: issue(trace) == "vanish", "vanishing_gradient"),
        rule("gradient explode", lambda trace: issue(trace) == "explode", "exploding_gradient", "non_finite"),
        rule("dying ReLU", lambda trace: issue(trace) == "relu", "dead_units", "no_gradient"),
        rule("unstable", lambda trace: issue(trace) == "unstable", "unstable_learning_rate"),
        rule(
            "slow convergence", lambda trace: issue(trace) == "not_converge", "stalled_training", "slow_learning_rate"
        ),
    ),
)
