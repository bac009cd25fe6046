"""How much memory a process may take, and what it looks like when something wants more."""

import os
import re
import resource
from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Final

import torch

GIB: Final = 2**30
_DATA: Final = 5
"""Where statm has the pages that RLIMIT_DATA counts."""
_SAID: Final = re.compile(
    r"allocate memory|not enough memory|bad_alloc|(multiplication|calculation) overflow", re.IGNORECASE
)
"""What torch says where a tensor does not fit memory, or its size not even a number."""
_ASKED: Final = re.compile(r"tried to allocate (\d+) bytes")


def room() -> int:
    """Return the bytes that this process may take: its own limit, or the machine's memory where it has none."""
    limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return memory if limit == resource.RLIM_INFINITY else min(limit, memory)


def left() -> int:
    """Return the bytes that this process may still take."""
    limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
    if limit == resource.RLIM_INFINITY:
        return room()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[_DATA])
    return max(0, limit - pages * os.sysconf("SC_PAGE_SIZE"))


def check_room(sizes: Iterable[int], kind: torch.dtype = torch.float32) -> list[int]:
    """Return the sizes of a tensor that fits memory; torch.OutOfMemoryError, before any of it is taken, for others."""
    shape = list(sizes)
    if (needed := prod(shape) * kind.itemsize) > (limit := room()):
        msg = f"a tensor of shape {shape} takes {needed / GIB:.4g} GiB, and the limit is {limit / GIB:.4g} GiB"
        raise torch.OutOfMemoryError(msg)
    return shape


def exhausted(error: BaseException) -> bool:
    """Whether an error means that memory was not enough."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and _SAID.search(str(error)) is not None


def said(error: BaseException) -> str:
    """Return what the error of an exhausted memory says: what was asked for, and the limit."""
    first = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
    if asked := _ASKED.search(first):
        first = f"{int(asked[1]) / GIB:.4g} GiB at once"
    return first if "the limit is" in first else f"{first}; the limit is {room() / GIB:.4g} GiB"
