"""The command line: its exit status is the gate."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from typer.testing import CliRunner

from service import __version__
from service.cli import app
from service.contract.options import Options
from service.contract.problem import OutOfMemory, Problem, UnsupportedOperator
from service.contract.words import Severity
from service.settings import Settings
from tests.real_server import free_port
from tests.service.api import MODEL, Service
from tests.service.samples import finding, report


def check(*words: object) -> tuple[int, str, str]:
    """Run `gradgate check` and return its exit status, output and complaints."""
    done = CliRunner().invoke(app, ["check", *map(str, words)])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small model in a file."""
    path = tmp_path / "model.json"
    path.write_bytes(MODEL)
    return path


@contextmanager
def serving(settings: Settings, end: Callable[[Service, str], object]) -> Iterator[tuple[str, Service]]:
    """Serve the API on a real port; `end` takes a job's id and ends it, as a worker does."""
    service = Service(settings)
    service.app = _with(service, settings, end)
    server = uvicorn.Server(uvicorn.Config(service.app, port=(port := free_port()), log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}", service
    server.should_exit = True
    thread.join()
    service.backing.jobs.close()


def _with(service: Service, settings: Settings, end: Callable[[Service, str], object]) -> object:
    service.app.state.backing = service.backing._replace(enqueue=lambda job_id: end(service, job_id))
    return service.app


@pytest.mark.parametrize(
    ("severity", "status", "verdict"), [(Severity.ERROR, 1, "FAIL"), (Severity.WARNING, 0, "WARN")]
)
def test_a_verdict_is_an_exit_status(
    settings: Settings, model: Path, severity: Severity, status: int, verdict: str
) -> None:
    with serving(settings, lambda s, job: s.succeed(job, report(finding(severity=severity)))) as (url, _):
        code, said, _ = check(model, "--server", url)
    assert code == status
    assert verdict in said
    assert "GRD01" in said


def test_options_policy_batch_and_data_reach_the_server(settings: Settings, model: Path, tmp_path: Path) -> None:
    names = ("b.json", "second.json", "w.bin", "options.json", "gate.json")
    batch, second, data, options, policy = (tmp_path / name for name in names)
    batch.write_text('{"input": [[1, 2]]}')
    second.write_text('{"input": [[3, 4]]}')
    data.write_bytes(b"weights")
    options.write_text('{"seed": 7, "loss": "mse", "depth": "deep"}')
    policy.write_text('{"rules": {"GRD01": {"level": "off"}}}')
    words = (model, "--batch", batch, "--data", data, "--options", options, "--policy", policy, "--depth", "quick")
    with serving(settings, lambda s, job: s.succeed(job)) as (url, service):
        words = (*words, "--second-batch", second, "--treatment", "tanh", "--treatment", "selu")
        code, said, _ = check(*words, "--no-treat", "--learning-rate", "0.5", "--server", url)
        (job,) = service.backing.jobs.page(limit=9, cursor=None, status=None, verdict=None).items
        sent = Options.model_validate_json(service.backing.storage.read(f"{job.id}/options.json"))
        assert service.backing.storage.read(f"{job.id}/batch") == batch.read_bytes()
        assert service.backing.storage.read(f"{job.id}/second-batch") == second.read_bytes()
        assert service.backing.storage.names(f"{job.id}/data") == ("w.bin",)
    assert code == 0
    assert sent.treatments == ("tanh", "selu")
    assert "GRD01 is off" in said
    assert (sent.seed, sent.loss, sent.depth, sent.treat, sent.learning_rate) == (7, "mse", "quick", False, 0.5)
    assert sent.policy.rules["GRD01"].level == "off"


def test_the_treated_model_is_written_where_there_is_one(settings: Settings, model: Path, tmp_path: Path) -> None:
    treated = tmp_path / "treated.onnx"

    def end(service: Service, job: str) -> None:
        service.backing.storage.write(f"{job}/treated-model", b"treated")
        service.succeed(job)

    with serving(settings, end) as (url, _):
        check(model, "--server", url, "--treated", treated)
    assert treated.read_bytes() == b"treated"
    treated.unlink()
    with serving(settings, lambda s, job: s.succeed(job)) as (url, _):
        _, _, complaints = check(model, "--server", url, "--treated", treated)
    assert not treated.exists()
    assert "no treated model" in complaints


def test_a_treatment_that_nobody_knows_is_2_and_is_named(model: Path) -> None:
    code, _, complaints = check(model, "--treatment", "frobnicate")
    assert code == 2
    assert "'frobnicate'" in complaints
    assert "/v1/treatments" in complaints


def test_a_second_batch_without_a_first_is_2(model: Path, tmp_path: Path) -> None:
    second = tmp_path / "second.json"
    second.write_text('{"input": [[3, 4]]}')
    code, _, complaints = check(model, "--second-batch", second)
    assert code == 2
    assert "no first one" in complaints


def test_the_data_that_torch_writes_beside_a_model_go_along(settings: Settings, model: Path) -> None:
    beside = model.with_name(f"{model.name}.data")
    beside.write_bytes(b"weights")
    with serving(settings, lambda s, job: s.succeed(job)) as (url, service):
        check(model, "--server", url)
        (job,) = service.backing.jobs.page(limit=9, cursor=None, status=None, verdict=None).items
        assert service.backing.storage.names(f"{job.id}/data") == (beside.name,)


def test_a_report_that_has_nowhere_to_go_is_refused_before_the_examination(model: Path, tmp_path: Path) -> None:
    code, said, complaints = check(model, "--output", tmp_path / "nowhere" / "report.json")
    assert (code, said) == (2, "")
    assert "there is no directory" in complaints


def test_the_report_goes_into_a_file_and_the_verdict_to_the_terminal(
    settings: Settings, model: Path, tmp_path: Path
) -> None:
    output = tmp_path / "report.json"
    with serving(settings, lambda s, job: s.succeed(job)) as (url, _):
        code, said, complaints = check(model, "--server", url, "--format", "json", "--output", output)
    assert (code, said) == (1, "")
    assert "FAIL: The gate is shut: 1 against the policy (GRD01)." in complaints
    assert json.loads(output.read_text())["findings"][0]["code"] == "GRD01"


@pytest.mark.parametrize(
    ("problem", "status"),
    [(UnsupportedOperator("Nobody computes Frobnicate.").problem(), 2), (OutOfMemory("8 GiB were full.").problem(), 3)],
)
def test_a_failed_job_is_bad_input_or_not_examined(
    settings: Settings, model: Path, problem: Problem, status: int
) -> None:
    with serving(settings, lambda s, job: s.fail(job, problem)) as (url, _):
        code, said, complaints = check(model, "--server", url)
    assert (code, said) == (status, "")
    assert problem.detail in complaints


def test_a_server_that_is_too_slow_is_3_and_the_job_is_taken_back(settings: Settings, model: Path) -> None:
    with serving(settings, lambda _, __: None) as (url, service):
        code, _, complaints = check(model, "--server", url, "--timeout", 1)
        assert service.backing.jobs.page(limit=9, cursor=None, status=None, verdict=None).items == ()
    assert code == 3
    assert "within 1 s" in complaints


def test_what_a_server_refuses_is_2(settings: Settings, tmp_path: Path) -> None:
    wrong = tmp_path / "model.json"
    wrong.write_text('{"gradgate": "1", "input": {"shape": [2]}, "layers": [{"kind": "dense", "units": 0}]}')
    with serving(settings, lambda _, __: None) as (url, _):
        code, _, complaints = check(wrong, "--server", url)
    assert code == 2
    assert "/layers/0/units" in complaints


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "no-url", "ftp://127.0.0.1:{port}"])
def test_a_server_that_is_not_there_is_3(model: Path, url: str) -> None:
    code, _, complaints = check(model, "--server", url.format(port=free_port()))
    assert code == 3
    assert "does not answer" in complaints


