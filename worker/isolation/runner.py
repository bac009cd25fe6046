"""The slot's side of a job: hand the order to the zygote, relay the progress, watch the clock, say how it ended."""

import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from service.contract.problem import Crashed, Problem, TimedOut, Trouble
from service.contract.report import Report
from service.contract.words import Stage
from worker.isolation.memory import kills_for_memory, out_of_memory
from worker.isolation.order import LONGEST_DETAIL, REPORT, TREATED, Lines, Order

_LARGEST_REPORT: Final = 256 * 2**20
_LARGEST_MODEL: Final = 2**31
_BIRTH_S: Final = 60.0
"""Seconds that the zygote has for starting a child; a new zygote may have to load everything first."""
_BURIAL_S: Final = 10.0
"""Seconds that the zygote has for killing a child."""
_GLANCE_S: Final = 0.25
"""Least seconds between two words about the progress of one stage."""


@dataclass(frozen=True)
class Result:
    """What a child wrote."""

    report: Report
    written: bytes
    """The report as it was written."""
    treated: bytes | None
    """The treated model, where one is prescribed."""


class ZygoteLost(Exception):
    """The zygote died, and its children with it.  The job is not at fault."""


class Failed(Exception):
    """The child told of a problem."""

    def __init__(self, problem: Problem) -> None:
        """Carry what is told to the caller."""
        super().__init__(problem.detail)
        self.problem = problem


@dataclass
class Runner:
    """Has one order carried out by a child of the zygote that listens at `address`."""

    address: Path
    order: Order
    limit_s: float
    """Seconds after which the child is killed."""
    period_s: float
    """Most seconds between two calls of `tell`."""
    tell: Callable[[Stage, float, str], None]
    """Hears of progress; whatever it raises ends the child."""
    _lines: Lines = field(default_factory=Lines)
    _now: tuple[Stage, float, str] = (Stage.LOADING, 0.0, "")
    _told: tuple[Stage, float, str] | None = None
    _told_at: float = 0.0
    _problem: Problem | None = None
    _done: bool = False
    _asked: float = field(default_factory=time.monotonic)
    _started: float | None = None

    def run(self) -> Result:
        """Return what the child wrote.

        Failed with the child's own problem; Crashed, OutOfMemory or TimedOut where it could not tell; ZygoteLost.
        """
        kills = kills_for_memory()
        with socket.socket(socket.AF_UNIX) as link:
            try:
                link.connect(str(self.address))
                link.sendall(self.order.model_dump_json().encode() + b"\n")
                status = self._watch(link)
            except ConnectionError as error:
                raise ZygoteLost(str(error)) from error
            except BaseException:
                _bury(link)
                raise
        if self._problem:
            raise Failed(self._problem)
        if not self._done:
            raise self._death(status, kills_for_memory() > kills)
        return _result(self.order.folder)

    def _watch(self, link: socket.socket) -> int:
        """Relay messages until the child has ended, and return its exit status."""
        while (left := self._left()) > 0:
            self._pass_on()
            link.settimeout(min(left, self.period_s / 2))
            try:
                received = link.recv(65536)
            except TimeoutError:
                continue
            if not received:
                raise ZygoteLost(self.order.job_id)
            if (status := self._heed(received)) is not None:
                return status
        if self._started is None:
            raise ZygoteLost(self.order.job_id)
        msg = f"The examination was ended after {self.limit_s:g} s, the most that this job may take."
        raise TimedOut(msg)

    def _left(self) -> float:
        """Return the seconds that the zygote has left to start the child, or the child to end."""
        if self._started is None:
            return self._asked + _BIRTH_S - time.monotonic()
        return self._started + self.limit_s - time.monotonic()

    def _heed(self, received: bytes) -> int | None:
        """Take in what came; the exit status where it is among it."""
        try:
            for message in self._lines.feed(received):
                if "exit" in message:
                    return int(message["exit"])
                self._note(message)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            msg = "The examination's process said something that is not understood."
            raise Crashed(msg) from error
        return None

    def _note(self, message: dict[str, Any]) -> None:
        if "problem" in message:
            self._problem = Problem.model_validate(message["problem"])
        elif "started" in message:
            self._started = time.monotonic()
        elif "done" in message:
            self._done = True
        else:
            done = min(1.0, max(0.0, float(message["progress"])))
            self._now = Stage(message["stage"]), done, str(message.get("detail", ""))[:LONGEST_DETAIL]

    def _pass_on(self) -> None:
        now = time.monotonic()
        patience_s = self.period_s if self._now == self._told else min(_GLANCE_S, self.period_s)
        if self._told is None or self._now[0] is not self._told[0] or now - self._told_at >= patience_s:
            self._told, self._told_at = self._now, now
            self.tell(*self._now)

    def _death(self, status: int, for_memory: bool) -> Trouble:  # noqa: FBT001
        if status == -signal.SIGKILL and for_memory:
            return out_of_memory(self.order)
        if status < 0:
            return Crashed(f"The examination's process was ended by {signal.Signals(-status).name}.")
        return Crashed(f"The examination's process ended with status {status} and without a report.")


def _bury(link: socket.socket) -> None:
    """Hang up, and wait until the zygote has killed the child: what it held is free for the next one."""
    try:
        link.shutdown(socket.SHUT_WR)
        link.settimeout(_BURIAL_S)
        while link.recv(65536):
            pass
    except OSError:
        return


def _result(folder: Path) -> Result:
    """Read what the child wrote, without following where it points."""
    try:
        written = _read(folder / REPORT, _LARGEST_REPORT)
        report = Report.model_validate_json(written)
        handed_back = report.prescription is not None and report.prescription.treated_model
        return Result(report, written, _read(folder / TREATED, _LARGEST_MODEL) if handed_back else None)
    except (OSError, ValidationError) as error:
        msg = "The examination ended without a report that can be read."
        raise Crashed(msg) from error


def _read(path: Path, limit: int) -> bytes:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        written = file.read(limit + 1)
    if len(written) > limit:
        msg = f"The examination wrote a {path.name} larger than {limit // 2**20} MiB."
        raise Crashed(msg)
    return written
