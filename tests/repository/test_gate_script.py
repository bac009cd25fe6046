"""`examples/ci/gate.sh` against a server that answers as the service would: its exit status is the verdict."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

SCRIPT = Path(__file__).parents[2] / "examples/ci/gate.sh"
QUEUED, RUNNING, DONE = (f'{{"id":"0a1b","status":"{word}"}}' for word in ("queued", "running", "succeeded"))
JOB = "/v1/diagnoses/0a1b"

Answers = list[tuple[str, int, str]]
Judge = Callable[[Answers], "subprocess.CompletedProcess[str]"]


@contextmanager
def service(answers: Answers) -> Iterator[str]:
    """Serve `answers`, each a request, a status and a body, in this order, and hand out the address."""
    left = iter(answers)

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request, status, body = next(left)
            right = f"{self.command} {self.path}" == request
            self.send_response(status if right else 500)
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = handle_one  # noqa: N815  http.server's names

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """Return a function that runs the script in an empty folder against these answers."""
    for name in ("model", "batch", "options"):
        (tmp_path / name).write_text("{}")

    def run(answers: Answers) -> "subprocess.CompletedProcess[str]":
        with service(answers) as address:
            environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "GRADGATE_SERVER": address}
            command = ["sh", SCRIPT, "model", "batch", "options"]
            return subprocess.run(  # noqa: S603  our own script
                command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )

    return run


@pytest.mark.parametrize(("status", "code"), [(200, 0), (409, 1), (413, 2), (422, 2), (500, 3), (503, 3)])
def test_the_exit_status_is_the_verdict(judge: Judge, status: int, code: int) -> None:
    done = judge([("POST /v1/gate", status, '{"verdict":"…"}')])
    assert done.returncode == code
    assert done.stdout == '{"verdict":"…"}'


@pytest.mark.parametrize(("status", "code"), [(200, 0), (409, 1), (422, 2)])
def test_a_verdict_that_takes_longer_than_the_wait_is_waited_for(judge: Judge, status: int, code: int) -> None:
    waited = [("POST /v1/gate", 202, QUEUED), (f"GET {JOB}", 200, RUNNING), (f"GET {JOB}", 200, DONE)]
    assert judge([*waited, (f"GET {JOB}/gate", status, "{}")]).returncode == code


def test_a_service_that_is_away_lets_nothing_through(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "GRADGATE_SERVER": "http://127.0.0.1:1"}
    command = ["sh", SCRIPT, SCRIPT, SCRIPT, SCRIPT]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)  # noqa: S603
    assert done.returncode == 3
