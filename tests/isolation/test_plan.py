"""How a machine is shared among slots."""

from pathlib import Path

import pytest

from service.contract.problem import Unavailable
from worker.plan import Plan, cores, plan


@pytest.mark.parametrize(
    ("device", "gpus", "machine", "slots", "devices", "threads"),
    [
        ("auto", 0, 1, 0, ("cpu",), 1),
        ("auto", 0, 2, 0, ("cpu",), 2),
        ("auto", 0, 9, 0, ("cpu",) * 4, 2),
        ("auto", 0, 16, 3, ("cpu",) * 3, 5),
        ("auto", 0, 2, 8, ("cpu",) * 8, 1),
        ("auto", 2, 16, 0, ("cuda:0", "cuda:1"), 8),
        ("cpu", 2, 4, 0, ("cpu", "cpu"), 2),
        ("cuda", 3, 12, 0, ("cuda:0", "cuda:1", "cuda:2"), 4),
        ("cuda:1", 2, 4, 0, ("cuda:1",), 4),
        ("cuda", 2, 8, 3, ("cuda:0", "cuda:1", "cuda:0"), 2),
    ],
)
def test_a_machine_is_shared(  # noqa: PLR0917  a table's columns
    device: str, gpus: int, machine: int, slots: int, devices: tuple[str, ...], threads: int
) -> None:
    assert plan(device, gpus=gpus, cores=machine, slots=slots) == Plan(devices, threads)


@pytest.mark.parametrize(("device", "gpus"), [("cuda", 0), ("cuda:0", 0), ("cuda:2", 2)])
def test_a_gpu_that_is_not_there_is_said(device: str, gpus: int) -> None:
    with pytest.raises(Unavailable, match=f"{gpus} CUDA"):
        plan(device, gpus=gpus, cores=4, slots=0)


@pytest.mark.parametrize(("quota", "most"), [("150000 100000", 1), ("50000 100000", 1), ("max 100000", 10**6)])
def test_a_control_group_s_share_counts(tmp_path: Path, quota: str, most: int) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    assert 1 <= cores(tmp_path / "cpu.max") <= most


def test_without_a_control_group_the_machine_counts(tmp_path: Path) -> None:
    assert cores(tmp_path / "cpu.max") >= 1
