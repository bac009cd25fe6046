"""Seccomp: from now on the kernel refuses this process and its descendants what no examination needs.

Refused with EPERM: programs, sockets, other processes' memory, namespaces, mounts, kernel interfaces.  Forks and
threads stay.  The numbers are those of `asm/unistd.h`.
"""

import ctypes
import os
import platform
import struct
import sys
from pathlib import Path
from typing import Final

_ARCHITECTURES: Final = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""The audit number, and the column of the table below."""
_REFUSED: Final = {
    "execve": (59, 221),
    "execveat": (322, 281),
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "setpgid": (109, 154),
    "setsid": (112, 157),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "open_by_handle_at": (304, 265),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "fanotify_init": (300, 262),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "sethostname": (170, 161),
}
_CLONE: Final = (56, 220)
_CLONE3: Final = 435
_NEW_NAMESPACES: Final = 0x7E020000
_X32: Final = 0x40000000
_EPERM, _ENOSYS = 1, 38
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_PR_SET_SECCOMP, _FILTER = 22, 2


def available() -> bool:
    """Say whether this kernel filters system calls, on a machine whose numbers are known here."""
    known = sys.platform == "linux" and platform.machine() in _ARCHITECTURES
    return known and "errno" in _text(Path("/proc/sys/kernel/seccomp/actions_avail"))


def restrict() -> None:
    """Refuse for good what is listed; OSError where the kernel does not let it be.  Needs `no_new_privs`."""
    program = _program(*_ARCHITECTURES[platform.machine()])
    code = ctypes.create_string_buffer(b"".join(program))
    header = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_SECCOMP, _FILTER, header, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _program(architecture: int, column: int) -> list[bytes]:
    """Return the filter's instructions."""
    refused = (numbers[column] for numbers in _REFUSED.values())
    return [
        _step(_LOAD, _ARCHITECTURE_AT),
        _step(_EQUAL, architecture, 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER_AT),
        _step(_AT_LEAST, _X32, 0, 1),
        _step(_RETURN, _KILL),
        *(step for number in refused for step in _answer(number, _ERRNO | _EPERM)),
        *_answer(_CLONE3, _ERRNO | _ENOSYS),  # the C library falls back to clone, whose flags can be read
        _step(_EQUAL, _CLONE[column], 0, 3),
        _step(_LOAD, _FIRST_ARGUMENT_AT),
        _step(_ANY_BIT, _NEW_NAMESPACES, 0, 1),
        _step(_RETURN, _ERRNO | _EPERM),
        _step(_RETURN, _ALLOW),
    ]


def _answer(number: int, answer: int) -> tuple[bytes, bytes]:
    return _step(_EQUAL, number, 0, 1), _step(_RETURN, answer)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
