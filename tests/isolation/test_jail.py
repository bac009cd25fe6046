"""What a child cannot do, where the kernel offers the walls."""

import pytest

from tests.isolation.test_worker import run, summary
from tests.isolation.workers import Workshop
from worker.isolation import landlock, seccomp

NETWORK_SINCE, SIGNALS_SINCE = 4, 6

needs_landlock = pytest.mark.skipif(not landlock.abi(), reason="the kernel has no Landlock")
needs_scopes = pytest.mark.skipif(landlock.abi() < SIGNALS_SINCE, reason="the kernel's Landlock knows no signals")
needs_seccomp = pytest.mark.skipif(not seccomp.available(), reason="the kernel has no seccomp")


@needs_landlock
@pytest.mark.parametrize("way", ["read", "write", "outside", "environment"])
def test_files_of_others_are_out_of_reach(workshop: Workshop, way: str) -> None:
    assert summary(workshop, run(workshop, f"try {way}")) == "PermissionError"


@needs_scopes
def test_others_cannot_be_signalled(workshop: Workshop) -> None:
    assert summary(workshop, run(workshop, "try parent")) == "PermissionError"


@needs_seccomp
@pytest.mark.parametrize("way", ["exec", "system", "inet", "unix", "leader"])
def test_programs_and_sockets_are_refused(workshop: Workshop, way: str) -> None:
    assert summary(workshop, run(workshop, f"try {way}")) == "PermissionError"


def test_the_upload_the_own_directory_and_the_installation_are_within_reach(workshop: Workshop) -> None:
    assert summary(workshop, run(workshop, "try own")) == "escaped"


def test_a_child_forks(workshop: Workshop) -> None:
    assert summary(workshop, run(workshop, "fork 0")).isdigit()


def test_onnxruntime_runs_in_a_child(workshop: Workshop) -> None:
    assert summary(workshop, run(workshop, "onnxruntime")) == "[0.0, 1.0]"


def test_a_child_leaves_no_core_and_is_the_first_to_go(workshop: Workshop) -> None:
    limits = summary(workshop, run(workshop, "limits"))
    rows = {line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()}
    assert rows["Max core file size"] == "0"
    assert rows["Max data size"] == str(1536 * 2**20)
    status = dict(line.split(":", 1) for line in summary(workshop, run(workshop, "status")).splitlines() if ":" in line)
    assert status["NoNewPrivs"].strip() == "1"
