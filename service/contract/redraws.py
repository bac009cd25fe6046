"""What several draws of one model show.

A description without weights is a distribution: what one draw shows, another may not.
"""

from pydantic import Field

from service.contract.base import Contract, Number
from service.contract.words import Severity, Verdict


class Seeds(Contract):
    """In how many draws of the model a rule fires."""

    of: int
    """Draws that were measured."""
    showing: int


class Draw(Contract):
    """What one draw of the model shows: its weights, the order of samples and its dropout follow the seed."""

    seed: int
    verdict: Verdict | None
    """What would be said of this draw alone; absent where there was no time to measure it."""
    codes: dict[str, Severity] = Field(default_factory=dict)
    """The rules that fire on it."""
    measures: dict[str, Number] = Field(default_factory=dict)
    """`gain` (ln of the squared gradient gain), `initial_loss`, `lowest_loss`, the largest shares `dead` and
    `saturated`: those that there are."""
    note: str = ""
    """What was not done for lack of time."""


class Spread(Contract):
    """One measure over the draws."""

    lowest: Number
    median: Number
    highest: Number
    standard_error: Number | None = None
    """Of the mean; absent where a draw's measure is not finite."""


class Redraws(Contract):
    """The draws of a model whose weights are drawn anew, one by one and together."""

    draws: tuple[Draw, ...]
    """The first is the one that `profile` and `training` tell of."""
    spread: dict[str, Spread]
    """Per measure, over the draws that have it."""
