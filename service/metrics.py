"""What the service counts, for Prometheus; each app has its own numbers."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The counters of one app."""

    def __init__(self) -> None:
        """Start at nothing."""
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "gradgate_http_requests", "Requests answered.", ("method", "route", "status"), registry=self._registry
        )
        self.seconds = Histogram(
            "gradgate_http_seconds", "Seconds until an answer was sent.", ("method", "route"), registry=self._registry
        )
        self.accepted = Counter("gradgate_diagnoses_accepted", "Diagnoses accepted.", registry=self._registry)
        self.bytes = Counter("gradgate_upload_bytes", "Bytes of accepted models.", registry=self._registry)
        self.judged = Counter("gradgate_gate_verdicts", "Verdicts given.", ("verdict",), registry=self._registry)
        self._up = Gauge("gradgate_up", "Whether the queue's server answers.", registry=self._registry)
        self._depth = Gauge("gradgate_queue_depth", "Jobs that wait.", registry=self._registry)
        self._workers = Gauge("gradgate_workers", "Workers heard from lately.", registry=self._registry)

    def scrape(self, look: Callable[[], tuple[int, int]]) -> bytes:
        """Return all numbers as text; `look` gives the queue's depth and the workers, or raises when it cannot."""
        try:
            depth, workers = look()
        except Exception:  # noqa: BLE001  a scrape must not fail because the queue does: it says so
            self._up.set(0)
        else:
            self._up.set(1)
            self._depth.set(depth)
            self._workers.set(workers)
        return generate_latest(self._registry)
