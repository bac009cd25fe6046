"""A policy: what a caller's gate lets through."""

from datetime import date, timedelta
from typing import Literal

from pydantic import Field, model_validator

from service.contract.base import Contract
from service.contract.words import Severity

LONGEST_WAIVER = timedelta(days=180)


class RulePolicy(Contract):
    """What one rule's findings count for in this gate."""

    level: Severity | Literal["off"]
    """The severity that replaces the report's own, in every draw that shows the rule; `off` leaves the rule out."""


class Waiver(Contract):
    """An agreed exception: one rule's findings at some places do not count until a day."""

    rule: str = Field(max_length=16)
    """The rule's code, such as `GRD01`."""
    target: str = Field(default="*", max_length=512)
    """A glob over the names of places; `*` is all of them."""
    reason: str = Field(min_length=1, max_length=1000)
    owner: str = Field(min_length=1, max_length=200)
    until: date
    """The last day on which the waiver holds; at most 180 days ahead."""


class Policy(Contract):
    """What makes a gate fail.  The default follows the report's own verdict."""

    version: Literal["1"] = "1"
    fail_on: Severity = Severity.ERROR
    """The least severity of a finding that fails the gate."""
    rules: dict[str, RulePolicy] = Field(default_factory=dict, max_length=200)
    waivers: tuple[Waiver, ...] = Field(default=(), max_length=200)

    @model_validator(mode="after")
    def _waivers_end(self) -> "Policy":
        latest = date.today() + LONGEST_WAIVER  # noqa: DTZ011  a waiver's day is the reader's own
        for waiver in self.waivers:
            if waiver.until > latest:
                msg = f"the waiver of {waiver.rule} ends on {waiver.until}; the latest allowed day is {latest}"
                raise ValueError(msg)
        return self
