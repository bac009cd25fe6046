"""`gradgate`: run the service, or ask for an examination and let the exit status judge.

Exit status of `check`: 0 let through (pass or warn), 1 rejected, 2 bad input or usage, 3 could not be examined,
130 interrupted.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from service import __version__, checking, logs
from service.checking import NO_WORKER
from service.contract.problem import Trouble
from service.contract.words import Depth, LossName, Mode, OptimizerName, Precision
from service.present import formats
from service.settings import Settings

app = typer.Typer(
    name="gradgate",
    help="Examines a neural network before GPU-hours are spent on it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")]


def _version(wanted: bool | None) -> None:  # noqa: FBT001  typer hands the flag over
    if wanted:
        typer.echo(f"gradgate {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool | None, typer.Option("--version", callback=_version, is_eager=True, help="Say it.")] = None,
) -> None:
    pass


def main() -> None:
    """Run the command line."""
    app()


@app.command()
def up(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    data: Annotated[Path | None, typer.Option(help="Where everything is kept.")] = None,
    workers: Annotated[int | None, typer.Option(min=0, help="Jobs at a time; 0 is the API alone.")] = None,
) -> None:
    """Run all of it on this machine: the API, a worker, and a queue of its own."""
    settings = _settings()
    settings = settings if data is None else settings.model_copy(update={"data": data})
    raise typer.Exit(import_module("service.embedded").up(settings, host, port, workers))


@app.command()
def serve(host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Run the API alone, on the Redis and the storage of the settings."""
    import_module("service.serving").serve(_settings(), host, port)


@app.command()
def worker() -> None:
    """Run a worker, on the Redis and the storage of the settings."""
    _settings()
    try:
        status = import_module("worker.__main__").main()
    except ModuleNotFoundError:
        typer.echo(f"gradgate: {NO_WORKER}", err=True)
        status = 2
    raise typer.Exit(status)


@app.command()
def check(  # noqa: PLR0917  each option of the command line is a parameter
    model: Annotated[Path, typer.Argument(help="ONNX, or an architecture as JSON.", exists=True, dir_okay=False)],
    batch: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="A sample batch.")] = None,
    second_batch: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Another batch, on which a prescription must hold.")
    ] = None,
    data: Annotated[
        list[Path] | None, typer.Option(exists=True, dir_okay=False, help="The model's external data; repeatable.")
    ] = None,
    server: Annotated[
        str | None, typer.Option(envvar="GRADGATE_SERVER", help="Examine there; in this process by default.")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="The gate's policy, as JSON.")
    ] = None,
    options: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="The options, as JSON.")] = None,
    loss: Annotated[LossName | None, typer.Option(help="The loss.")] = None,
    optimizer: Annotated[OptimizerName | None, typer.Option(help="The optimizer that will be used.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The learning rate that will be used.")] = None,
    depth: Annotated[Depth | None, typer.Option(help="How far to go.")] = None,
    mode: Annotated[Mode | None, typer.Option(help="Whether layers behave as in training.")] = None,
    precision: Annotated[Precision | None, typer.Option(help="The number format to train in.")] = None,
    seed: Annotated[int | None, typer.Option(help="Everything random is drawn from it.")] = None,
    seeds: Annotated[int | None, typer.Option(help="How many draws of random weights to examine.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the training trial.")] = None,
    treat: Annotated[bool | None, typer.Option("--treat/--no-treat", help="Whether to try treatments.")] = None,
    treatment: Annotated[
        list[str] | None, typer.Option(help="A treatment to try in any case, by its name; repeatable.")
    ] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds after which it reports what it has.")] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for a server's verdict.")] = 900,
    format: Annotated[str, typer.Option(help=f"One of {', '.join(formats)}.")] = "text",  # noqa: A002  the flag's name
    output: Annotated[Path | None, typer.Option(dir_okay=False, help="Write the report here.")] = None,
    treated: Annotated[Path | None, typer.Option(dir_okay=False, help="Write the treated model here.")] = None,
) -> None:
    """Examine a model and judge it: 0 let through, 1 rejected, 2 bad input, 3 could not be examined."""
    if format not in formats:
        msg = f"{format!r} is not one of {', '.join(formats)}."
        raise typer.BadParameter(msg, param_hint="--format")
    flags = {
        "loss": loss,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "depth": depth,
        "mode": mode,
        "precision": precision,
        "seed": seed,
        "seeds": seeds,
        "steps": steps,
        "treat": treat,
        "treatments": treatment or None,
        "time_limit_s": time_limit,
    }
    for path, flag in ((output, "--output"), (treated, "--treated")):
        if path is not None and not path.parent.is_dir():
            raise typer.BadParameter(f"there is no directory {path.parent}", param_hint=flag)  # noqa: EM102, TRY003
    asked = checking.Check(model, batch, second_batch, tuple(data or ()), format, server, timeout, treated)
    raise typer.Exit(_judged(asked, options, policy, flags, output))


def _judged(
    asked: checking.Check, options: Path | None, policy: Path | None, flags: Mapping[str, object], output: Path | None
) -> int:
    """Return the exit status of a check, having written what there is to say."""
    logs.configure(level="ERROR")
    try:
        answer = checking.run(asked, checking.read_options(options, policy, flags), _settings())
    except Trouble as trouble:
        where = f" (at {trouble.pointer})" if trouble.pointer else ""
        typer.echo(f"gradgate: {trouble.title} {trouble.detail}{where}", err=True)
        return 2 if trouble.status < Trouble.status else 3
    except checking.NoWorker as missing:
        typer.echo(f"gradgate: {missing}", err=True)
        return 2
    except KeyboardInterrupt:
        typer.echo("gradgate: interrupted", err=True)
        return 130
    _write(answer.report, output)
    if asked.treated is not None and not answer.handed_back:
        typer.echo("gradgate: there is no treated model to write; the report says why.", err=True)
    if output is not None:
        typer.echo(f"{answer.verdict.upper()}: {answer.summary}", err=True)
    return 1 if answer.rejected else 0


def _write(report: str, output: Path | None) -> None:
    if output is None:
        typer.echo(report, nl=not report.endswith("\n"))
    else:
        output.write_text(report, encoding="utf-8")


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        for one in error.errors():
            typer.echo(f"gradgate: {'.'.join(map(str, one['loc']))}: {one['msg']}", err=True)
        raise typer.Exit(2) from error
