"""How it shows that a child wanted more memory than there is."""

from pathlib import Path

from service.contract.problem import OutOfMemory
from worker.isolation.order import Order

_COUNTERS = Path("/proc/vmstat")


def kills_for_memory() -> int:
    """Return how many processes the kernel has killed for want of memory since it started; 0 where it does not say."""
    try:
        lines = _COUNTERS.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def out_of_memory(order: Order) -> OutOfMemory:
    """Return the problem of an order that took too much memory."""
    if order.device != "cpu":
        return OutOfMemory(f"The examination needs more memory than {order.device} has free.")
    limit_mib = order.memory_limit_bytes / 2**20
    return OutOfMemory(f"The examination needs more memory than the limit of {limit_mib:.0f} MiB.")
