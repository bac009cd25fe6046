"""Every error as RFC 9457 `application/problem+json`, in answers and in the OpenAPI document.

A handler here never repeats what the caller sent: a value that broke a schema may not even be JSON.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import structlog
from celery.exceptions import OperationalError as QueueError
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from kombu.exceptions import OperationalError as BrokerError
from pydantic import ValidationError
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException

from service.contract.problem import (
    Invalid,
    Malformed,
    NotAllowed,
    NotFound,
    Refused,
    TooLarge,
    Trouble,
    Unavailable,
)
from service.contract.traps import step

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = "5"

_BY_STATUS: dict[int, type[Trouble]] = {404: NotFound, 405: NotAllowed, 413: TooLarge}

log = structlog.get_logger(__name__)

Handler = Callable[[Request, Any], Awaitable[Response]]


def answer(request: Request, trouble: Trouble, headers: dict[str, str] | None = None) -> Response:
    """Return `trouble` as the answer to `request`."""
    headers = {"Cache-Control": "no-store", **(headers or {})}
    if trouble.status == Unavailable.status:
        headers["Retry-After"] = RETRY_AFTER_S
    body = trouble.problem(request.url.path).model_dump_json(exclude_none=True)
    return Response(body, trouble.status, headers, MEDIA_TYPE)


def refusals(*kinds: type[Trouble]) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entries of the ways in which a route can refuse, one per status."""
    by_status: dict[int, list[type[Trouble]]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, []).append(kind)
    return {status: _entry(same) for status, same in sorted(by_status.items())}


def headers(*names: str) -> dict[str, Any]:
    """Return the OpenAPI entry of an answer's headers."""
    return {name: {"description": _HEADERS[name], "schema": {"type": "string"}} for name in names}


def pointer(location: Iterable[int | str]) -> str:
    """Return a place in a document as an RFC 6901 JSON pointer; keys too long to repeat are left out."""
    return "".join(map(step, location))


def invalid(error: ValidationError, within: str = "", what: str = "The request") -> Invalid:
    """Return a schema's complaints as one refusal that points at the first; `within` is the pointer of `what`."""
    return _complaint(error.errors(include_url=False, include_context=False, include_input=False), within, what)


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem."""
    handlers: dict[type[Exception], Handler] = {
        Trouble: _trouble,
        HTTPException: _http,
        RequestValidationError: _parameters,
    }
    handlers |= dict.fromkeys((RedisError, BrokerError, QueueError, OSError), _away)
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


async def _trouble(request: Request, trouble: Trouble) -> Response:
    return answer(request, trouble)


async def _http(request: Request, error: HTTPException) -> Response:
    kind = _BY_STATUS.get(error.status_code, Malformed if error.status_code < 500 else Trouble)  # noqa: PLR2004
    return answer(request, kind(_SENTENCES.get(kind, str(error.detail))), dict(error.headers or {}))


async def _parameters(request: Request, error: RequestValidationError) -> Response:
    return answer(request, _complaint(error.errors(), "", "The request"))


async def _away(request: Request, error: Exception) -> Response:
    log.error("away", error=type(error).__name__, path=request.url.path)
    return answer(request, Unavailable("The queue or the storage does not answer; nothing was accepted. Try again."))


def unforeseen(request: Request, error: Exception) -> Response:
    """Log a fault of the service with its trace, and return an answer without it."""
    log.error("unforeseen", path=request.url.path, exc_info=error)
    return answer(request, Trouble("This is a fault of the service; the log has it under this request's id."))


_HEADERS = {
    "Location": "Where the job is.",
    "Retry-After": "Seconds after which to look again; while the job is unfinished.",
    "Preference-Applied": "The wait that was granted.",
    "ETag": "For `If-None-Match`: what tells this content from another.",
    "Link": "The next page, `rel=next`, where there is one.",
}
_SENTENCES: dict[type[Trouble], str] = {
    NotFound: "Nothing is served under this path.",
    NotAllowed: "The path exists; the header Allow names its methods.",
    TooLarge: "The body is larger than this path accepts.",
}


def _complaint(errors: Iterable[Any], within: str, what: str) -> Invalid:
    found = [(within + pointer(one["loc"]), one["msg"].removeprefix("Value error, ")) for one in errors]
    said = "; ".join(f"{where or '/'}: {why}" for where, why in found[:5])
    more = f" (and {len(found) - 5} more)" if len(found) > 5 else ""  # noqa: PLR2004
    return Invalid(f"{what} does not fit the schema. {said}{more}.", pointer=found[0][0] if found else None)


def _entry(kinds: list[type[Trouble]]) -> dict[str, Any]:
    examples = {kind.slug(): {"summary": kind.title, "value": _example(kind)} for kind in kinds}
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}
    return {"description": " · ".join(kind.title for kind in kinds), "content": {MEDIA_TYPE: content}}


def _example(kind: type[Trouble]) -> dict[str, Any]:
    detail = (kind.__doc__ or "").partition("\n")[0]
    trouble = kind.__new__(kind)
    Trouble.__init__(trouble, detail)
    return Trouble.problem(trouble).model_dump(exclude_none=True)


EVERYWHERE = refusals(NotAllowed, Invalid, Trouble, Unavailable)
"""What any route may answer."""

__all__ = ["EVERYWHERE", "MEDIA_TYPE", "Refused", "answer", "install", "invalid", "pointer", "refusals"]
