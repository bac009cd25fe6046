"""Wakes workers up again for jobs that were lost, and erases what was kept for long enough.

Any number of processes may run one: what needs a message is handed out once.
"""

import threading
from typing import Final

import structlog
from celery import Celery
from kombu.exceptions import KombuError
from redis import RedisError

from service.contract.problem import Trouble
from service.jobs import Jobs
from service.queue import enqueue, waiting
from service.settings import Settings
from service.storage import Storage

PERIOD_S: Final = 2.0
_LOST_S: Final = 3600
"""Seconds after which a message counts as lost even while others wait."""

log = structlog.get_logger(__name__)


class Reaper:
    """What looks after jobs that nobody else looks after."""

    def __init__(self, jobs: Jobs, app: Celery, storage: Storage, *, patience_s: float) -> None:
        """Look after `jobs`; one that has waited for `patience_s` without a message gets another."""
        self._jobs, self._app, self._storage, self._patience_s = jobs, app, storage, patience_s

    def sweep(self) -> None:
        """Send the messages that are missing, and erase what has expired."""
        patience_s = _LOST_S if waiting(self._app) else self._patience_s
        for job_id in self._jobs.overdue(waiting_s=patience_s):
            log.info("sent again", job=job_id)
            enqueue(self._app, job_id)
        for job_id in self._jobs.expired():
            self._storage.erase(job_id)
            self._jobs.erase(job_id)

    def run(self, stop: threading.Event, *, period_s: float = PERIOD_S) -> None:
        """Sweep until `stop` is set; a server that is away is waited for."""
        while not stop.wait(period_s):
            try:
                self.sweep()
            except (RedisError, KombuError, OSError, Trouble) as error:
                log.warning("sweep failed", error=str(error))


def start(settings: Settings, jobs: Jobs, app: Celery, storage: Storage) -> threading.Event:
    """Sweep in a thread of this process until the returned event is set."""
    stop = threading.Event()
    reaper = Reaper(jobs, app, storage, patience_s=max(PERIOD_S, settings.lease_s))
    threading.Thread(target=reaper.run, args=[stop], name="reaper", daemon=True).start()
    return stop
