"""The Celery side of a worker: slots that take ids off the queue.  No process of it ever imports torch.

python -m worker.pool BENCH      a `Bench` as JSON
"""

import signal
import sys
import warnings
from pathlib import Path
from typing import Any

from billiard import current_process  # type: ignore[import-untyped]
from celery import Celery, bootsteps
from celery.exceptions import CPendingDeprecationWarning
from celery.signals import worker_process_init

from service import logs
from service.contract.base import Contract
from service.jobs import Jobs
from service.kin import die_with_parent
from service.queue import QUEUE, TASK, queue
from service.settings import Settings
from service.storage import open_storage
from worker.tasks import Slot


class Bench(Contract):
    """What the slots of a worker share."""

    parent: int
    name: str
    zygote: Path
    folder: Path
    devices: tuple[str, ...]
    """One per slot."""
    threads: int
    entry: str


def pool(settings: Settings, bench: Bench) -> Celery:
    """Return a Celery application whose workers run jobs at `bench`."""
    app = queue(settings)
    jobs, storage = Jobs.connect(settings), open_storage(settings.storage)

    @app.task(name=TASK)  # type: ignore[untyped-decorator]
    def examine(job_id: str) -> None:
        place = (current_process().index or 0) % len(bench.devices)
        device = bench.devices[place]
        Slot(settings, jobs, storage, bench.zygote, bench.folder, device, bench.threads, bench.entry).work(job_id)

    class Attendance(bootsteps.StartStopStep):  # type: ignore[misc]
        """Tells that this worker is alive, from the loop that takes messages."""

        requires = ("celery.worker.components:Timer",)

        def start(self, worker: Any) -> None:  # noqa: ANN401  Celery's own
            jobs.attend(bench.name)
            self.timer = worker.timer.call_repeatedly(settings.lease_s / 2, jobs.attend, [bench.name])

        def stop(self, _worker: Any) -> None:  # noqa: ANN401  Celery's own
            self.timer.cancel()

    app.steps["worker"].add(Attendance)
    worker_process_init.connect(_stop_at_once, weak=False)
    return app


def _stop_at_once(**_: object) -> None:
    """Make a slot that is told to stop leave by SystemExit, so that its job is given back."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


def main(written: str) -> None:
    """Work until told to stop."""
    bench = Bench.model_validate_json(written)
    die_with_parent(bench.parent)
    logs.configure()
    app = pool(Settings(), bench)
    options = ["-P", "prefork", "-c", str(len(bench.devices)), "-n", bench.name, "-Q", QUEUE]
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)  # a lost connection leaves jobs alone
    warnings.filterwarnings("ignore", module="celery.platforms")  # says not to run as root: messages hold no code here
    app.worker_main(["--quiet", "worker", *options, "--without-gossip", "--without-mingle", "--without-heartbeat"])


if __name__ == "__main__":
    main(sys.argv[1])
