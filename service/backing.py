"""What stands behind the routes: the settings, the storage, the jobs and the queue, made once in `create_app`."""

from collections.abc import Callable
from typing import Annotated, NamedTuple, cast

from fastapi import Depends, Request

from service.jobs import Jobs
from service.metrics import Metrics
from service.settings import Settings
from service.storage import Storage


class Backing(NamedTuple):
    """Everything that a route may reach."""

    settings: Settings
    storage: Storage
    jobs: Jobs
    enqueue: Callable[[str], object]
    """Wakes a worker for the job with this id."""
    metrics: Metrics


def backing(request: Request) -> Backing:
    """Return what stands behind the app that serves `request`."""
    return cast("Backing", request.app.state.backing)


Use = Annotated[Backing, Depends(backing)]
