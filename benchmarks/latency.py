"""What the service adds to an examination: the same small model over HTTP and as a function call.

python -m benchmarks.latency [JOBS]

Starts all of `gradgate up` on a directory of its own, with one slot, and prints JSON.
"""

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import torch

from service.contract.options import Options
from service.contract.words import Depth
from worker.examine import examine

MODEL = {
    "gradgate": "1",
    "input": {"shape": [8]},
    "layers": [{"kind": "dense", "units": 8}, {"kind": "relu"}, {"kind": "dense", "units": 2}],
    "loss": "mse",
}
OPTIONS = Options(depth=Depth.QUICK, steps=2, seeds=1, treat=False)


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def timed(act: Callable[[], object], times: int) -> dict[str, float]:
    """Return the milliseconds that `act` takes: the median, the quickest and the slowest of `times`."""
    act()  # the first one loads what the others find loaded
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        act()
        taken.append(1000 * (time.perf_counter() - start))
    return {
        "median_ms": round(statistics.median(taken), 1),
        "min_ms": round(min(taken), 1),
        "max_ms": round(max(taken), 1),
    }


def by_function(times: int) -> dict[str, float]:
    """Time the examination as a call in this process."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        model.write_text(json.dumps(MODEL))
        return timed(lambda: examine(model, None, OPTIONS).model_dump_json(), times)


def by_http(times: int) -> dict[str, float]:
    """Time the examination as a request to a service with a warm worker."""
    port = free_port()
    with tempfile.TemporaryDirectory() as data:
        kept = {name: value for name, value in os.environ.items() if "REDIS" not in name}
        command = [sys.executable, "-m", "service", "up", "--port", str(port), "--workers", "1", "--data", data]
        process = subprocess.Popen(command, env=kept)  # noqa: S603  our own program
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
            try:
                wait_until_ready(client)
                return timed(lambda: submit(client), times)
            finally:
                process.send_signal(signal.SIGINT)
                process.wait()


def wait_until_ready(client: httpx.Client) -> None:
    """Wait for the API and a worker."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            if client.get("/readyz").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    sys.exit("the service is not ready after 120 s")


def submit(client: httpx.Client) -> None:
    """Hand the model in, and wait for the end of its job."""
    body = {"model": MODEL, "options": OPTIONS.model_dump(mode="json")}
    answer = client.post("/v1/diagnoses", json=body, headers={"Prefer": "wait=60"})
    job = answer.json()
    if answer.status_code != httpx.codes.OK or job["status"] != "succeeded":
        sys.exit(f"the job did not succeed: {answer.text}")


def main() -> None:
    """Print both, and the difference."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    http, function = by_http(times), by_function(times)
    added = round(http["median_ms"] - function["median_ms"], 1)
    print(
        json.dumps(
            {
                "benchmark": "latency",
                "jobs": times,
                "http": http,
                "function": function,
                "added_ms": added,
                "torch": torch.__version__,
                "cores": len(os.sched_getaffinity(0)),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
