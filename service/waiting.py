"""Waiting for a job, as far as `Prefer: wait=N` (RFC 7240) asks for it."""

import asyncio
import re
import time
from collections.abc import AsyncIterator

from fastapi.concurrency import run_in_threadpool

from service.contract.job import Job
from service.jobs import Jobs

_FIRST_S, _LAST_S, _GROWTH = 0.02, 0.25, 1.15
_WAIT = re.compile(r"""(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])""", re.IGNORECASE)


def wished(prefer: str | None, limit_s: float) -> float | None:
    """Return the seconds that a `Prefer` header asks for, at most `limit_s`; None where it asks for no wait."""
    found = _WAIT.search(prefer or "")
    return min(float(found[1]), limit_s) if found else None


def applied(seconds: float) -> dict[str, str]:
    """Return the header that says how long the service was willing to wait."""
    return {"Preference-Applied": f"wait={seconds:g}"}


async def finished(jobs: Jobs, job: Job, seconds: float) -> Job:
    """Return the job as it is once it is final, or after `seconds`."""
    async for seen in watch(jobs, job, seconds):
        job = seen
    return job


async def watch(jobs: Jobs, job: Job, seconds: float = float("inf")) -> AsyncIterator[Job]:
    """Yield the job now and at each look, ever more seldom, until it is final or `seconds` are over."""
    deadline, pause = time.monotonic() + seconds, _FIRST_S
    yield job
    while not job.status.final and (left := deadline - time.monotonic()) > 0:
        await asyncio.sleep(min(pause, left))
        pause = min(_GROWTH * pause, _LAST_S)
        job = await run_in_threadpool(jobs.get, job.id)
        yield job
