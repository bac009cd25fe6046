"""The edge: a job's id comes in, a report is put away, the record says how it ended.

Running a job twice is harmless: only whoever holds its lease can end it.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar
from uuid import uuid4

import structlog
from redis import RedisError

from service.contract.job import Status
from service.contract.options import Options
from service.contract.problem import NotFound, Problem, Trouble
from service.contract.report import Report
from service.contract.words import Stage
from service.jobs import Claim, Jobs
from service.settings import Settings
from service.storage import Storage
from worker.isolation.order import EXAMINE, Order
from worker.isolation.runner import Failed, Result, Runner, ZygoteLost

Answer = TypeVar("Answer")

_BEAT_S: Final = 1.0
"""Most seconds between two beats: a cancelled job ends within about as many."""
_INSIST_S: Final = 60.0
"""Seconds for which the end of a job is sent to a server that is away."""

log = structlog.get_logger(__name__)


class Stopped(Exception):
    """The job is no longer wanted (`cancelled`), or no longer ours (`lost`)."""


@dataclass(frozen=True)
class Slot:
    """A place where one job at a time runs."""

    settings: Settings
    jobs: Jobs
    storage: Storage
    zygote: Path
    """Where the zygote listens."""
    folder: Path
    """Where each job gets an empty directory."""
    device: str
    threads: int
    entry: str = EXAMINE

    def work(self, job_id: str) -> None:
        """Run the job, unless it is over or runs elsewhere, and record its end."""
        token = uuid4().hex
        if (claim := self.jobs.claim(job_id, token)) is not Claim.RUN:
            log.info("job not started", job=job_id, claim=str(claim))
            return
        try:
            result = self._examine(job_id, token)
            if result.treated is not None:
                self.storage.write(f"{job_id}/treated-model", result.treated)
            self.storage.write(f"{job_id}/report.json", result.written)
            self._end(job_id, token, Status.SUCCEEDED, report=result.report)
        except Stopped as stopped:
            self._end(job_id, token, Status.CANCELLED)
            log.info("job stopped", job=job_id, reason=str(stopped))
        except Failed as failed:
            self._end(job_id, token, Status.FAILED, problem=failed.problem)
        except Trouble as trouble:
            self._end(job_id, token, Status.FAILED, problem=trouble.problem())
        except (ZygoteLost, SystemExit) as lost:
            shutdown = isinstance(lost, SystemExit)
            log.warning("job given back", job=job_id, reason="shutdown" if shutdown else "zygote lost")
            insist(lambda: self.jobs.release(job_id, token, counts=not shutdown))
            if shutdown:
                raise

    def _examine(self, job_id: str, token: str) -> Result:
        def tell(stage: Stage, progress: float, detail: str) -> None:
            try:
                answer = self.jobs.beat(job_id, token, stage, progress, detail)
            except RedisError as error:
                log.warning("beat not sent", job=job_id, error=str(error))
                return
            if answer != "ok":
                raise Stopped(answer)

        with tempfile.TemporaryDirectory(prefix="job-", dir=self.folder, ignore_cleanup_errors=True) as folder:
            order = self._order(job_id, Path(folder))
            limit_s = min(self.settings.job_time_limit_s, 3 * order.options.time_limit_s + 60)
            period_s = min(self.settings.lease_s / 3, _BEAT_S)
            return Runner(self.zygote, order, limit_s=limit_s, period_s=period_s, tell=tell).run()

    def _order(self, job_id: str, folder: Path) -> Order:
        job, storage = self.jobs.get(job_id), self.storage

        def given(name: str) -> Path | None:
            key = f"{job_id}/{name}"
            return storage.path(key).absolute() if storage.exists(key) else None

        return Order(
            job_id=job_id,
            created_at=job.created_at,
            model=storage.path(f"{job_id}/model").absolute(),
            batch=given("batch"),
            second=given("second-batch"),
            external={
                name: storage.path(f"{job_id}/data/{name}").absolute() for name in storage.names(f"{job_id}/data")
            },
            options=Options.model_validate_json(storage.read(f"{job_id}/options.json")),
            folder=folder,
            device=self.device,
            threads=self.threads,
            memory_limit_bytes=self.settings.memory_limit_bytes,
            entry=self.entry,
        )

    def _end(
        self, job_id: str, token: str, status: Status, *, report: Report | None = None, problem: Problem | None = None
    ) -> None:
        """Record the end; where the job was erased meanwhile, erase what was written since."""
        verdict = report.verdict if report else None
        if insist(lambda: self.jobs.commit(job_id, token, status, verdict=verdict, problem=problem)):
            log.info("job ended", job=job_id, status=str(status), problem=problem.type if problem else None)
            return
        try:
            self.jobs.get(job_id)
        except NotFound:
            self.storage.erase(job_id)


def insist(ask: Callable[[], Answer], *, patience_s: float = _INSIST_S) -> Answer:
    """Return what the server answers, asking again for a while where it is away; RedisError after that."""
    end = time.monotonic() + patience_s
    while True:
        try:
            return ask()
        except RedisError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
