"""What is installed: pinned, complete, and as light as promised."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PIN = re.compile(r"^([\w.-]+)==(\S+)$", re.MULTILINE)
PINS = {
    canonicalize_name(name): version
    for name, version in PIN.findall((ROOT / "constraints.txt").read_text(encoding="utf-8"))
}


def asked_for() -> list[Requirement]:
    """Return what pyproject.toml names, extras included."""
    extras = PROJECT["optional-dependencies"].values()
    return [Requirement(line) for lines in (PROJECT["dependencies"], *extras) for line in lines]


def needed_here(line: str, extras: set[str]) -> Requirement | None:
    """Return the requirement if its marker holds on this machine."""
    wanted = Requirement(line)
    marker = wanted.marker
    holds = marker is None or any(marker.evaluate({"extra": extra}) for extra in {"", *extras})
    return wanted if holds else None


def test_every_dependency_is_pinned() -> None:
    """Also those of dependencies; what torch brings along is pinned by torch itself."""
    todo, seen = asked_for(), set[str]()
    while todo:
        wanted = todo.pop()
        name = canonicalize_name(wanted.name)
        assert name in PINS, f"{name} is missing in constraints.txt"
        if name not in seen and name != "torch":
            lines = requires(name) or []
            todo += [found for line in lines if (found := needed_here(line, wanted.extras))]
        seen.add(name)


def test_every_pin_satisfies_what_the_project_asks_for() -> None:
    for wanted in asked_for():
        assert wanted.specifier.contains(PINS[canonicalize_name(wanted.name)]), str(wanted)


def test_the_service_is_imported_without_torch_onnx_or_numpy() -> None:
    """In a fresh interpreter, `service.app` and the command line load nothing heavy."""
    program = "import json, sys, service.app, service.cli; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert "service" in loaded
    assert not loaded & {"worker", "torch", "onnx", "onnxruntime", "numpy", "scipy"}