@pytest.mark.parametrize(
    "words",
    [
        ("--format", "docx"),
        ("--depth", "abyss"),
        ("--seed", "-1"),
        ("--learning-rate", "nan"),
        ("--batch", "missing.npz"),
        ("--frobnicate",),
    ],
)
def test_wrong_usage_is_2(model: Path, words: tuple[str, ...]) -> None:
    code, said, complaints = check(model, *words)
    assert (code, said) == (2, "")
    assert complaints


@pytest.mark.parametrize("content", ["{", '{"epochs": 3}', "[]", '{"seed": 1, "seed": 2}', '{"learning_rate": 1e999}'])
def test_options_that_do_not_fit_are_2(model: Path, tmp_path: Path, content: str) -> None:
    options = tmp_path / "options.json"
    options.write_text(content)
    code, _, complaints = check(model, "--options", options)
    assert code == 2
    assert complaints.startswith("gradgate: ")


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"PK\x03\x04zip", b"hello", b'{"gradgate": "2"}'])
def test_what_is_no_model_is_2_without_an_examination(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    code, said, complaints = check(path)
    assert (code, said) == (2, "")
    assert complaints.startswith("gradgate: ")


def test_without_torch_it_says_what_to_install(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "worker.examine", None)
    code, _, complaints = check(model)
    assert code == 2
    assert "pip install 'gradgate[worker]'" in complaints


@pytest.mark.slow
def test_it_examines_in_this_process_where_no_server_is_named(model: Path) -> None:
    words = [sys.executable, "-m", "service", "check", str(model), "--depth", "quick", "--steps", "3", "--no-treat"]
    done = subprocess.run([*words, "--format", "json"], capture_output=True, text=True, check=False)  # noqa: S603  ours
    assert done.returncode in {0, 1}, done.stderr
    found = json.loads(done.stdout)
    assert done.returncode == (found["verdict"] == "fail")
    assert found["model"]["format"] == "gradgate"


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let children be interrupted, though a shell that runs the tests in the background has them ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_is_130_and_takes_the_job_back(settings: Settings, model: Path) -> None:
    arrived = threading.Event()
    with serving(settings, lambda _, __: arrived.set()) as (url, service):
        words = [sys.executable, "-m", "service", "check", str(model), "--server", url]
        process = subprocess.Popen(words, stderr=subprocess.PIPE)  # noqa: S603  our own
        assert arrived.wait(30)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=30)
        assert service.backing.jobs.page(limit=9, cursor=None, status=None, verdict=None).items == ()
    assert process.returncode == 130
    assert b"interrupted" in complaints


def test_the_version_is_the_packages() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"gradgate {__version__}\n"


def test_help_names_every_command() -> None:
    said = CliRunner().invoke(app, ["--help"]).stdout
    assert all(word in said for word in ("up", "serve", "worker", "check"))
