"""A worker: a zygote that has torch loaded, and a Celery pool whose slots have it fork a child per job.

    python -m worker

This process starts both and watches over them.  A zygote that dies is replaced; when the pool ends, so does the worker.
SIGTERM and SIGINT stop it: running jobs get a while to end and are then given back.  The second one kills.
"""

import sys

from service import logs
from service.contract.problem import Trouble
from service.settings import Settings
from worker.station import Station


def main(*entry: str) -> int:
    """Work until told to stop, and return the exit status; `entry` replaces the examination in tests."""
    logs.configure()
    try:
        with Station(Settings(), *entry) as station:
            return station.run()
    except Trouble as trouble:
        print(f"gradgate worker: {trouble.detail}", file=sys.stderr)  # noqa: T201  whoever started it reads this
        return 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
