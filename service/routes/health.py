"""Whether the service lives, whether it can work, and its numbers."""

from typing import Any

from fastapi import APIRouter, Response
from redis.exceptions import RedisError

from service import __version__
from service.backing import Backing, Use
from service.contract.problem import Problem, Unavailable
from service.metrics import CONTENT_TYPE
from service.problems import MEDIA_TYPE, RETRY_AFTER_S, refusals

router = APIRouter(tags=["health"])


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """Say that this process answers."""
    return {"status": "ok", "version": __version__}


@router.get("/readyz", response_model=dict[str, Any], responses=refusals(Unavailable))
def readyz(use: Use, response: Response) -> Any:  # noqa: ANN401  a problem, or what was checked
    """Say whether a job would be accepted and run: the queue's server, the storage, and at least one worker."""
    checks = _checks(use)
    if all(checks.values()):
        return {"status": "ready", "checks": checks, "workers": use.jobs.workers(), "queued": use.jobs.depth()}
    away = ", ".join(name for name, fine in checks.items() if not fine)
    trouble = Unavailable(f"Away: {away}.")
    body = Problem(**trouble.problem("/readyz").model_dump(), checks=checks).model_dump_json(exclude_none=True)
    return Response(body, 503, {"Retry-After": RETRY_AFTER_S, "Cache-Control": "no-store"}, MEDIA_TYPE)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(use: Use) -> Response:
    """Return the numbers for Prometheus."""
    text = use.metrics.scrape(lambda: (use.jobs.depth(), use.jobs.workers()))
    return Response(text, headers={"Content-Type": CONTENT_TYPE})


def _checks(use: Backing) -> dict[str, bool]:
    try:
        queue, workers = use.jobs.ping(), use.jobs.workers() > 0
    except (RedisError, OSError):
        queue, workers = False, False
    return {"queue": queue, "storage": use.storage.ready(), "workers": workers}
