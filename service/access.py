"""Each request's id, log line and numbers; and the last answer, where no other was found."""

import re
import time
from uuid import uuid4

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import problems
from service.metrics import Metrics

_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)
_QUIET = {"/healthz", "/readyz", "/metrics"}

log = structlog.get_logger("gradgate.access")


class Access:
    """Gives each request an id (the caller's `X-Request-Id`, where it is a plain one), and notes how it went."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Stand in front of `app`."""
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name, start, status = _request_id(scope), time.perf_counter(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = name
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=name):
            try:
                await self._app(scope, receive, sending)
            except Exception as error:
                if status:
                    log.exception("cut off", path=scope["path"])
                    raise
                await problems.unforeseen(Request(scope), error)(scope, receive, sending)
            finally:
                self._note(scope, status or 499, time.perf_counter() - start)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "(none)")
        method = scope["method"] if route != "(none)" else "(any)"
        self._metrics.requests.labels(method, route, status).inc()
        self._metrics.seconds.labels(method, route).observe(seconds)
        if route not in _QUIET:
            log.info(
                "request", method=scope["method"], path=scope["path"], status=status, milliseconds=round(1000 * seconds)
            )


def _request_id(scope: Scope) -> str:
    given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
    return given if _ID.fullmatch(given) else uuid4().hex
