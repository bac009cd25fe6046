"""Real workers, and a desk where tests hand jobs in."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import psutil

from service.contract.job import Job
from service.contract.options import Options
from service.jobs import Jobs
from service.queue import enqueue, queue
from service.settings import Settings
from service.storage import Storage, open_storage

ROOT = Path(__file__).parents[2]


class Worker:
    """A worker process with all its descendants."""

    def __init__(self, settings: Settings) -> None:
        """Start it; it is ready some seconds later."""
        given = {f"GRADGATE_{name.upper()}": str(value) for name, value in settings.model_dump().items()}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "worker", "tests.isolation.stand_ins:examine"],
            env={**os.environ, **given, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )
        self.pid = self.process.pid

    def family(self) -> list[psutil.Process]:
        """Return all its processes."""
        return psutil.Process(self.pid).children(recursive=True)

    def find(self, word: str) -> psutil.Process:
        """Return the first of its processes whose command line holds `word`."""
        return next(process for process in self.family() if word in " ".join(process.cmdline()))

    def kill(self) -> None:
        """End it as a power cut would."""
        family = self.family() if self.process.poll() is None else []
        for victim in [psutil.Process(self.pid), *family] if self.process.poll() is None else []:
            with suppress(psutil.NoSuchProcess):
                victim.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it in peace, and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


class Desk:
    """Where tests hand jobs in and wait for what becomes of them."""

    def __init__(self, settings: Settings) -> None:
        """Use the settings' server and storage."""
        self.jobs, self.app = Jobs.connect(settings), queue(settings)
        self.storage: Storage = open_storage(settings.storage)
        self._count = 0

    def submit(self, words: str, parts: Mapping[str, str] = MappingProxyType({})) -> str:
        """Hand in a job whose model says `words`, and return its id."""
        self._count += 1
        job_id = f"{id(self)}-{self._count}"
        self.storage.write(f"{job_id}/model", words.encode())
        self.storage.write(f"{job_id}/options.json", Options().model_dump_json().encode())
        for key, text in parts.items():
            self.storage.write(f"{job_id}/{key}", text.encode())
        self.jobs.create(job_id)
        enqueue(self.app, job_id)
        return job_id

    def wait(self, job_id: str, until: Callable[[Job], bool] = lambda job: job.status.final) -> Job:
        """Return the job as soon as `until` holds for it."""
        end = time.monotonic() + 40
        while not until(job := self.jobs.get(job_id)):
            assert time.monotonic() < end, f"still {job}"
            time.sleep(0.02)
        return job

    def close(self) -> None:
        """Close the connections."""
        self.jobs.close()
        self.app.close()


class Workshop(NamedTuple):
    """A worker and the desk that hands it its jobs."""

    worker: Worker
    desk: Desk
