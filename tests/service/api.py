# ruff: noqa: ANN401  what httpx takes is passed on
"""The API on a real server for its queue, without a worker: tests finish jobs as a worker does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx

from service.app import create_app
from service.contract.job import Status
from service.contract.problem import Problem
from service.contract.report import Report
from service.settings import Settings
from tests.service.samples import report as sample_report

MODEL = b'{"gradgate": "1", "input": {"shape": [2]}, "layers": [{"kind": "dense", "units": 2}]}'


class Service:
    """The API, called in-process over ASGI, and what stands behind it."""

    def __init__(self, settings: Settings) -> None:
        """Serve what the settings name; jobs that would be queued are noted in `woken`."""
        self.settings = settings
        self.woken: list[str] = []
        self.app = create_app(settings, self.woken.append)
        self.backing = self.app.state.backing

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        """Open a client of the API."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://gradgate.test") as client:
            yield client

    def call(self, method: str, url: str, **arguments: Any) -> httpx.Response:
        """Send one request."""

        async def once() -> httpx.Response:
            async with self.client() as client:
                return await client.request(method, url, **arguments)

        return asyncio.run(once())

    def get(self, url: str, **arguments: Any) -> httpx.Response:
        """Send a GET."""
        return self.call("GET", url, **arguments)

    def post(self, url: str, **arguments: Any) -> httpx.Response:
        """Send a POST."""
        return self.call("POST", url, **arguments)

    def submit(self, **arguments: Any) -> str:
        """Submit a small model and return the job's id."""
        answer = self.post("/v1/diagnoses", files={"model": MODEL}, **arguments)
        assert answer.status_code == 202, answer.text
        job_id: str = answer.json()["id"]
        return job_id

    def succeed(self, job_id: str, report: Report | None = None) -> Report:
        """End the job as a worker does: report first, record second."""
        report = (report or sample_report()).model_copy(update={"id": job_id}).sealed()
        token = uuid4().hex
        self.backing.jobs.claim(job_id, token)
        self.backing.storage.write(f"{job_id}/report.json", report.model_dump_json(by_alias=True).encode())
        assert self.backing.jobs.commit(job_id, token, Status.SUCCEEDED, verdict=report.verdict)
        return report

    def fail(self, job_id: str, problem: Problem) -> None:
        """End the job with a problem, as a worker does."""
        token = uuid4().hex
        self.backing.jobs.claim(job_id, token)
        assert self.backing.jobs.commit(job_id, token, Status.FAILED, problem=problem)
