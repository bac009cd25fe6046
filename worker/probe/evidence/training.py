"""What the training trial came to."""

from dataclasses import dataclass
from math import inf, prod

from worker.course import RatePoint, Run

TELLING_STEPS = 200
"""Steps from which a training trial that fails proves something: after 50, two of five networks that fail still
learn.
"""
_HALF = 0.5


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
    """A rate at which the declared optimizer trains, looked for only where the declared one does not, or shoots up."""
    suggested_learning_rate: float | None = None
    suggested_clip: float | None = None
    """A percentile of the measured norms; None where no run shows that clipping is needed."""
    rates: tuple[RatePoint, ...] = ()
    """The short runs of the range tests, in the order of trying."""
    ranged: bool = False
    """Whether rates above that of the best run were tried."""
    regularized: Run | None = None
    """The run with everything that holds the weights back; None where nothing does, or where it learnt well."""
    unregularized: Run | None = None
    """The same run without weight decay, penalties and dropout."""

    @property
    def passed(self) -> bool:
        """Whether some way of training beat the best constant prediction, or nothing had to be shown."""
        return self.converged or any(run.beaten for run in self.runs)

    @property
    def failed(self) -> bool:
        """Whether every way of training was given its steps, and enough of them, and none beat the best constant."""
        return self.judged and self.complete and self.steps >= TELLING_STEPS and not self.passed

    @property
    def cut(self) -> bool:
        """Whether time ran out before any way of training showed that the network learns."""
        return self.judged and not self.complete and not self.passed

    @property
    def declared(self) -> Run | None:
        """The run under the declared optimizer and rate; None where no rate was declared."""
        return next((run for run in self.runs if run.declared), None)

    @property
    def largest_stable_rate(self) -> float | None:
        """The largest rate tried for the best run's optimizer below the least at which it diverges."""
        best = self.best
        if best is None:
            return None
        full = {run.learning_rate: run.diverged for run in self.runs if run.optimizer == best.optimizer}
        short = {point.learning_rate: point.diverged for point in self.rates if point.optimizer == best.optimizer}
        tried = short | full
        wild = min((rate for rate, diverged in tried.items() if diverged), default=inf)
        return max((rate for rate in tried if rate < wild), default=None) if short else None

    @property
    def bounded(self) -> bool:
        """Whether a rate was tried at which the best run's optimizer diverges."""
        return any(point.diverged for point in self.rates if self.best and point.optimizer == self.best.optimizer)

    @property
    def best(self) -> Run | None:
        """The run on the whole batch that came lowest."""
        whole = [run for run in self.runs if not run.by_heart]
        return min(whole, key=lambda run: run.lowest, default=None)

    @property
    def only_by_heart(self) -> bool:
        """Whether a few samples can be learnt, but the batch as a whole was not."""
        return any(run.beaten for run in self.runs) and not any(run.beaten and not run.by_heart for run in self.runs)


@dataclass(frozen=True)
class Declared:
    """What the caller said about how the network will be trained."""

    optimizer: str | None
    learning_rate: float | None
    momentum: float | None
    weight_decay: float
    clip: float | None = None
    """The limit of gradient clipping, of whatever kind."""


@dataclass(frozen=True)
class Regularization:
    """What holds the weights back while they learn."""

    pull: float
    """Norm of what weight decay and penalties add to the gradient by the norm of the loss's own, at the start."""
    penalized: tuple[str, ...] = ()
    """The parameters that carry a penalty of their own."""
    dropouts: tuple[tuple[str, float], ...] = ()
    """Nodes that drop numbers at random in training, with the share that they drop."""

    @property
    def kept(self) -> float:
        """The share of signals that passes the dropouts of half and more, were they in a row."""
        return prod(1 - share for _, share in self.dropouts if share >= _HALF)
