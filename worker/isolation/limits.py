"""What a child may take: memory, files."""

import resource
import sys
from pathlib import Path

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
