"""One worker's processes: who starts them, who watches over them, who ends them."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Final, Self, cast
from uuid import uuid4

import structlog
from redis import RedisError

from service import reaper
from service.contract.problem import Unavailable
from service.jobs import Jobs
from service.queue import queue
from service.settings import Settings
from service.storage import open_storage
from worker.isolation.order import EXAMINE
from worker.plan import Plan, cores, plan
from worker.pool import Bench

_GLANCE_S: Final = 0.2
_ONE_THREAD: Final = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
_NO_SPINNING: Final = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}
"""Threads that wait for each other sleep: where other processes want the cores, spinning costs seconds per step."""
_KEPT: Final = ("PATH", "HOME", "LANG", "LC_", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "PYTHON", "CUDA_", "NVIDIA_")
"""How the variables begin that a zygote may know: nothing that holds a password."""

log = structlog.get_logger(__name__)


class Station:
    """A zygote and a pool, started together and ended together."""

    def __init__(self, settings: Settings, entry: str = EXAMINE) -> None:
        """Prepare a worker; nothing runs before `run`."""
        self._settings, self._entry = settings, entry
        self._name = f"{socket.gethostname()}-{uuid4().hex[:8]}"
        self._folder = tempfile.TemporaryDirectory(prefix="gradgate-", ignore_cleanup_errors=True)
        self._address = Path(self._folder.name) / "zygote"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._address))
        self._listener.listen(256)
        self._signals = 0
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        """Listen to signals."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Leave no process and no file behind."""
        for process in self._processes.values():
            process.kill()
            process.wait()
        self._listener.close()
        self._folder.cleanup()

    def run(self) -> int:
        """Work until told to stop (0) or until the pool dies (1)."""
        shares = self._shares(self._hatch())
        log.info("worker starts", name=self._name, devices=shares.devices, threads=shares.threads)
        settings = self._settings
        jobs = Jobs.connect(settings)
        sweeping = reaper.start(settings, jobs, queue(settings), open_storage(settings.storage))
        self._processes["pool"] = self._open(shares)
        while self._processes["pool"].poll() is None:
            time.sleep(_GLANCE_S)
            if self._processes["zygote"].poll() is not None and not self._signals:
                log.error("zygote died", status=self._processes["zygote"].returncode)
                self._hatch()
        sweeping.set()
        with suppress(RedisError):
            jobs.leave(self._name)
        return 0 if self._signals else 1

    def _hatch(self) -> int:
        """Start a zygote, wait until it has loaded everything, and return the number of GPUs that it sees."""
        command = [sys.executable, "-m", "worker.isolation.zygote", str(self._listener.fileno()), str(os.getpid())]
        started = time.monotonic()
        zygote = subprocess.Popen(  # noqa: S603  our own program
            [*command, self._entry],
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            pass_fds=[self._listener.fileno()],
            env=_sparse(os.environ) | _ONE_THREAD | _NO_SPINNING | {"PYTHONHASHSEED": "0"},
            start_new_session=True,
        )
        self._processes["zygote"] = zygote
        with cast("IO[bytes]", zygote.stdout) as said:
            if not (line := said.readline()):
                msg = "The worker's zygote ended before it was ready; its log says why."
                raise Unavailable(msg)
        ready = json.loads(line)
        log.info("zygote ready", seconds=round(time.monotonic() - started, 2), **ready)
        return int(ready["gpus"])

    def _shares(self, gpus: int) -> Plan:
        return plan(self._settings.device, gpus=gpus, cores=cores(), slots=self._settings.slots)

    def _open(self, shares: Plan) -> subprocess.Popen[bytes]:
        bench = Bench(
            parent=os.getpid(),
            name=self._name,
            zygote=self._address,
            folder=Path(self._folder.name),
            devices=shares.devices,
            threads=shares.threads,
            entry=self._entry,
        )
        return subprocess.Popen(  # noqa: S603  our own program
            [sys.executable, "-m", "worker.pool", bench.model_dump_json()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # Celery's words to people at a terminal; its log goes to standard error
            env={**os.environ, "REMAP_SIGTERM": "SIGQUIT"},  # SIGTERM gives jobs back instead of waiting for them
            start_new_session=True,
        )

    def _asked(self, _number: int, _frame: FrameType | None) -> None:
        """Stop the pool in peace; at the second time, or before it runs, end everything."""
        self._signals += 1
        pool = self._processes.get("pool")
        if pool and self._signals == 1:
            pool.terminate()
            return
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _sparse(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the processes of uploads may see."""
    return {name: value for name, value in environment.items() if name.startswith(_KEPT)}
