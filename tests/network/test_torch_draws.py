"""Our draws beside those of torch.nn.init: two samples of one distribution."""

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from scipy import stats
from torch import Tensor, nn

from service.contract.architecture.laws import AnyLaw, LawSpec
from worker.load.drawing import law_of
from worker.network import laws
from worker.network.graph import stream
from worker.network.laws import fans

READ: TypeAdapter[AnyLaw] = TypeAdapter(LawSpec)
init = nn.init

DENSE, CONV = (400, 250), (60, 40, 5, 5)
"""Kernels (out, in) and (out, in, height, width), as torch lays both."""


def he(mode: str, form: Callable[..., Any]) -> Callable[[Tensor], Any]:
    return lambda weight: form(weight, mode=mode, nonlinearity="relu")


CASES: list[tuple[object, Callable[[Tensor], Any]]] = [
    ("he_normal", he("fan_in", init.kaiming_normal_)),
    ({"law": "he_normal", "mode": "fan_out"}, he("fan_out", init.kaiming_normal_)),
    ("kaiming_uniform", he("fan_in", init.kaiming_uniform_)),
    ({"law": "kaiming_uniform", "mode": "fan_out"}, he("fan_out", init.kaiming_uniform_)),
    ("lecun_normal", lambda weight: init.kaiming_normal_(weight, nonlinearity="linear")),
    ({"law": "xavier_normal", "gain": 5 / 3}, lambda weight: init.xavier_normal_(weight, init.calculate_gain("tanh"))),
    ("glorot_uniform", init.xavier_uniform_),
    ("torch_default", lambda weight: init.kaiming_uniform_(weight, a=sqrt(5))),
    ({"law": "normal", "mean": 1, "std": 0.2}, lambda weight: init.normal_(weight, 1, 0.2)),
    ({"law": "uniform", "low": -1, "high": 3}, lambda weight: init.uniform_(weight, -1, 3)),
    (
        {"law": "truncated_normal", "mean": 1, "std": 0.2},
        lambda weight: init.trunc_normal_(weight, 1, 0.2, 0.6, 1.4),
    ),
    ({"law": "orthogonal", "gain": sqrt(2)}, lambda weight: init.orthogonal_(weight, init.calculate_gain("relu"))),
]


def ours(spec: object, shape: tuple[int, ...]) -> Tensor:
    fan = fans(shape, "Conv" if len(shape) > 2 else "Gemm", transposed=True)
    return law_of(READ.validate_python(spec), shape, fan, laws.torch_default(shape, fan))(stream(0, "kernel"))


@pytest.mark.parametrize("shape", [DENSE, CONV], ids=["dense", "conv"])
@pytest.mark.parametrize(("spec", "torchs"), CASES, ids=[str(spec) for spec, _ in CASES])
def test_draws_are_distributed_as_torchs(spec: object, torchs: Callable[[Tensor], Any], shape: tuple[int, ...]) -> None:
    """Kolmogorov's and Smirnov's test of two samples, and the variances within five standard errors."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        theirs = torchs(torch.empty(shape)).double().flatten().numpy()
    drawn = ours(spec, shape).double().flatten().numpy()
    assert stats.ks_2samp(drawn, theirs).pvalue > 1e-3
    error = sqrt(2 / drawn.size) * max(1.0, np.sqrt(stats.kurtosis(theirs, fisher=False) / 2))
    assert drawn.var() == pytest.approx(theirs.var(), rel=5 * sqrt(2) * error)


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (5, 3, 3), (3, 5, 3, 5)])
def test_the_identity_is_torchs(shape: tuple[int, ...]) -> None:
    kernel = init.eye_(torch.empty(shape)) if len(shape) == 2 else init.dirac_(torch.empty(shape))
    assert torch.equal(ours("identity", shape), kernel)


def test_sparse_matrices_are_torchs() -> None:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        theirs = init.sparse_(torch.empty(40, 500), 0.31, 0.2)
    drawn = ours({"law": "sparse", "sparsity": 0.31, "std": 0.2}, (40, 500))
    assert (drawn == 0).sum(0).tolist() == (theirs == 0).sum(0).tolist()
    assert stats.ks_2samp(drawn[drawn != 0].numpy(), theirs[theirs != 0].numpy()).pvalue > 1e-3
