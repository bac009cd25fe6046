"""What a gate answers: the verdict of a policy over a report, and why."""

from datetime import date
from enum import StrEnum

from pydantic import Field

from service.contract.base import Contract
from service.contract.words import Severity, Verdict


class Outcome(StrEnum):
    """What a finding did to the verdict."""

    FAILS = "fails"
    WARNS = "warns"
    INFORMS = "informs"
    WAIVED = "waived"
    OFF = "off"


class Judged(Contract):
    """One finding under the policy."""

    code: str
    title: str
    outcome: Outcome
    severity: Severity
    """The severity that counted: the policy's own where it sets one, else the report's."""
    places: tuple[str, ...] = ()
    """The places that count: layers of the caller's file, or nodes of the graph."""
    waived: tuple[str, ...] = ()
    """The places that a waiver excuses."""
    reason: str
    """Why the finding counts as it does, in a sentence."""


class WaiverStatus(StrEnum):
    """What a waiver did."""

    USED = "used"
    UNUSED = "unused"
    EXPIRED = "expired"


class WaiverUse(Contract):
    """One waiver of the policy, and what it did."""

    rule: str
    target: str
    owner: str
    until: date
    status: WaiverStatus


class GateResult(Contract):
    """The verdict of a policy over a report."""

    id: str
    """The diagnosis."""
    verdict: Verdict
    report_verdict: Verdict
    """What the report itself said, before the policy."""
    summary: str
    fail_on: Severity
    findings: tuple[Judged, ...] = ()
    waivers: tuple[WaiverUse, ...] = ()
    warnings: tuple[str, ...] = ()
    """What the owner of the policy should look at: waivers that ended or do nothing, rules that nobody knows."""
    links: dict[str, str] = Field(default_factory=dict)
    """`report` and `diagnosis`."""
