"""The zygote: a process with everything loaded and one thread, which forks a child per order.

    python -m worker.isolation.zygote FD PARENT MODULE:FUNCTION

FD is a listening Unix socket; the zygote ends with the process PARENT.  When all is loaded, one line on
standard output says what it found: `{"gpus": 0, "threads": 1, "landlock": 7, "seccomp": true}`.
"""

import gc
import json
import os
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Final, NoReturn

import structlog

from service import logs
from service.kin import die_with_parent
from worker.isolation.jail import walls
from worker.isolation.order import Order, say

LOADED: Final = ("torch", "onnx", "worker.isolation.child")
"""onnxruntime is not among them: it starts a thread when it is imported, and a fork should have none to miss."""
_PACKAGES: Final = ("worker.load", "worker.network", "worker.probe", "worker.rules", "worker.treatments")
_ORDER_S: Final = 5.0
"""Seconds that a slot may take to send its order."""

log = structlog.get_logger(__name__)


class Zygote:
    """Forks a child per connection, kills it when the connection ends, and tells its exit status."""

    def __init__(self, listener: socket.socket) -> None:
        """Serve the slots that connect to `listener`."""
        self._listener = listener
        self._links: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._alarm, wakeup = socket.socketpair()
        self._wakeup, self._pid = wakeup, os.getpid()
        wakeup.settimeout(0)
        self._selector.register(self._alarm, selectors.EVENT_READ)
        signal.set_wakeup_fd(wakeup.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> NoReturn:
        """Serve for ever."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    self._take(self._listener.accept()[0])
                elif key.fileobj is self._alarm:
                    self._alarm.recv(4096)
                else:
                    self._hung_up(key.data)
            self._reap()

    def _take(self, link: socket.socket) -> None:
        link.settimeout(_ORDER_S)
        try:
            with link.makefile("rb") as lines:
                order = Order.model_validate_json(lines.readline())
        except (OSError, ValueError) as error:
            log.warning("order not understood", error=str(error))
            link.close()
            return
        link.settimeout(None)
        child = os.fork()
        if not child:
            self._become(order, link)
        with suppress(OSError):  # the child does the same; whoever comes second is late
            os.setpgid(child, child)
        with suppress(OSError):  # the slot may have gone: then its end is heard of below
            say(link, started=True)
        self._links[child] = link
        self._selector.register(link, selectors.EVENT_READ, child)

    def _become(self, order: Order, link: socket.socket) -> NoReturn:
        """Turn from a copy of the zygote into the order's child, and end as one."""
        status = 1
        try:
            from worker.isolation.child import live  # noqa: PLC0415  the module brings torch with it

            self._forget()
            live(order, link)
            status = 0
        except BaseException:  # noqa: BLE001  nothing may return into the zygote's own code
            traceback.print_exc()
        finally:
            os._exit(status)

    def _forget(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setpgid(0, 0)
        die_with_parent(self._pid)
        self._selector.close()
        for other in (self._listener, self._alarm, self._wakeup, *self._links.values()):
            other.close()

    def _hung_up(self, child: int) -> None:
        """Kill a child whose slot has gone; it is reaped like any other."""
        self._selector.unregister(self._links[child])
        _kill(child)

    def _reap(self) -> None:
        while self._links:
            child, status = os.waitpid(-1, os.WNOHANG)
            if not child:
                return
            _kill(child)  # what it left behind
            with self._links.pop(child) as link:
                if link in self._selector.get_map():
                    self._selector.unregister(link)
                with suppress(OSError):
                    say(link, exit=os.waitstatus_to_exitcode(status))


def _kill(child: int) -> None:
    """Kill a child with all its descendants."""
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)


def load(modules: Iterable[str]) -> None:
    """Import what children need; a plug-in that does not import is named, and missed by the jobs that need it."""
    for name in modules:
        import_module(name)
    for package in map(import_module, _PACKAGES):
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            try:
                import_module(module.name)
            except Exception:
                log.exception("module not loaded", module=module.name)


def gpus() -> int:
    """Count the CUDA devices that torch can use, in a fork: whoever has asked the driver cannot share it with forks."""
    child = os.fork()
    if not child:
        count = 0
        try:
            import torch  # noqa: PLC0415  only the zygote's children may wake CUDA up

            count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        finally:
            os._exit(count)
    return max(0, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def threads() -> int:
    """Count this process's threads; a fork is safe where there is one."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.exists() else 1


def main(descriptor: str, parent: str, entry: str) -> NoReturn:
    """Serve the listening socket `descriptor` for as long as the process `parent` lives."""
    die_with_parent(int(parent))
    logs.configure()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    load((*LOADED, entry.partition(":")[0]))
    import_module("worker.isolation.rehearsal").rehearse(entry)
    gc.collect()
    gc.freeze()
    print(json.dumps({"gpus": gpus(), "threads": threads(), **walls()}), flush=True)  # noqa: T201  whoever started it waits for this
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    Zygote(socket.socket(fileno=int(descriptor))).serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
