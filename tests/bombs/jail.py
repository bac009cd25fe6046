"""The real jail: a zygote with a child per bomb, confined and limited as in service, and watched from outside."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import psutil

from service.contract.options import Options
from service.contract.problem import Problem, Trouble
from service.contract.words import Depth
from tests.bombs.bombs import Bomb
from worker.isolation.order import EXAMINE, Order
from worker.isolation.runner import Failed, Runner

MIB = 2**20
OPTIONS = Options(depth=Depth.QUICK, steps=2, seeds=1, time_limit_s=10, treat=False)
ROOT = Path(__file__).parents[2]
_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


class Outcome(NamedTuple):
    """What became of a bomb."""

    problem: Problem | None
    """None where it ended in a report."""
    seconds: float
    peak_bytes: int
    """Most memory of the child that was seen."""


class Jail(NamedTuple):
    """A zygote, and what its children may take."""

    address: Path
    zygote: psutil.Process
    folder: Path
    memory_limit_bytes: int
    limit_s: float

    def run(self, bomb: Bomb) -> Outcome:
        """Examine a bomb to its end, whatever that is."""
        folder = self.folder / f"job-{time.monotonic_ns()}"
        (folder / "given").mkdir(parents=True)
        (folder / "own").mkdir()
        model = folder / "given" / "model"
        model.write_bytes(bomb.build())
        order = Order(
            job_id="bomb",
            created_at=datetime.now(UTC),
            model=model,
            batch=None,
            external=dict(bomb.external(folder / "given")),
            options=OPTIONS,
            folder=folder / "own",
            device="cpu",
            threads=1,
            memory_limit_bytes=self.memory_limit_bytes,
        )
        runner = Runner(self.address, order, limit_s=self.limit_s, period_s=1, tell=lambda *_: None)
        with _watched(self.zygote) as peak:
            start = time.monotonic()
            return Outcome(_problem(runner), time.monotonic() - start, peak())


def _problem(runner: Runner) -> Problem | None:
    try:
        runner.run()
    except Failed as failed:
        return failed.problem
    except Trouble as trouble:
        return trouble.problem()
    return None


@contextmanager
def _watched(zygote: psutil.Process) -> Iterator["Peak"]:
    peak = Peak(zygote)
    peak.start()
    yield peak
    peak.over.set()


class Peak(threading.Thread):
    """Looks again and again how much memory the zygote's children have taken at most."""

    def __init__(self, zygote: psutil.Process) -> None:
        """Watch the children of `zygote`."""
        super().__init__(daemon=True)
        self.zygote, self.seen, self.over = zygote, 0, threading.Event()

    def run(self) -> None:
        """Look until it is over."""
        while not self.over.wait(0.005):
            self.look()

    def look(self) -> None:
        """Look once: the kernel keeps the high-water mark of each process that lives."""
        with suppress(psutil.NoSuchProcess, OSError):
            for child in self.zygote.children(recursive=True):
                lines = Path(f"/proc/{child.pid}/status").read_text().splitlines()
                marks = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")]
                self.seen = max(self.seen, *marks, 0)

    def __call__(self) -> int:
        """Return the most bytes seen."""
        return self.seen


@contextmanager
def jail(folder: Path, *, memory_limit_bytes: int = 1536 * MIB, limit_s: float = 3) -> Iterator[Jail]:
    """Start a zygote; it ends with the context."""
    address = folder / "zygote"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen()
        command = [sys.executable, "-m", "worker.isolation.zygote", str(listener.fileno()), str(os.getpid()), EXAMINE]
        with subprocess.Popen(  # noqa: S603  this installation's own zygote
            command,
            pass_fds=[listener.fileno()],
            stdout=subprocess.PIPE,
            env={**os.environ, **_THREADS, "PYTHONPATH": str(ROOT)},
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline()
            yield Jail(address, psutil.Process(process.pid), folder, memory_limit_bytes, limit_s)
            process.kill()
