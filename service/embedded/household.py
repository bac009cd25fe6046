"""Everything in one terminal: who is started first, who is stopped last, and what happens when somebody dies."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from types import FrameType
from typing import Final, Self

import structlog
from redis import Redis, RedisError

from service.contract.problem import Unavailable
from service.embedded.server import server
from service.kin import kin
from service.settings import Settings

_GLANCE_S: Final = 0.1
_START_S: Final = 60
"""Seconds that the server and the API have to answer."""
_LAST_WORDS_S: Final = 10
"""Seconds that each has to end, beyond what a running job is given."""

log = structlog.get_logger(__name__)


def up(settings: Settings, host: str, port: int, workers: int | None = None) -> int:
    """Run all of Gradgate until told to stop, and return the exit status.

    `workers` is the number of jobs at a time: None leaves it to the machine, 0 runs the API alone.  0 after a wish to
    stop, 1 where one of the processes died, 2 where they could not be started.
    """
    data = settings.data.absolute()
    try:
        with _held(data), Household(settings.grace_s) as household:
            _check(host, port)
            environment = _settle(household, settings, data)
            if workers != 0:
                slots = {} if workers is None else {"GRADGATE_SLOTS": str(workers)}
                household.start("worker", [sys.executable, "-m", "worker"], environment | slots)
            household.start("api", [sys.executable, "-m", "service.serving", host, str(port)], environment)
            household.await_(lambda: _answers(host, port), "The API")
            _greet(host, port)
            return household.watch()
    except Unavailable as trouble:
        print(f"gradgate up: {trouble.detail}", file=sys.stderr)  # noqa: T201  whoever started it reads this
        return 2


class Household:
    """Processes that live and die together."""

    def __init__(self, grace_s: float) -> None:
        """Start with nobody; a running job is given `grace_s` to end."""
        self._grace_s = grace_s
        self._members: dict[str, subprocess.Popen[bytes]] = {}
        self._signals = 0

    def __enter__(self) -> Self:
        """Listen to signals: the first one ends the household in peace, the second one kills it."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._asked)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everybody, the last one first."""
        for name, member in reversed(self._members.items()):
            member.terminate()
            try:
                member.wait(self._grace_s + _LAST_WORDS_S)
            except subprocess.TimeoutExpired:
                log.warning("killed", name=name)
                _kill(member)
            member.wait()

    def start(self, name: str, command: list[str], environment: Mapping[str, str]) -> None:
        """Start a member, out of the terminal's reach: Ctrl-C is for the head of the household alone."""
        self._members[name] = subprocess.Popen(  # noqa: S603  our own programs
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=kin(),  # noqa: PLW1509  this process has one thread
        )

    def await_(self, ready: Callable[[], bool], who: str) -> None:
        """Wait until `ready`; Unavailable where somebody dies before or it takes too long."""
        end = time.monotonic() + _START_S
        while not ready() and not self._signals:
            if (dead := self._dead()) or time.monotonic() > end:
                msg = f"{who} does not answer" + (f": {dead} ended early." if dead else f" after {_START_S} s.")
                raise Unavailable(msg)
            time.sleep(_GLANCE_S)

    def watch(self) -> int:
        """Wait for a signal (0) or a death (1)."""
        while not self._signals:
            if dead := self._dead():
                log.error("somebody died", name=dead, status=self._members[dead].returncode)
                return 1
            time.sleep(_GLANCE_S)
        return 0

    def _dead(self) -> str | None:
        return next((name for name, member in self._members.items() if member.poll() is not None), None)

    def _asked(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals > 1:
            for member in self._members.values():
                _kill(member)


def _kill(member: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(member.pid, signal.SIGKILL)


@contextmanager
def _held(data: Path) -> Iterator[None]:
    """Hold the data directory; Unavailable where another process does."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (data / "lock").open("w") as lock:
            flock(lock, LOCK_EX | LOCK_NB)
            yield
    except BlockingIOError as error:
        msg = f"Another `gradgate up` uses {data}; name another directory with --data."
        raise Unavailable(msg) from error


def _settle(household: Household, settings: Settings, data: Path) -> dict[str, str]:
    """Start the queue's server, unless the caller named one, and return the environment of everybody else."""
    given = {"GRADGATE_DATA": str(data)}
    if "storage" not in settings.model_fields_set:
        given["GRADGATE_STORAGE"] = f"file:{data / 'storage'}"
    if "redis_url" not in settings.model_fields_set:
        own = server(data / "redis")
        household.start("valkey", list(own.command), os.environ)
        household.await_(lambda: _serves(own.url), "The queue's server")
        given["GRADGATE_REDIS_URL"] = own.url
    return os.environ | given


def _serves(url: str) -> bool:
    try:
        with Redis.from_url(url, socket_timeout=1) as redis:
            return bool(redis.ping())
    except RedisError:
        return False


def _check(host: str, port: int) -> None:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        msg = f"The port {port} of {host} cannot be used ({error.strerror}); name another one with --port."
        raise Unavailable(msg) from error


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((_own(host), port), timeout=1).close()
    except OSError:
        return False
    return True


def _own(host: str) -> str:
    """Return the address under which this machine reaches what listens at `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104  read, not bound


def _greet(host: str, port: int) -> None:
    name = f"[{_own(host)}]" if ":" in _own(host) else _own(host)
    url = f"http://{name}:{port}"
    print(f"Gradgate is up at {url}.  Try: curl -F model=@model.onnx '{url}/v1/diagnoses'", flush=True)  # noqa: T201
