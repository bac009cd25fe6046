"""Landlock: from now on this process and its descendants see only the files that they are given (Linux 5.13 and later).

The numbers are those of `linux/landlock.h`; each version of the interface (`abi`) knows more rights than the last.
"""

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION_FLAG, _BENEATH = 1, 1
_WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE, _IOCTL = 1 << 1, 1 << 2, 1 << 3, 1 << 14, 1 << 15
_FILES: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""Every right to files, by the first version that knows it."""
_OF_FILES: Final = 1 | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
"""The rights that a file can have; a directory can have all."""
_TCP: Final = 0b11
_SCOPES: Final = 0b11
"""Abstract sockets and signals of others."""
_NET_SINCE, _SCOPES_SINCE = 4, 6

READ: Final = _READ_FILE | _READ_DIR
DEVICE: Final = _READ_FILE | _WRITE_FILE | _IOCTL
ALL: Final = ~1
"""Everything but to execute."""


def abi() -> int:
    """Return the version that the kernel offers; 0 where it offers none."""
    if sys.platform != "linux":
        return 0
    return max(0, _syscall(_CREATE, None, 0, _VERSION_FLAG))


def restrict(rights: Iterable[tuple[Path, int]]) -> None:
    """Leave this process nothing of the file system but these rights, and no TCP; OSError where the kernel refuses.

    A path that does not exist is left out.  Needs `no_new_privs`.
    """
    version = abi()
    every = next(mask for first, mask in sorted(_FILES.items(), reverse=True) if version >= first)
    wanted = [every]
    if version >= _NET_SINCE:
        wanted.append(_TCP)
    if version >= _SCOPES_SINCE:
        wanted.append(_SCOPES)
    attributes = struct.pack(f"{len(wanted)}Q", *wanted)
    ruleset = _checked(_syscall(_CREATE, attributes, len(attributes), 0))
    try:
        for path, right in rights:
            _allow(ruleset, path, right & every)
        _checked(_syscall(_RESTRICT, ruleset, 0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, right: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        possible = right if path.is_dir() else right & _OF_FILES
        _checked(_syscall(_ADD, ruleset, _BENEATH, struct.pack("=Qi", possible, place), 0))
    finally:
        os.close(place)


def _syscall(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    words = (ctypes.c_long(given) if isinstance(given, int) else given for given in arguments)
    return int(libc.syscall(ctypes.c_long(number), *words))


def _checked(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer
