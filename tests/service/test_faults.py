"""A fault of the service stays in its log; the caller gets a problem, and every line has its request's id."""

import asyncio
import io
import json
import logging
import threading
from collections.abc import Iterator

import pytest
import structlog

from service import logs
from tests.service.api import Service


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the process logs."""
    before = logging.getLogger().handlers[:], logging.getLogger().level
    stream = io.StringIO()
    logs.configure(stream=stream)
    yield stream
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = before[0]
    logging.getLogger().setLevel(before[1])


def test_no_stack_trace_leaves_the_service(service: Service, log: io.StringIO) -> None:
    job_id = service.submit()
    service.succeed(job_id)
    service.backing.storage.write(f"{job_id}/report.json", b'{"s3cret": 1}')
    answer = service.get(f"/v1/diagnoses/{job_id}/report", headers={"X-Request-Id": "mine-1"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (500, "application/problem+json")
    assert answer.json()["type"] == "/problems/trouble"
    assert "s3cret" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["X-Request-Id"] == "mine-1"
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    (fault,) = [line for line in lines if line["event"] == "unforeseen"]
    assert "ValidationError" in fault["exception"]
    assert fault["request_id"] == "mine-1"


def test_each_request_is_a_line_of_json(service: Service, log: io.StringIO) -> None:
    service.get("/healthz")
    answer = service.get("/v1/rules", headers={"X-Request-Id": "spaces are refused\x07"})
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    (line,) = [line for line in lines if line["event"] == "request"]
    assert (line["path"], line["status"], line["request_id"]) == ("/v1/rules", 200, answer.headers["X-Request-Id"])
    assert len(line["request_id"]) == 32


def test_libraries_log_in_the_same_form(log: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").warning("it is %s", "late")
    line = json.loads(log.getvalue())
    assert (line["event"], line["level"]) == ("it is late", "warning")


def test_lost_jobs_are_looked_after_while_the_service_runs(service: Service) -> None:
    def reapers() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "reaper"]

    async def story() -> list[threading.Thread]:
        async with service.app.router.lifespan_context(service.app):
            return reapers()

    (reaper,) = asyncio.run(story())
    reaper.join(10)
    assert reapers() == []
