"""Work in a process of its own, which may crash or hang there, or want more than there is."""

import faulthandler
import io
import os
import resource
import select
import signal
import struct
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]

GRACE_S = 0.5
"""How long a child may take to go once its pipe is closed."""
LATE = "it took longer than"
"""How the sentence starts that says so."""
MEMORY = 4 * 2**30
"""Bytes that a child may take beside what its parent holds."""
_STATUS = Path("/proc/self/status")


def apart(work: Callable[[], dict[str, Array]], limit_s: float, memory: int = MEMORY) -> dict[str, Array] | str:
    """Return what `work` gives in a forked process, or a sentence that says how it ended.

    The child sends arrays through a pipe and leaves at once: it runs no cleanup, and no torch.
    """
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the child calls no torch, and leaves by os._exit
        child = os.fork()
    if not child:
        os.close(reader)
        _deliver(work, writer, memory)
    os.close(writer)
    try:
        raw = _received(reader, limit_s)
    finally:
        os.close(reader)
        ended = _ended(child)
    if raw is None:
        return f"{LATE} {limit_s:.3g} s."
    return _unpacked(raw, ended)


def _deliver(work: Callable[[], dict[str, Array]], writer: int, memory: int) -> None:
    """Write the result, or the reason why there is none, and end the process."""
    faulthandler.disable()  # that it may crash is why it is here
    try:
        with os.fdopen(writer, "wb") as pipe:
            try:
                _bound(memory)
                packed = b"A" + _packed(work())
            except MemoryError:
                packed = f"Eit takes more than {memory / 2**20:.0f} MiB of memory.".encode()
            except BaseException as trouble:  # noqa: BLE001  whatever it is, the parent reports it
                packed = b"E" + str(trouble).encode(errors="replace")[:500]
            pipe.write(struct.pack("<Q", len(packed)) + packed)
    finally:
        os._exit(0)


def _bound(memory: int) -> None:
    """Let this process take so many bytes more than it holds; where the system does not say what it holds, as before.

    Memory is bounded as data, not as address space: torch maps far more than it uses.
    """
    with suppress(OSError, ValueError):
        lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines() if ":" in line)
        held = int(lines.get("VmData", "").split()[0]) * 1024
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        most = held + memory if hard == resource.RLIM_INFINITY else min(held + memory, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _packed(arrays: Mapping[str, Array]) -> bytes:
    buffer = io.BytesIO()
    for name, value in arrays.items():
        raw = name.encode()
        buffer.write(struct.pack("<I", len(raw)) + raw)
        np.save(buffer, value, allow_pickle=False)
    return buffer.getvalue()


def _unpacked(raw: bytes, ended: int) -> dict[str, Array] | str:
    header = struct.calcsize("<Q")
    if len(raw) < header or len(raw) - header != struct.unpack("<Q", raw[:header])[0]:
        how = f"signal {os.WTERMSIG(ended)}" if os.WIFSIGNALED(ended) else f"status {ended}"
        return f"its process died ({how})."
    kind, body = raw[header : header + 1], raw[header + 1 :]
    if kind == b"E":
        return body.decode(errors="replace")
    buffer, arrays = io.BytesIO(body), {}
    while size := buffer.read(4):
        name = buffer.read(struct.unpack("<I", size)[0]).decode()
        arrays[name] = np.load(buffer, allow_pickle=False)
    return arrays


def _received(reader: int, limit_s: float) -> bytes | None:
    """Return everything that comes through the pipe until it closes; None where that takes too long."""
    end = time.monotonic() + limit_s
    parts: list[bytes] = []
    while (left := end - time.monotonic()) > 0:
        if select.select([reader], [], [], left)[0]:
            part = os.read(reader, 1 << 20)
            if not part:
                return b"".join(parts)
            parts.append(part)
    return None


def _ended(child: int) -> int:
    """Return the wait status of a child that has closed its pipe, or is late: either way it is over."""
    end = time.monotonic() + GRACE_S
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.001)
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]
