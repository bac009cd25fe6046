"""What the training trial came to."""

from dataclasses import dataclass

from worker.course import Run

TELLING_STEPS = 200
"""Steps from which a training trial that fails proves something: after 50, two of five networks that fail still
learn.
"""


@dataclass(frozen=True)
class Training:
    """The training trial: one run per seed under each way of training that was tried."""

    runs: tuple[Run, ...]
    """The last tried way of training first seed by seed; a later way is tried only where an earlier one failed."""
    steps: int
    """Steps asked for."""
    complete: bool
    """Whether every run had all its steps within the time box."""
    converged: bool
    """Whether the model came trained: its loss was already far below the best constant's, so nothing was run."""
    judged: bool
    """Whether the batch allows a judgement: its targets differ."""
    stable_learning_rate: float | None = None
    """The largest rate that trains, found only where the declared one does not."""
    suggested_learning_rate: float | None = None
    suggested_clip: float | None = None

    @property
    def passed(self) -> bool:
        """Whether some way of training beat the best constant prediction, or nothing had to be shown."""
        return self.converged or any(run.beaten for run in self.runs)

    @property
    def failed(self) -> bool:
        """Whether every way of training was given its steps, and enough of them, and none beat the best constant."""
        return self.judged and self.complete and self.steps >= TELLING_STEPS and not self.passed

    @property
    def best(self) -> Run | None:
        """The run that came lowest."""
        return min(self.runs, key=lambda run: run.lowest, default=None)
