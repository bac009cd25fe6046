"""A client of the service, for `gradgate check --server`."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx

from service.contract.options import Options
from service.contract.problem import Broken, Refused, TimedOut, Trouble, Unavailable
from service.contract.words import Stage

_TRIES = 3
_LOOK_S = 2
_SERVER_ERROR = 500
_CONFLICT = 409


class Client:
    """A connection to a server; a job that is not followed to its end is erased there."""

    def __init__(self, server: str, timeout_s: float) -> None:
        """Talk to `server` (its URL) and wait for at most `timeout_s` for a verdict."""
        self._server = server
        self._deadline = time.monotonic() + timeout_s
        self._timeout_s = timeout_s
        self._http = httpx.Client(base_url=server, timeout=httpx.Timeout(30, write=120))
        self._unfinished: str | None = None

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Erase the job that nobody waits for any longer, and hang up."""
        if self._unfinished:
            with suppress(httpx.HTTPError):
                self._http.delete(f"/v1/diagnoses/{self._unfinished}", timeout=5)
        self._http.close()

    def submit(self, parts: Sequence[tuple[str, Path]], options: Options) -> str:
        """Send the named parts and return the job's id; a try that got no answer is repeated under the same key."""
        key = uuid4().hex
        for left in range(_TRIES - 1, -1, -1):
            try:
                with ExitStack() as stack:
                    files: list[Any] = [
                        (name, (path.name, stack.enter_context(path.open("rb")))) for name, path in parts
                    ]
                    files.append(("options", (None, options.model_dump_json().encode(), "application/json")))
                    answer = self._send("POST", "/v1/diagnoses", files=files, headers={"Idempotency-Key": key})
                self._unfinished = str(answer.json()["id"])
            except Unavailable:
                if not left:
                    raise
                time.sleep(0.5 * (_TRIES - left))
            else:
                return self._unfinished
        raise AssertionError

    def follow(self, job_id: str, tell: Callable[[Stage, float, str], None]) -> None:
        """Wait for the end of the job; Trouble where it failed, or where the time is over."""
        job: dict[str, Any] = {"status": "queued"}
        while job["status"] in {"queued", "running"}:
            left = self._deadline - time.monotonic()
            if left <= 0:
                msg = f"The server has not finished within {self._timeout_s:g} s; the job was {job['status']}."
                raise TimedOut(msg)
            wait = max(1, min(_LOOK_S, int(left)))
            job = self._send("GET", f"/v1/diagnoses/{job_id}", headers={"Prefer": f"wait={wait}"}).json()
            tell(Stage(job["stage"]), job["progress"], job.get("detail", ""))
        self._unfinished = None
        if job["status"] != "succeeded":
            raise _trouble(job.get("problem") or {"detail": f"The job was {job['status']}.", "status": 500})

    def gate(self, job_id: str) -> dict[str, Any]:
        """Return the verdict over the job, under the policy of its options."""
        answer: dict[str, Any] = self._send("GET", f"/v1/diagnoses/{job_id}/gate", verdict=True).json()
        return answer

    def report(self, job_id: str, form: str, source: str) -> str:
        """Return the report in a format; `source` is the model's path here."""
        return self._send("GET", f"/v1/diagnoses/{job_id}/report", params={"format": form, "source": source[:500]}).text

    def treated(self, job_id: str, path: Path) -> bool:
        """Write the treated model to a file; False where there is none."""
        try:
            model = self._send("GET", f"/v1/diagnoses/{job_id}/treated-model").content
        except Refused:
            return False
        path.write_bytes(model)
        return True

    def _send(self, method: str, url: str, *, verdict: bool = False, **arguments: Any) -> httpx.Response:  # noqa: ANN401  httpx's own
        try:
            answer = self._http.request(method, url, **arguments)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            msg = f"{self._server} does not answer: {error or type(error).__name__}."
            raise Unavailable(msg) from error
        if answer.is_success or (verdict and answer.status_code == _CONFLICT and "verdict" in answer.text):
            return answer
        raise _trouble(_problem(answer))


def _problem(answer: httpx.Response) -> dict[str, Any]:
    with suppress(ValueError):
        problem = answer.json()
        if isinstance(problem, dict) and "detail" in problem:
            return problem | {"status": answer.status_code}
    return {"detail": f"The server answered {answer.status_code}.", "status": max(answer.status_code, _SERVER_ERROR)}


def _trouble(problem: dict[str, Any]) -> Trouble:
    """Return a server's problem as trouble that leads to the same exit status here as there."""
    status = int(problem.get("status", _SERVER_ERROR))
    kind = Unavailable if status == Unavailable.status else Broken if status >= _SERVER_ERROR else Refused
    pointer = problem.get("pointer")
    return kind(f"{problem.get('title', '')} {problem['detail']}".strip(), pointer=pointer)
