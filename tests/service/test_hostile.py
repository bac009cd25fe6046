"""Hostile descriptions at each door: as a file, in a JSON body, and on the command line."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from service.cli import app
from service.settings import Settings
from tests.contract.attacks import ATTACKS
from tests.service.api import Service

OBJECTS = [name for name, (text, *_) in ATTACKS.items() if text[:1] == b"{" and text[1:2] != b"\0"]
"""Those that look like a description; what else comes is refused by its first bytes."""


@pytest.fixture(autouse=True)
def _nothing_stays_behind(service: Service, settings: Settings) -> Any:  # noqa: ANN401  a fixture with an end
    yield
    assert service.woken == []
    assert list(Path(settings.storage.removeprefix("file:")).rglob("*")) == []


def problem(answer: httpx.Response) -> dict[str, Any]:
    """Check that the answer is a short problem, and no fault of the service, and return it."""
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert 400 <= answer.status_code < 500
    assert len(answer.content) < 5000
    said: dict[str, Any] = answer.json()
    return said


@pytest.mark.parametrize("name", OBJECTS)
def test_a_hostile_file_is_refused_with_its_problem_and_place(service: Service, name: str) -> None:
    text, kind, pointer, said = ATTACKS[name]
    answer = problem(service.post("/v1/diagnoses", files={"model": text}))
    assert answer["type"] == f"/problems/{kind.slug()}"
    assert pointer is None or answer["pointer"] == pointer
    assert said in answer["detail"]


@pytest.mark.parametrize("name", sorted(ATTACKS.keys() - OBJECTS))
def test_what_does_not_even_look_like_a_description_is_refused(service: Service, name: str) -> None:
    problem(service.post("/v1/diagnoses", files={"model": ATTACKS[name][0]}))


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_model_in_a_body_is_pointed_at_within_the_body(service: Service, name: str) -> None:
    text, kind, pointer, _ = ATTACKS[name]
    content, headers = b'{"model":' + text + b"}", {"Content-Type": "application/json"}
    answer = problem(service.post("/v1/diagnoses", content=content, headers=headers))
    assert answer["type"] in {f"/problems/{kind.slug()}", "/problems/malformed"}
    whole = {None, ""} if answer["type"] == "/problems/malformed" else set()
    assert pointer is None or answer.get("pointer") in {f"/model{pointer}", *whole}


@pytest.mark.parametrize("trap", ["NaN", "1e999", "9" * 400, '"\\ud800"', '{"a": 1, "a": 1}'])
def test_a_trap_in_a_body_is_malformed_and_pointed_at(service: Service, trap: str) -> None:
    content = f'{{"model": {{"gradgate": "1"}}, "batch": {{"input": [[1, {trap}]]}}}}'
    answer = service.post("/v1/diagnoses", content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, problem(answer)["type"]) == (400, "/problems/malformed")
    assert answer.json()["pointer"] == "/batch/input/0/1" + ("/a" if trap[0] == "{" else "")


def test_lists_without_an_end_in_a_body_are_counted_before_they_are_read(service: Service) -> None:
    content = b'{"model": {}, "batch": {"input": [' + b",".join([b"[]"] * 3_000_000) + b"]}}"
    answer = service.post("/v1/diagnoses", content=content, headers={"Content-Type": "application/json"})
    assert "2097152" in problem(answer)["detail"]


@pytest.mark.parametrize("options", [{"k" * 10**5: 0}, {"policy": {"version": "1", "waivers": [1] * 10**5}}])
def test_hostile_options_are_refused_shortly(service: Service, options: dict[str, object]) -> None:
    assert problem(service.post("/v1/diagnoses", json={"model": {}, "options": options}))["type"] == "/problems/invalid"


@pytest.mark.parametrize(
    "name", ["NaN", "a key twice", "repeats of repeats of repeats", "a name of four MiB", "UTF-16"]
)
def test_the_command_line_refuses_what_the_service_refuses(tmp_path: Path, name: str) -> None:
    text, _, pointer, _ = ATTACKS[name]
    model = tmp_path / "model.json"
    model.write_bytes(text)
    done = CliRunner().invoke(app, ["check", str(model)])
    assert done.exit_code == 2
    assert "Traceback" not in done.output
    assert (pointer or "") in done.output.replace("\n", "")
