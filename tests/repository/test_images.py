"""The Dockerfile and the compose file, read as Docker would read them; no engine is needed."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import Settings

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def passes(*command: str | Path) -> None:
    """Run a checker at the repository's root; what it finds fails the test."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603  our own commands
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dockerfile_has_no_lint() -> None:
    passes(BIN / "hadolint", "Dockerfile")


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ("compose-spec", "docker-compose.yml"),
        ("github-workflows", "examples/ci/github.yml"),
        ("gitlab-ci", "examples/ci/gitlab.yml"),
    ],
)
def test_a_file_for_another_tool_fits_the_schema_of_its_makers(schema: str, path: str) -> None:
    passes(BIN / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", path)


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_is_confined(name: str) -> None:
    container = SERVICES[name]
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in container["security_opt"]
    assert container["pids_limit"] > 0
    assert container["mem_limit"]


@pytest.mark.parametrize("name", [name for name in SERVICES if name.startswith("worker")])
def test_a_worker_cannot_reach_the_world(name: str) -> None:
    assert SERVICES[name]["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}


def test_only_this_machine_reaches_the_service() -> None:
    ports = [port for container in SERVICES.values() for port in container.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_what_was_accepted_is_on_disk_and_never_evicted() -> None:
    command = SERVICES["valkey"]["command"]
    told = dict(zip(command[1::2], command[2::2], strict=True))
    assert told["--appendonly"] == "yes"
    assert told["--appendfsync"] == "always"
    assert told["--maxmemory-policy"] == "noeviction"


@pytest.mark.parametrize("name", [name for name in SERVICES if "build" in SERVICES[name]])
def test_a_container_is_built_from_a_target_that_exists(name: str) -> None:
    assert f" AS {SERVICES[name]['build']['target']}\n" in DOCKERFILE


def test_every_variable_is_a_setting() -> None:
    known = {f"GRADGATE_{name.upper()}" for name in Settings.model_fields}
    assert set(variables()) <= known


def variables() -> Iterator[str]:
    """Yield the names of `GRADGATE_…` variables that containers are given."""
    yield from re.findall(r"(GRADGATE_\w+)=", DOCKERFILE)
    for container in SERVICES.values():
        yield from (name for name in container.get("environment", ()) if name.startswith("GRADGATE_"))


def test_what_the_dockerfile_copies_is_let_in() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"}
    copied = {name for line in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()}
    assert copied == let_in


def test_the_service_image_holds_no_torch() -> None:
    """No line between the shared packages and the service's image installs what the worker needs."""
    base, service, *_ = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    assert "AS service" in service.splitlines()[0]
    installs = [line for line in (base + service).splitlines() if "pip install" in line]
    assert len(installs) == 2
    assert not any("torch" in line for line in installs)
