"""`create_app`: the only place where the HTTP service is put together."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from celery import Celery
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from service import __version__, problems, reaper
from service.access import Access
from service.backing import Backing
from service.contract.options import Options
from service.contract.policy import Policy
from service.contract.problem import Problem
from service.jobs import Jobs
from service.metrics import Metrics
from service.queue import enqueue, queue
from service.routes import catalogue, diagnoses, gate, health, home, reports
from service.settings import Settings
from service.storage import open_storage

DESCRIPTION = """
Send a neural network and a sample batch; get a diagnosis of its gradients, with fixes that were tried and measured.

Every error is an RFC 9457 `application/problem+json`; its `type` leads to a page that describes it.
"""


def create_app(settings: Settings, wake: Callable[[str], object] | None = None) -> FastAPI:
    """Return the service over what the settings name; nothing is connected before the first request.

    `wake` takes the id of a job that is ready to run; by default it goes to the queue.
    """
    messages = queue(settings)
    back = Backing(
        settings=settings,
        storage=open_storage(settings.storage),
        jobs=Jobs.connect(settings),
        enqueue=wake or partial(enqueue, messages),
        metrics=Metrics(),
    )
    app = FastAPI(
        title="Gradgate",
        version=__version__,
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        responses=problems.EVERYWHERE,
        generate_unique_id_function=_operation,
        redirect_slashes=False,
        lifespan=partial(_lifespan, back, messages),
    )
    app.state.backing = back
    problems.install(app)
    for routes in (home, diagnoses, reports, gate, catalogue, health):
        app.include_router(routes.router)
    app.add_middleware(Access, metrics=back.metrics)
    app.openapi = partial(_openapi, app)  # type: ignore[method-assign] # as FastAPI's manual says
    return app


@asynccontextmanager
async def _lifespan(back: Backing, messages: Celery, _: FastAPI) -> AsyncIterator[None]:
    """Look after lost jobs for as long as the service runs."""
    stop = reaper.start(back.settings, back.jobs, messages, back.storage)
    yield
    stop.set()
    back.jobs.close()


def _operation(route: APIRoute) -> str:
    return route.name


def _openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, with the models that only bodies read by hand refer to."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            license_info=app.license_info,
        )
        wanted = [(model, "validation") for model in (Options, Policy, Problem)]
        _, extra = models_json_schema(wanted, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
        components = document.setdefault("components", {}).setdefault("schemas", {})
        for media_types in _find(document, "text/event-stream"):
            media_types["text/event-stream"] = {"schema": {"type": "string"}}  # FastAPI's itemSchema is OpenAPI 3.2
        app.openapi_schema = document | {"components": {"schemas": extra["$defs"] | components}}
    return app.openapi_schema


def _find(value: object, key: str) -> Iterator[dict[str, Any]]:
    """Yield every object within `value` that holds `key`."""
    if isinstance(value, dict):
        if key in value:
            yield value
        for child in value.values():
            yield from _find(child, key)
