"""What a child may see and touch: its own upload, its own directory, the programs of this installation, its GPU."""

import ctypes
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import service
import worker
from worker.isolation import landlock, seccomp
from worker.isolation.order import Order

_PR_SET_NO_NEW_PRIVS: Final = 38
_CAPABILITIES_VERSION: Final = 0x20080522
_SYSTEM: Final = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/proc", "/sys", "/dev/urandom")
_HOME: Final = (sys.prefix, sys.base_prefix, *service.__path__, *worker.__path__)
_GPU: Final = "nvidia*"


def walls() -> dict[str, object]:
    """Say what this machine offers to confine a child with."""
    return {"landlock": landlock.abi(), "seccomp": seccomp.available()}


def confine(order: Order) -> None:
    """Confine this process for good, as far as the kernel can; `walls` says how far that is."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.capset(struct.pack("Ii", _CAPABILITIES_VERSION, 0), bytes(24))  # none are left, even to root
    with suppress(OSError):
        if landlock.abi():
            landlock.restrict(_rights(order))
    with suppress(OSError):
        if seccomp.available():
            seccomp.restrict()


def _rights(order: Order) -> Iterator[tuple[Path, int]]:
    yield order.folder, landlock.ALL
    yield Path("/dev/null"), landlock.DEVICE
    batches = (batch for batch in (order.batch, order.second) if batch)
    given = (order.model, *batches, *order.external.values())
    yield from ((path, landlock.READ) for path in (*given, *map(Path, (*_SYSTEM, *_HOME))))
    if order.device != "cpu":
        yield from ((path, landlock.DEVICE) for path in (*Path("/dev").glob(_GPU), *Path("/dev").glob("nvidia-caps/*")))
        yield Path("/dev/shm"), landlock.ALL  # noqa: S108  CUDA's own
