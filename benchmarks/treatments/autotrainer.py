"""AutoTrainer's order of repairs, made of the same treatments.

Zhang, Zhai, Ma and Shen, "AutoTrainer: an automatic DNN training problem detection and repair system", ICSE 2021.  The
order is that of `repair_strategy("balance")`, the default, in the authors' repository
(https://github.com/shiningrain/AUTOTRAINER, AutoTrainer/utils/repair.py), which is more precise than the paper's text;
each repair is tried as often as there.  The loop is that of `modules.py`: every repair of the issue is tried on the
network as it was; the first after which the monitor raises nothing is kept; where none is, one that at least turned
the issue into another is, and the other's repairs follow.

What is not the same, and why it may do better or worse here than there:

- the monitor reads 100 steps on the whole batch as epochs (see `benchmarks.diagnosis.peers.autotrainer`);
- what they draw at random (the initializer, the optimizer, momentum) is tried in the order written here;
- ReduceLROnPlateau, larger batches, early stopping and Gaussian noise on the input, and ThresholdedReLU, are left out:
  no treatment makes them, and none of them reaches a fault of this benchmark;
- they draw SELU's and ReLU's kernels by uniform laws of the same variance, and replace every activation but the last
  layer's; their tanh comes with He's law;
- where no repair turns an issue into another, they keep the network of the highest accuracy; here none is kept.
"""

from collections.abc import Sequence
from typing import Final

from benchmarks.diagnosis.peers.autotrainer import issue
from benchmarks.diagnosis.recording import STEPS, Recorder
from benchmarks.treatments.advice import SETTINGS
from benchmarks.treatments.check import Check
from worker.subject import Subject
from worker.treatments import treatments

ORDER: Final = {
    "vanish": ("selu", "relu", "batch-norm"),
    "explode": ("selu", "relu", "clip values at 10", "tanh", "batch-norm"),
    "relu": ("selu", "batch-norm", "he-init", "xavier-init", "orthogonal-init", "leaky-relu", "elu"),
    "unstable": (
        *("Keras's adam", "rate × 1e-1", "rate × 1e-2", "rate × 1e-3"),
        *(f"SGD with momentum {share}" for share in (0.3, 0.6, 0.9)),
    ),
    "not_converge": (
        *("Keras's sgd", "Keras's nadam", "Keras's rmsprop"),
        *("rate × 1e1", "rate × 1e2", "rate × 1e3"),
    ),
}
"""Repairs by issue, the first first."""
ROUNDS: Final = 3
"""Issues that are repaired behind one another, at most."""


class AutoTrainer:
    """The repairs of one model."""

    def __init__(self, check: Check) -> None:
        """Repair the model of `check`, under the seed that was examined."""
        self._check = check
        self.tried = 0

    def repaired(self) -> tuple[str, ...]:
        """Return the repairs that it ends with; none where it finds no issue, or no repair that changes one."""
        chosen: tuple[str, ...] = ()
        found, seen = self._issue(chosen), set[str]()
        for _ in range(ROUNDS):
            if not found or found in seen:
                break
            seen.add(found)
            following = self._follow(chosen, found)
            if following is None:
                break
            chosen, found = following
        return chosen

    def _follow(self, chosen: tuple[str, ...], found: str) -> tuple[tuple[str, ...], str] | None:
        """Return the repairs with one more, and the issue then: the first that leaves none, else that changes it."""
        turned: tuple[tuple[str, ...], str] | None = None
        for name in known(ORDER[found]):
            now = self._issue((*chosen, name))
            if now == "":
                return (*chosen, name), now
            if now not in {None, found} and turned is None:
                turned = (*chosen, name), now
        return turned

    def _issue(self, names: Sequence[str]) -> str | None:
        """Return what the monitor raises of the model after these repairs; None where one has nothing to change."""
        treated = self._check.treated(names)
        if not isinstance(treated, Subject):
            return None
        self.tried += 1
        return watched(treated)


def watched(subject: Subject) -> str:
    """Return the issue that the monitor raises of a subject's training, "" where there is none."""
    return issue(Recorder(subject).trace(STEPS))


def known(names: Sequence[str]) -> list[str]:
    """Return the names that stand for something here."""
    return [name for name in names if name in SETTINGS or name in treatments]
