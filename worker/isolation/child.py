"""The child's life: confine itself, examine one model, say how it went."""

import os
import re
import socket
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Final, cast

import structlog
import torch

from service.contract.problem import Crashed, Trouble
from service.contract.report import Report
from service.contract.words import Stage
from worker.isolation.jail import confine
from worker.isolation.limits import limit
from worker.isolation.memory import out_of_memory
from worker.isolation.order import LONGEST_DETAIL, REPORT, TREATED, Order, say

_OFTEN_S: Final = 0.05
"""Least seconds between two words about the same doing."""
_MEMORY = re.compile(r"can't allocate memory|not enough memory|Failed to allocate memory|bad_alloc", re.IGNORECASE)

log = structlog.get_logger(__name__)


def live(order: Order, link: socket.socket) -> None:
    """Run the order from confinement to report; whatever goes wrong is told, never raised."""
    try:
        report = _examine(order, link)
        Path(REPORT).write_text(report.model_dump_json(by_alias=True), "utf-8")
    except Trouble as trouble:
        say(link, problem=trouble.problem().model_dump(mode="json"))
    except Exception as error:
        log.exception("examination crashed", job=order.job_id)
        say(link, problem=_trouble(error, order).problem().model_dump(mode="json"))
    else:
        say(link, done=True)


def _examine(order: Order, link: socket.socket) -> Report:
    os.chdir(order.folder)
    tempfile.tempdir = os.environ["TMPDIR"] = str(order.folder)
    limit(order.memory_limit_bytes if order.device == "cpu" else None)
    confine(order)
    torch.set_num_threads(order.threads)
    module, _, name = order.entry.partition(":")
    examine = cast("Callable[..., Report]", getattr(import_module(module), name))
    return examine(
        order.model,
        order.batch,
        order.options,
        second=order.second,
        job_id=order.job_id,
        created_at=order.created_at,
        external=order.external,
        device=order.device,
        treated=order.folder / TREATED,
        progress=_teller(link),
    )


def _teller(link: socket.socket) -> Callable[..., None]:
    """Return what tells the slot how far the job is, but not more often than anyone could read.

    What is begun is always told: a trial may take long, and nothing be said meanwhile.
    """
    last: tuple[Stage, str] | None = None
    told_at = 0.0

    def tell(stage: Stage, progress: float, detail: str = "") -> None:
        nonlocal last, told_at
        now = time.monotonic()
        if (stage, detail) != last or now - told_at > _OFTEN_S:
            last, told_at = (stage, detail), now
            say(link, stage=str(stage), progress=min(1.0, max(0.0, progress)), detail=detail[:LONGEST_DETAIL])

    return tell


def _trouble(error: Exception, order: Order) -> Trouble:
    """Say in one sentence what an exception that nobody expected means to the caller."""
    memory = isinstance(error, MemoryError | torch.OutOfMemoryError)
    if memory or (isinstance(error, RuntimeError) and _MEMORY.search(str(error))):
        return out_of_memory(order)
    return Crashed(f"The examination stopped at an error of its own ({type(error).__name__}); the log says more.")
