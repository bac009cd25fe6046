"""Examines four small models with a service of its own, shows what it found, and keeps the reports.

Usage: python examples/demo.py
"""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT, SIGTERM, signal
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

Json = dict[str, Any]
Show = Callable[[str, str, float], None]

HERE = Path(__file__).parent
MODELS = Path("build/demo/models")
LOG = Path("build/demo/service.log")
REPORTS = Path("demo-reports")
OPTIONS: dict[str, Json] = {
    "vanishing_sigmoid": {},
    "exploding": {},
    "resnet": {},
    "light_resnet50": {"depth": "quick", "time_limit_s": 60},
}
TELLING = ("lowest_loss", "gain", "initial_loss")
WIDTH = 150
PATIENCE_S = 60
FINAL = {"succeeded", "failed", "cancelled"}


def main() -> int:
    """Write the models, examine them, and return the exit status: 0 when every examination succeeded."""
    signal(SIGTERM, lambda *_: sys.exit(128 + SIGTERM))  # so that the service ends with the demo
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    python(str(HERE / "models.py"), str(MODELS))
    with service() as client:
        console.print(f"Gradgate is up at {client.base_url}")
        ids = {name: submit(client, name) for name in OPTIONS}
        with progress(console, list(ids)) as show:
            jobs = follow(client, ids, show)
        reports = {name: keep(client, name, ids[name]) for name, job in jobs.items() if job["status"] == "succeeded"}
        for name in reports:
            console.rule(name)
            console.out(fetch(client, ids[name], "text").text, highlight=False)
    console.print(summary(reports))
    for name, job in jobs.items():
        if name not in reports:
            console.print(f"{name}: {job['status']}: {(job['problem'] or {}).get('detail', '')}", markup=False)
    console.print(f"Reports: {', '.join(str(path) for path in sorted(REPORTS.glob('*.html')))}", soft_wrap=True)
    return 0 if jobs and len(reports) == len(jobs) else 1


def python(*arguments: str) -> None:
    """Run a script with this interpreter."""
    subprocess.run([sys.executable, *arguments], check=True)  # noqa: S603  our own script


@contextmanager
def service() -> Iterator[httpx.Client]:
    """Run the whole service on a free port, and hand out a client of it; Ctrl-C's signal ends it."""
    port = str(free_port())
    with TemporaryDirectory(prefix="gradgate-") as data, LOG.open("wb") as output:
        command = [sys.executable, "-m", "service", "up", "--port", port, "--data", data]
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)  # noqa: S603  our own
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                wait_until_ready(client, process)
                yield client
        finally:
            stop(process)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(client: httpx.Client, process: "subprocess.Popen[bytes]") -> None:
    """Return once the service takes jobs; SystemExit with its last words where it does not."""
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if client.get("/readyz").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    sys.exit(f"The service did not come up in {PATIENCE_S} s. It said:\n{LOG.read_text()[-2000:]}")


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End the service as Ctrl-C would, and by force where that is not heard."""
    process.send_signal(SIGINT)
    try:
        process.wait(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()


def submit(client: httpx.Client, name: str) -> str:
    """Upload a model, with its batch where it has one, and return the job's id."""
    paths = {"model": MODELS / f"{name}.onnx", "batch": MODELS / f"{name}.npz"}
    files = {part: (path.name, path.read_bytes()) for part, path in paths.items() if path.exists()}
    answer = client.post("/v1/diagnoses", files=files, data={"options": json.dumps(OPTIONS[name])})
    if answer.is_error:
        sys.exit(f"{name}: {answer.text}")
    return str(answer.json()["id"])


@contextmanager
def progress(console: Console, names: list[str]) -> Iterator[Show]:
    """Hand out a function that shows how far a model is: bars in a terminal, a line per stage elsewhere."""
    if not console.is_terminal:
        yield stage_lines()
        return
    columns = (TextColumn("{task.description:24}"), BarColumn(), TextColumn("{task.fields[stage]:12}"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as bars:
        tasks = {name: bars.add_task(name, total=1.0, stage="queued") for name in names}
        yield lambda name, stage, share: bars.update(tasks[name], completed=share, stage=stage)


def stage_lines() -> Show:
    """Return a function that prints a line whenever a model comes to another stage."""
    last: dict[str, str] = {}

    def show(name: str, stage: str, share: float) -> None:
        if last.get(name) != stage:
            print(f"{name}: {stage} ({share:.0%})", flush=True)
        last[name] = stage

    return show


def follow(client: httpx.Client, ids: dict[str, str], show: Show) -> dict[str, Json]:
    """Ask after every job until all are final; return them by name."""
    jobs: dict[str, Json] = {}
    while len(jobs) < len(ids):
        for name in ids.keys() - jobs.keys():
            job = client.get(f"/v1/diagnoses/{ids[name]}", headers={"Prefer": "wait=1"}).json()
            show(name, job["stage"] if job["status"] == "running" else job["status"], job["progress"])
            if job["status"] in FINAL:
                jobs[name] = job
    return {name: jobs[name] for name in ids}


def fetch(client: httpx.Client, job: str, form: str) -> httpx.Response:
    """Return a job's report in one of its forms."""
    return client.get(f"/v1/diagnoses/{job}/report", params={"format": form}).raise_for_status()


def keep(client: httpx.Client, name: str, job: str) -> Json:
    """Save a report as JSON and as a page; return it."""
    REPORTS.mkdir(exist_ok=True)
    for form in ("json", "html"):
        (REPORTS / f"{name}.{form}").write_bytes(fetch(client, job, form).content)
    report: Json = fetch(client, job, "json").json()
    return report


def summary(reports: dict[str, Json]) -> Table:
    """Return the closing table: a row per model."""
    table = Table("model", "verdict", "first finding", "prescription", "before → after", "seconds", title="Gradgate")
    for name, report in reports.items():
        finding = next((f"{found['code']} {found['title']}" for found in report["findings"]), "-")
        prescription = report["prescription"] or {"title": "-", "trial": None}
        seconds = sum(report["timing"].values())
        effect = measured(prescription["trial"])
        table.add_row(name, report["verdict"], finding, prescription["title"], effect, f"{seconds:.1f}")
    return table


def measured(trial: Json | None) -> str:
    """Say what a trial changed, by the measure that tells most of those it has."""
    before, after = (trial["before"], trial["after"]) if trial else ({}, {})
    for name in TELLING:
        if name in before and name in after:
            return f"{name.replace('_', ' ')} {brief(before[name])} → {brief(after[name])}"
    return "-"


def brief(number: float | str) -> str:
    """Write a number in three digits; one that is not finite comes as a word."""
    return number if isinstance(number, str) else f"{number:.3g}"


if __name__ == "__main__":
    sys.exit(main())
