"""What the routes share: the job in the path, its headers, and the short answer to who has it all already."""

import hashlib
from typing import Annotated, Any

from fastapi import Header, Response

from service.backing import Use
from service.contract.job import Job

RETRY_AFTER_S = "1"
Answers = dict[int | str, dict[str, Any]]
UNCHANGED: Answers = {304: {"description": "Nothing changed since `If-None-Match`."}}
IfNoneMatch = Annotated[str | None, Header(description="The `ETag` of what the caller has.", max_length=1000)]


def existing(job_id: str, use: Use) -> Job:
    """Return the job in the path; NotFound where there is none."""
    return use.jobs.get(job_id)


def progress_headers(job: Job) -> dict[str, str]:
    """Return where the job is and, while it is unfinished, when to look again."""
    headers = {"Location": f"/v1/diagnoses/{job.id}", "Cache-Control": "private, no-cache"}
    return headers if job.status.final else headers | {"Retry-After": RETRY_AFTER_S}


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
