"""What a caller may choose about an examination.  Everything has a default; unknown keys are refused."""

from typing import Literal

from pydantic import Field

from service.contract.base import Contract
from service.contract.policy import Policy
from service.contract.words import Depth, LossName, Mode, OptimizerName, Precision


class Clipping(Contract):
    """How gradients are clipped before an optimizer's step."""

    kind: Literal["norm", "value", "agc", "zscore"]
    limit: float = Field(gt=0, allow_inf_nan=False)
    """The largest norm (`norm`), absolute value (`value`), gradient-to-weight ratio (`agc`), or number of standard
    deviations of the norms so far (`zscore`).
    """


class Options(Contract):
    """The choices of one examination."""

    loss: LossName = LossName.AUTO
    output: str | None = Field(default=None, max_length=512)
    """The output that the loss reads; by default the first float output that a gradient links to a parameter."""
    optimizer: OptimizerName | None = None
    """The optimizer that will be used; where none is named, Adam and SGD are both tried."""
    learning_rate: float | None = Field(default=None, gt=0, le=1e6, allow_inf_nan=False)
    momentum: float | None = Field(default=None, ge=0, lt=1, allow_inf_nan=False)
    weight_decay: float = Field(default=0, ge=0, le=1e3, allow_inf_nan=False)
    clipping: Clipping | None = None
    depth: Depth = Depth.STANDARD
    mode: Mode = Mode.TRAIN
    seed: int = Field(default=0, ge=0, lt=2**31)
    seeds: int | None = Field(default=None, ge=1, le=10)
    """How many draws are examined: the first under `seed`, the next under `seed + 1`, and so on; most of them decide,
    and a tie goes to the milder verdict.  By default 3 for a description without weights, 1 for a file that has them.
    Weights of a file are never redrawn: there the draws differ in the order of samples, dropout and other random
    operators alone.
    """
    steps: int | None = Field(default=None, ge=1, le=2000)
    """Steps of the training trial; 200 by default, 50 where `depth` is `quick`.  A trial of fewer than 200 only
    warns.
    """
    precision: Precision = Precision.FLOAT32
    """The number format that training will use.  Everything is computed in float32; rule NUM02 says what this format
    would lose of it.
    """
    treat: bool = True
    """Whether treatments are tried."""
    treatments: tuple[str, ...] = Field(default=(), max_length=100)
    """Names of treatments that are tried besides those that the findings speak for."""
    time_limit_s: float = Field(default=120, gt=0, le=3600, allow_inf_nan=False)
    """Seconds after which the examination stops trying and reports what it has."""
    policy: Policy = Policy()
