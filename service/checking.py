"""A check: a model goes in, a written report and a verdict come out, examined here or by a server."""

import math
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from service import catalogue, descriptions, sniff, strict
from service.client import Client
from service.contract.options import Options
from service.contract.problem import Crashed, Invalid, TooLarge, Trouble
from service.contract.words import Stage, Verdict
from service.gate import judge
from service.present import formats
from service.present.words import plain
from service.settings import Settings

NO_WORKER = "Examining takes torch: pip install 'gradgate[worker]', or name a server with --server URL."


_DETAIL = 60
"""Most characters that the progress bar says of what is being done."""


class Check(NamedTuple):
    """What is to be examined, and how the report is wanted."""

    model: Path
    batch: Path | None
    second: Path | None
    """The second batch."""
    data: tuple[Path, ...]
    format: str
    server: str | None
    timeout_s: float
    treated: Path | None = None
    """Where the treated model is wanted."""

    @property
    def external(self) -> tuple[Path, ...]:
        """The files of external data: those that were named, and the one that torch writes beside a model."""
        beside = self.model.with_name(f"{self.model.name}.data")
        return (*self.data, beside) if beside.is_file() and beside not in self.data else self.data

    @property
    def parts(self) -> tuple[tuple[str, Path], ...]:
        """Every file, under the name of the part that it is sent as."""
        batches = (("batch", self.batch), ("second_batch", self.second))
        named = ((name, path) for name, path in batches if path is not None)
        return ("model", self.model), *(("data", path) for path in self.external), *named


class Answer(NamedTuple):
    """What a check has to say."""

    verdict: Verdict
    summary: str
    report: str
    handed_back: bool
    """Whether there is a treated model, and it was written where it is wanted."""

    @property
    def rejected(self) -> bool:
        """Whether the gate is shut."""
        return self.verdict is Verdict.FAIL


class NoWorker(ImportError):
    """An examination without the packages that it takes."""


def read_options(options: Path | None, policy: Path | None, flags: Mapping[str, object]) -> Options:
    """Return the options of a file, with the policy of another and the flags of the command line over them."""
    document: Any = {} if options is None else strict.read(options.read_bytes(), str(options))
    if not isinstance(document, dict):
        document = {"": document}
    for name, value in flags.items():
        if isinstance(value, float) and not math.isfinite(value):
            msg = f"{name} is {value}; a finite number is needed."
            raise Invalid(msg, pointer=f"/{name}")
    document |= {name: value for name, value in flags.items() if value is not None}
    if policy is not None:
        document["policy"] = strict.read(policy.read_bytes(), str(policy))
    fitted = strict.fit(Options, orjson.loads(orjson.dumps(document)), "The options")
    catalogue.check_treatments(fitted.treatments)
    return fitted


def run(check: Check, options: Options, settings: Settings) -> Answer:
    """Examine and judge; Trouble of any kind where that cannot be done."""
    for path in check.external:
        sniff.flat(path.name)
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    ) as bar:
        task = bar.add_task(Stage.QUEUED, total=1.0)

        def tell(stage: Stage, done: float, detail: str) -> None:
            bar.update(task, description=f"{stage}: {plain(detail, _DETAIL)}" if detail else stage, completed=done)

        if check.server is not None:
            return _there(check, options, tell)
        return _here(check, options, settings, tell)


def _there(check: Check, options: Options, tell: Any) -> Answer:  # noqa: ANN401  what `run` made
    with Client(check.server or "", check.timeout_s) as client:
        job_id = client.submit(check.parts, options)
        client.follow(job_id, tell)
        gate = client.gate(job_id)
        return Answer(
            Verdict(gate["verdict"]),
            str(gate["summary"]),
            client.report(job_id, check.format, check.model.as_posix()),
            check.treated is not None and client.treated(job_id, check.treated),
        )


def _here(check: Check, options: Options, settings: Settings, tell: Any) -> Answer:  # noqa: ANN401  what `run` made
    _look(check, settings)
    try:
        examine = import_module("worker.examine").examine
        plan, torch = import_module("worker.plan").plan, import_module("torch")
        bounded = import_module("worker.isolation.limits").bounded
    except ImportError:
        raise NoWorker(NO_WORKER) from None
    device = plan(settings.device, gpus=torch.cuda.device_count(), cores=1, slots=1).devices[0]
    try:
        with bounded(settings.memory_limit_bytes if device == "cpu" else None, settings.job_time_limit_s):
            report = examine(
                check.model,
                check.batch,
                options,
                second=check.second,
                job_id="",
                created_at=datetime.now(UTC),
                external={path.name: path for path in check.external},
                device=device,
                treated=check.treated,
                progress=tell,
            )
    except (Trouble, KeyboardInterrupt):
        raise
    except Exception as error:
        msg = f"The examination ended in {type(error).__name__}: {error}"
        raise Crashed(msg) from error
    gate = judge(report, options.policy, datetime.now(UTC).date())
    written = formats[check.format].render(report, gate, check.model.as_posix())
    handed_back = report.prescription is not None and report.prescription.treated_model
    return Answer(gate.verdict, gate.summary, written, handed_back)


def _look(check: Check, settings: Settings) -> None:
    """Refuse what the service would refuse at its door."""
    most = settings.max_batch_bytes
    for path, limit in ((check.model, settings.max_model_bytes), (check.batch, most), (check.second, most)):
        if path is not None and (size := path.stat().st_size) > limit:
            msg = f"{path.name} is {size} bytes; the limit is {limit}."
            raise TooLarge(msg)
    if sniff.model(check.model, check.model.name) == "json":
        descriptions.parse(check.model.read_bytes())
    sniff.batches(check.batch, check.second)
