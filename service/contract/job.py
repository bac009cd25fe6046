"""A job as callers see it."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from service.contract.base import Contract
from service.contract.problem import Problem
from service.contract.words import Stage, Verdict


class Status(StrEnum):
    """Where a job is; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing follows."""
        return self in {Status.SUCCEEDED, Status.FAILED, Status.CANCELLED}


class Job(Contract):
    """One examination, from upload to report."""

    id: str
    status: Status
    stage: Stage
    progress: float = Field(ge=0, le=1)
    detail: str = ""
    """What is being done within the stage, such as `trying layer-norm, 3 of 14`."""
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    verdict: Verdict | None = None
    problem: Problem | None = None
    links: dict[str, str] = Field(default_factory=dict)
    """Where to go from here: `self`, `events`, and, once succeeded, `report` and `gate`."""


class JobPage(Contract):
    """Jobs, newest first."""

    items: tuple[Job, ...]
    next: str | None = None
    """The cursor of the next page."""
