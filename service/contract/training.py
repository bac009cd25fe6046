"""The training trial, as a report tells it."""

from service.contract.base import Contract, Number
from service.contract.options import Clipping
from service.contract.words import OptimizerName


class Suggested(Contract):
    """Settings that the training trial found to serve."""

    learning_rate: Number | None = None
    clipping: Clipping | None = None


class TrainingSection(Contract):
    """The training trial, under the optimizer that did best."""

    steps: int
    seeds: int
    optimizer: OptimizerName
    learning_rate: Number
    loss: tuple[Number, ...]
    gradient_norm: tuple[Number, ...]
    sharpness: Number | None = None
    max_stable_learning_rate: Number | None = None
    """The largest rate that was tried for this optimizer below the least at which it diverges; absent without a range
    test.
    """
    suggested: Suggested = Suggested()
    notes: tuple[str, ...] = ()
