"""The commands that people and CI run."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = {
    "help", "setup", "demo", "serve", "test", "check", "fix", "generate", "conformance", "bench", "bench-diagnosis",
    "bench-treatments", "clean",
}  # fmt: skip
BIN = Path(sys.executable).parent


def output(*command: str | Path) -> str:
    """Run a command at the repository's root, and return what it said; a failure fails the test."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603  our own commands
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def make(*arguments: str) -> str:
    program = shutil.which("make")
    assert program, "make is not installed"
    return output(program, "--no-print-directory", *arguments)


def test_help_lists_every_target_with_its_sentence() -> None:
    listed = dict(re.findall(r"^  make ([\w-]+) +(\S.*)$", make("help"), re.MULTILINE))
    phony = set(re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[0].split())
    assert listed.keys() == phony == TARGETS
    assert all(sentence.endswith((".", '"')) for sentence in listed.values())


def test_every_target_can_be_planned() -> None:
    for target in sorted(TARGETS):
        make("--dry-run", target)


def test_an_old_python_is_refused_with_a_sentence(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text(f'#!/bin/sh\nexec {sys.executable} -c "import sys; sys.version_info = (3, 9, 0)\n$2"\n')
    old.chmod(0o755)
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, checkout)
    command = ["make", "setup", f"PYTHON={old}"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode != 0
    assert f"Gradgate needs Python 3.11 or newer; {old} is 3.9" in done.stderr


def test_ci_runs_exactly_the_checks_that_people_run() -> None:
    steps = [
        line
        for line in (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
        if "make" in line and line[0] != "#"
    ]
    assert steps == ["exec make --no-print-directory check"]
    tests = make("--dry-run", "check").rstrip().splitlines()[-1]
    assert ".venv/bin/pytest" in tests
    assert tests == make("--dry-run", "test").rstrip().splitlines()[-1]


@pytest.mark.parametrize("script", [".ci/run", "examples/curl.sh", "examples/ci/gate.sh"])
def test_shell_scripts_are_sound_and_can_be_run(script: str) -> None:
    output(BIN / "shellcheck", script)
    assert (ROOT / script).stat().st_mode & 0o111
