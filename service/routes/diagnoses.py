"""`/v1/diagnoses`: submit, look, watch, read, erase."""

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import FileResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field

from service import problems
from service.backing import Backing, Use
from service.contract.job import Job, JobPage, Status
from service.contract.options import Options
from service.contract.policy import Policy
from service.contract.problem import Invalid, NoReport, NotAcceptable, NotFinished, NotFound
from service.contract.report import Report
from service.contract.words import Verdict
from service.gate import judge
from service.present import choose, formats
from service.problems import refusals
from service.routes.submitting import BODY, REFUSALS, IdempotencyKey, Prefer, accept, wait_s
from service.waiting import applied, finished, watch

router = APIRouter(prefix="/v1/diagnoses", tags=["diagnoses"])

RETRY_AFTER_S = "1"
Answers = dict[int | str, dict[str, Any]]
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
UNCHANGED: Answers = {304: {"description": "Nothing changed since `If-None-Match`."}}
OTHER_FORMATS: Answers = {
    200: {"content": {one.media_type: {"schema": {"type": "string"}} for one in formats.values() if one.name != "json"}}
}
MODEL: Answers = {200: {"content": {"application/octet-stream": {}, "application/json": {}}}}


class Wish(BaseModel):
    """Which jobs to list."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    limit: int = Field(default=20, ge=1, le=100)
    """Most jobs on a page."""
    cursor: str | None = Field(default=None, max_length=200)
    """Where the page begins: `next` of the page before."""
    status: Status | None = None
    verdict: Verdict | None = None


class Form(BaseModel):
    """How a report is wanted."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    format: str | None = Field(default=None, max_length=40, examples=list(formats))
    """The format's name; wins over `Accept`."""
    source: str = Field(default="", max_length=500)
    """The model's path in the caller's repository, for SARIF and JUnit."""


def existing(job_id: str, use: Use) -> Job:
    """Return the job in the path; NotFound where there is none."""
    return use.jobs.get(job_id)


IfNoneMatch = Annotated[str | None, Header(description="The `ETag` of what the caller has.", max_length=1000)]


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
    """Stream a `progress` event per stage and step, and `done` at the end, each with the job as its data.

    An event's id names the state that it reports: with `Last-Event-ID`, a state that was seen is not sent again.
    """
    seen = last_event_id
    async for state in watch(use.jobs, job):
        name = f"{state.status}.{state.stage}.{state.progress:.4f}"
        if state.status.final or name != seen:
            event = "done" if state.status.final else "progress"
            yield ServerSentEvent(data=state.model_dump(mode="json"), event=event, id=name)
        seen = name


@router.get(
    "/{job_id}/report",
    response_model=Report,
    responses=OTHER_FORMATS | UNCHANGED | refusals(NotFound, NotAcceptable, NotFinished, NoReport),
)
def report(
    use: Use,
    job: Annotated[Job, Depends(existing)],
    form: Annotated[Form, Query()],
    accept: Annotated[str | None, Header(max_length=1000)] = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return the report in the format that `format` or `Accept` asks for; JSON by default."""
    chosen = choose(form.format, accept)
    found = read_report(use, job)
    content = chosen.render(found, judge(found, own_policy(use, job), today()), form.source)
    headers = {"ETag": f'"{fingerprint(content)}"', "Vary": "Accept", "Cache-Control": "private, no-cache"}
    return unless_known(Response(content, 200, headers | dict(chosen.headers), chosen.media_type), if_none_match)


@router.get(
    "/{job_id}/treated-model",
    response_class=FileResponse,
    responses={**MODEL, **refusals(NotFound, NotFinished, NoReport)},
)
def treated_model(use: Use, job: Annotated[Job, Depends(existing)]) -> FileResponse:
    """Return the model with the recommended remedies applied, in the format in which it came; NotFound without any."""
    ended_well(job)
    key = f"{job.id}/treated-model"
    if not use.storage.exists(key):
        msg = "No remedy was recommended that changes the model, so there is no treated one."
        raise NotFound(msg)
    path = use.storage.path(key)
    with path.open("rb") as file:
        is_json = file.read(1) == b"{"
    media_type, suffix = ("application/json", "json") if is_json else ("application/octet-stream", "onnx")
    return FileResponse(path, media_type=media_type, filename=f"treated.{suffix}")


def progress_headers(job: Job) -> dict[str, str]:
    """Return where the job is and, while it is unfinished, when to look again."""
    headers = {"Location": f"/v1/diagnoses/{job.id}", "Cache-Control": "private, no-cache"}
    return headers if job.status.final else headers | {"Retry-After": RETRY_AFTER_S}


def ended_well(job: Job) -> None:
    """Raise NotFinished while the job runs, NoReport where it failed or was cancelled."""
    if not job.status.final:
        msg = f"The job is {job.status} ({job.stage}, {job.progress:.0%}); wait with `Prefer: wait=60`."
        raise NotFinished(msg)
    if job.status is Status.FAILED:
        raise NoReport(job.problem.detail if job.problem else "The job failed.", cause=job.problem)
    if job.status is Status.CANCELLED:
        msg = "The job was cancelled."
        raise NoReport(msg)


def read_report(use: Backing, job: Job) -> Report:
    """Return the job's report; NotFinished or NoReport where there is none."""
    ended_well(job)
    return Report.model_validate_json(use.storage.read(f"{job.id}/report.json"))


def own_policy(use: Backing, job: Job) -> Policy:
    """Return the policy in the job's options."""
    return Options.model_validate_json(use.storage.read(f"{job.id}/options.json")).policy


def today() -> date:
    """Return the day that waivers are held to."""
    return datetime.now(UTC).date()


def fingerprint(content: str) -> str:
    """Return what tells one content from another."""
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def unless_known(response: Response, if_none_match: str | None) -> Response:
    """Return `response`, or 304 where the caller has it already."""
    known = {tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")}
    if response.headers["ETag"].removeprefix("W/") not in known and "*" not in known:
        return response
    kept = {name: response.headers[name] for name in ("ETag", "Vary", "Cache-Control") if name in response.headers}
    return Response(status_code=304, headers=kept)
