"""What an examination leaves: the report, in every format, and the treated model."""

from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from service.backing import Backing, Use
from service.contract.job import Job, Status
from service.contract.options import Options
from service.contract.policy import Policy
from service.contract.problem import NoReport, NotAcceptable, NotFinished, NotFound
from service.contract.report import Report
from service.gate import judge
from service.present import choose, formats
from service.problems import refusals
from service.routes.answers import UNCHANGED, Answers, IfNoneMatch, existing, fingerprint, unless_known

router = APIRouter(prefix="/v1/diagnoses", tags=["diagnoses"])

OTHER_FORMATS: Answers = {
    200: {"content": {one.media_type: {"schema": {"type": "string"}} for one in formats.values() if one.name != "json"}}
}
MODEL: Answers = {200: {"content": {"application/octet-stream": {}, "application/json": {}}}}


class Form(BaseModel):
    """How a report is wanted."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    format: str | None = Field(default=None, max_length=40, examples=list(formats))
    """The format's name; wins over `Accept`."""
    source: str = Field(default="", max_length=500)
    """The model's path in the caller's repository, for SARIF and JUnit."""


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
        msg = (
            "There is no treated model: nothing is prescribed, or it changes what the file does not hold, or one file "
            "does not hold it; the report's notes say so."
        )
        raise NotFound(msg)
    path = use.storage.path(key)
    with path.open("rb") as file:
        is_json = file.read(1) == b"{"
    media_type, suffix = ("application/json", "json") if is_json else ("application/octet-stream", "onnx")
    return FileResponse(path, media_type=media_type, filename=f"treated.{suffix}")


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
