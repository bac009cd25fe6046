"""`/v1/diagnoses`: submit, look, watch, read, erase."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field

from service import problems
from service.backing import Use
from service.contract.job import Job, JobPage, Status
from service.contract.problem import Invalid, NotFound
from service.contract.words import Verdict
from service.problems import refusals
from service.routes.answers import (
    UNCHANGED,
    Answers,
    IfNoneMatch,
    existing,
    fingerprint,
    progress_headers,
    unless_known,
)
from service.routes.submitting import BODY, REFUSALS, IdempotencyKey, Prefer, accept, wait_s
from service.waiting import applied, finished, watch

router = APIRouter(prefix="/v1/diagnoses", tags=["diagnoses"])

WITHIN_THE_WAIT: Answers = {
    200: {
        "model": Job,
        "description": "The job is final, within the wait that was asked for.",
        "headers": problems.headers("Location", "Preference-Applied"),
    },
    202: {"headers": problems.headers("Location", "Retry-After", "Preference-Applied")},
}
LISTED: Answers = {200: {"headers": problems.headers("Link")}}
LOOKED: Answers = {200: {"headers": problems.headers("ETag", "Retry-After", "Preference-Applied")}}


class Wish(BaseModel):
    """Which jobs to list."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    limit: int = Field(default=20, ge=1, le=100)
    """Most jobs on a page."""
    cursor: str | None = Field(default=None, max_length=200)
    """Where the page begins: `next` of the page before."""
    status: Status | None = None
    verdict: Verdict | None = None


@router.post(
    "",
    status_code=202,
    responses=WITHIN_THE_WAIT | REFUSALS,
    openapi_extra=BODY,
)
async def submit(
    request: Request,
    response: Response,
    use: Use,
    prefer: Prefer = None,
    idempotency_key: IdempotencyKey = None,
) -> Job:
    """Queue a model for examination; with `Prefer: wait=N`, wait for the end of it.

    202 means that the upload is stored and the job recorded.
    """
    seconds = wait_s(use, prefer)
    job = await accept(request, use, idempotency_key, seconds)
    response.status_code = 200 if seconds and job.status.final else 202
    response.headers.update(progress_headers(job) | (applied(seconds) if seconds else {}))
    return job


@router.get("", responses=LISTED | refusals(Invalid))
def newest(
    request: Request,
    response: Response,
    use: Use,
    wish: Annotated[Wish, Query()],
) -> JobPage:
    """List the jobs, newest first."""
    page = use.jobs.page(limit=wish.limit, cursor=wish.cursor, status=wish.status, verdict=wish.verdict)
    if page.next:
        following = request.url.include_query_params(cursor=page.next)
        response.headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
    return page


@router.get(
    "/{job_id}",
    response_model=Job,
    responses=LOOKED | UNCHANGED | refusals(NotFound),
)
async def job(
    use: Use, job: Annotated[Job, Depends(existing)], prefer: Prefer = None, if_none_match: IfNoneMatch = None
) -> Response:
    """Return the job; with `Prefer: wait=N`, once it is final or N seconds are over."""
    seconds = wait_s(use, prefer)
    job = await finished(use.jobs, job, seconds)
    content = job.model_dump_json()
    headers = progress_headers(job) | (applied(seconds) if seconds else {})
    headers["ETag"] = f'"{fingerprint(content)}"'
    return unless_known(Response(content, 200, headers, "application/json"), if_none_match)


@router.delete("/{job_id}", status_code=204, responses=refusals(NotFound))
def erase(use: Use, job: Annotated[Job, Depends(existing)]) -> None:
    """Cancel the job if it is not final, and erase its uploads, its report and its record."""
    use.jobs.cancel(job.id)
    use.jobs.erase(job.id)
    use.storage.erase(job.id)


@router.get("/{job_id}/events", response_class=EventSourceResponse, responses=refusals(NotFound))
async def events(
    use: Use,
    job: Annotated[Job, Depends(existing)],
    last_event_id: Annotated[str | None, Header(max_length=200)] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Stream a `progress` event per stage, step and trial, and `done` at the end, each with the job as its data.

    An event's id names the state that it reports: with `Last-Event-ID`, a state that was seen is not sent again.
    """
    seen = last_event_id
    async for state in watch(use.jobs, job):
        name = _state(state)
        if state.status.final or name != seen:
            event = "done" if state.status.final else "progress"
            yield ServerSentEvent(data=state.model_dump(mode="json"), event=event, id=name)
        seen = name


def _state(job: Job) -> str:
    """Return a name for where the job is, which fits into a header."""
    doing = f".{fingerprint(job.detail)[:8]}" if job.detail else ""
    return f"{job.status}.{job.stage}.{job.progress:.4f}{doing}"
