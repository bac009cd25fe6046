"""A GPU is first touched by a child: neither Celery nor the zygote ever wakes CUDA up."""

import json
from collections.abc import Callable

import pytest
import torch

from service.contract.job import Status
from tests.isolation.workers import Desk, Worker

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]


def test_children_compute_on_the_gpu_one_after_another(hire: Callable[..., Worker], desk: Desk) -> None:
    hire(device="auto", slots=0)
    for _ in range(3):
        job = desk.wait(desk.submit("gpu"))
        assert job.status is Status.SUCCEEDED, job.problem
        assert json.loads(desk.storage.read(f"{job.id}/report.json"))["summary"] == "64.0"


def test_too_much_gpu_memory_is_a_problem(hire: Callable[..., Worker], desk: Desk) -> None:
    hire(device="cuda:0", slots=1)
    problem = desk.wait(desk.submit("gpu_hog")).problem
    assert problem is not None
    assert problem.type == "/problems/out-of-memory"
    assert "cuda:0" in problem.detail
