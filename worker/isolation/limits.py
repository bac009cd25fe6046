"""What a child may take: memory, files.  What an examination in the caller's own process may: memory, time."""

import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from service.contract.problem import OutOfMemory, TimedOut
from worker.network.room import exhausted

_LARGEST_FILE = 2 * 2**30
_OPEN_FILES = 1024


def limit(memory_bytes: int | None) -> None:
    """Bound this process and its descendants for good; no memory bound where `memory_bytes` is None.

    Memory is bounded as data (RLIMIT_DATA), not as address space: torch maps far more than it uses.
    """
    if memory_bytes is not None:
        _bound(resource.RLIMIT_DATA, memory_bytes)
    _bound(resource.RLIMIT_CORE, 0)
    _bound(resource.RLIMIT_FSIZE, _LARGEST_FILE)
    _bound(resource.RLIMIT_NOFILE, _OPEN_FILES)
    if sys.platform == "linux":
        Path("/proc/self/oom_score_adj").write_text("1000")  # out of memory, the kernel takes the child first


def _bound(what: int, wanted: int) -> None:
    _, hard = resource.getrlimit(what)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(what, (most, most))


@contextmanager
def bounded(memory_bytes: int | None, seconds: float) -> Iterator[None]:
    """Bound this process while the context lasts; OutOfMemory or TimedOut where it wants more.

    No jail: one operator that computes for hours is ended after it, not within it.  For the main thread alone, which
    hears of signals; memory is not bounded where `memory_bytes` is None.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)

    def ring(number: int, frame: FrameType | None) -> None:
        msg = f"The examination was ended after {seconds:g} s, the most that it may take."
        raise TimedOut(msg)

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)  # again and again: whoever tries something out may pass over one
    try:
        if memory_bytes is not None:
            most = [each for each in (memory_bytes, soft, hard) if each != resource.RLIM_INFINITY]
            resource.setrlimit(resource.RLIMIT_DATA, (min(most), hard))
        yield
    except (MemoryError, RuntimeError) as error:
        if not exhausted(error):
            raise
        msg = f"The examination needs more memory than the limit of {(memory_bytes or 0) / 2**20:.0f} MiB."
        raise OutOfMemory(msg) from error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
