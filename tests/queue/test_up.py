"""`gradgate up`, as a person runs it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from redis import AuthenticationError, Redis

from tests.real_server import free_port

Start = Callable[..., "Up"]


class Up:
    """One run of it."""

    def __init__(self, data: Path, port: int, workers: int, **environment: str) -> None:
        """Start it, and wait for its greeting or its end."""
        call = f"up(Settings(), '127.0.0.1', {port}, {workers})"
        code = f"import sys; from service.settings import Settings; from service.embedded import up; sys.exit({call})"
        kept = {name: value for name, value in os.environ.items() if "REDIS" not in name}
        given = {"GRADGATE_DATA": str(data), "GRADGATE_LEASE_S": "1", "GRADGATE_GRACE_S": "1", **environment}
        self.process = subprocess.Popen(  # noqa: S603  our own program
            [sys.executable, "-c", code],
            env=kept | given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.url = f"http://127.0.0.1:{port}"
        assert self.process.stdout
        self.greeting = self.process.stdout.readline()

    def family(self) -> list[psutil.Process]:
        """Return all processes below it."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, number: int = signal.SIGINT) -> int:
        """Send it a signal, and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(40)

    def close(self) -> None:
        """Leave nothing behind."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start it on a free port, with data in an empty directory and no worker."""
    runs: list[Up] = []

    def run(data: Path = tmp_path / "data", workers: int = 0, port: int | None = None, **environment: str) -> Up:
        runs.append(Up(data, port or free_port(), workers, **environment))
        return runs[-1]

    yield run
    for up in runs:
        up.close()


def gone(family: list[psutil.Process]) -> bool:
    """Say whether all of the processes end within a few seconds."""
    return not psutil.wait_procs(family, timeout=10)[1]


def submit(up: Up) -> str:
    """Hand in a job, and return its id."""
    model = {"gradgate": "1", "input": {"shape": [4]}, "layers": [{"kind": "dense", "units": 2}]}
    answer = httpx.post(f"{up.url}/v1/diagnoses", json={"model": model})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def test_it_says_where_it_is_and_stops_in_peace(start: Start) -> None:
    up = start()
    assert up.url in up.greeting
    assert httpx.get(f"{up.url}/healthz").status_code == 200
    family = up.family()
    assert len(family) == 2
    assert up.end() == 0
    assert gone(family)


def examined(up: Up) -> dict[str, Any]:
    """Hand in a job, and return its report."""
    job = httpx.get(f"{up.url}/v1/diagnoses/{submit(up)}", headers={"Prefer": "wait=60"}, timeout=90).json()
    assert job["status"] == "succeeded", job
    report: dict[str, Any] = httpx.get(f"{up.url}{job['links']['report']}").json()
    return report


def test_a_model_is_examined_twice_with_the_same_result(start: Start) -> None:
    up = start(workers=1)
    report = examined(up)
    assert examined(up)["digest"] == report["digest"]
    assert report["model"]["trainable_parameters"] == 4 * 2 + 2
    assert report["fidelity"]["ok"]
    family = up.family()
    assert up.end() == 0
    assert gone(family)


def test_what_was_accepted_survives_a_restart_even_a_rude_one(start: Start) -> None:
    up = start()
    kept = submit(up)
    family = up.family()
    up.end(signal.SIGKILL)
    assert gone(family)
    again = start()
    assert httpx.get(f"{again.url}/v1/diagnoses/{kept}").json()["status"] == "queued"
    assert again.end() == 0


def test_a_death_ends_the_household(start: Start) -> None:
    up = start()
    family = up.family()
    next(process for process in family if "valkey" in process.name()).kill()
    assert up.process.wait(40) == 1
    assert gone(family)


def test_a_directory_has_one_owner(start: Start) -> None:
    up = start()
    second = start()
    assert second.process.wait(10) == 2
    assert "Another" in second.process.communicate()[1]
    assert up.end() == 0


def test_a_port_that_is_taken_is_said(start: Start, tmp_path: Path) -> None:
    up = start()
    second = start(data=tmp_path / "other", port=int(up.url.rpartition(":")[2]))
    assert second.process.wait(10) == 2
    assert "--port" in second.process.communicate()[1]


def test_a_server_that_is_named_is_used(start: Start, redis_url: str) -> None:
    up = start(REDIS_URL=redis_url)
    assert len(up.family()) == 1
    assert httpx.get(f"{up.url}/healthz").status_code == 200


def test_the_data_belong_to_their_owner_alone(start: Start, tmp_path: Path) -> None:
    submit(start())
    data = tmp_path / "data"
    assert data.stat().st_mode & 0o077 == 0
    assert (data / "redis" / "valkey.conf").stat().st_mode & 0o077 == 0
    assert (data / "storage").is_dir()
    port = int((data / "redis" / "valkey.conf").read_text().split("port ")[1].split()[0])
    with Redis(port=port) as stranger, pytest.raises(AuthenticationError):
        stranger.ping()


def test_a_second_signal_kills(start: Start) -> None:
    up = start()
    family = up.family()
    up.process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    up.process.send_signal(signal.SIGINT)
    up.process.wait(10)
    assert gone(family)
