"""How many jobs a worker runs at a time, where, and with how many threads."""

import os
from dataclasses import dataclass
from pathlib import Path

from service.contract.problem import Unavailable

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True)
class Plan:
    """One device per slot, and the threads of each."""

    devices: tuple[str, ...]
    threads: int


def plan(device: str, *, gpus: int, cores: int, slots: int) -> Plan:
    """Share the machine: one slot per GPU, or one per two cores; slots times threads never exceeds the cores.

    `device` is auto, cpu, cuda (all GPUs) or cuda:N; `slots` 0 leaves the number to the machine.  Unavailable where a
    GPU is asked for that is not there.
    """
    places = _places(device, gpus)
    count = slots or (len(places) if places != ("cpu",) else max(1, cores // 2))
    return Plan(tuple(places[slot % len(places)] for slot in range(count)), max(1, cores // count))


def _places(device: str, gpus: int) -> tuple[str, ...]:
    if device == "cpu" or (device == "auto" and not gpus):
        return ("cpu",)
    first, last = (int(device[5:]),) * 2 if ":" in device else (0, gpus - 1)
    if not 0 <= first <= last < gpus:
        msg = f"The device {device!r} was asked for; torch sees {gpus} CUDA devices."
        raise Unavailable(msg)
    return tuple(f"cuda:{index}" for index in range(first, last + 1))


def cores(quota: Path = _QUOTA) -> int:
    """Return the cores that this process may use: those it is bound to, or its control group's share if smaller."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        share, period = quota.read_text().split()
    except (OSError, ValueError):
        return bound
    return bound if share == "max" else max(1, min(bound, int(share) // int(period)))
