"""The width check against what tensor programs say of the first steps."""

from functools import partial
from typing import Any

import pytest

from service.contract.problem import Trouble
from service.contract.words import OptimizerName
from tests.probe.subjects import Layers, dense, described
from worker.load.widening import widened
from worker.optimizers import Optimizer
from worker.probe.widths import measure_widths
from worker.subject import Subject

RELU = {"kind": "relu"}
SGD, ADAM = Optimizer(OptimizerName.SGD, 1e-4), Optimizer(OptimizerName.ADAM, 1e-4)


def document(layers: Layers) -> dict[str, Any]:
    return {"gradgate": "1", "input": {"shape": [16]}, "layers": list(layers)}


def subject(layers: Layers, seed: int = 0) -> Subject:
    return described(layers, seed=seed).replace(widened=partial(widened, document(layers), seed=0))


def slopes(layers: Layers, optimizer: Optimizer, seeds: int = 3) -> list[float]:
    """Return each hidden layer's slope, the mean over some draws."""
    found = []
    for seed in range(seeds):
        trends = measure_widths(subject(layers, seed), optimizer)
        assert isinstance(trends, tuple)
        found.append(trends)
    return [sum(trend.slope for trend in column) / seeds for column in zip(*found, strict=True)]


def test_one_hidden_layer_moves_by_the_root_less_with_the_width_under_gradient_descent() -> None:
    """Its gradient comes back through a head of weights of 1/√n."""
    assert slopes([dense(64), RELU, dense(4)], SGD) == pytest.approx([-0.5], abs=0.15)


def test_a_hidden_kernel_moves_its_output_by_the_width_under_adam_and_the_first_by_nothing() -> None:
    first, second = slopes([dense(64), RELU, dense(64), RELU, dense(4)], ADAM)
    assert first == pytest.approx(0, abs=0.15)
    assert second == pytest.approx(1, abs=0.25)


def test_every_layer_but_the_head_is_widened_those_within_blocks_included() -> None:
    block = {"kind": "residual", "layers": [RELU, dense(8)]}
    graph = widened(document([dense(8), {"kind": "repeat", "times": 2, "layers": [block]}, dense(4)]), 2, seed=0)
    assert graph is not None
    kernels = [tuple(p.value.shape) for p in graph.parameters.values() if p.value.dim() > 1]
    assert kernels == [(16, 16), (16, 16), (16, 16), (16, 4)]


@pytest.mark.parametrize(
    "given", [{"nodes": []}, document([dense(4)]), document([RELU, dense(4), RELU])], ids=["graph", "head", "one layer"]
)
def test_what_has_no_hidden_width_is_not_widened(given: dict[str, Any]) -> None:
    assert widened(given, 2, seed=0) is None


def test_what_fixes_a_size_fits_one_width() -> None:
    fixed = [dense(16), {"kind": "reshape", "shape": [4, 4]}, {"kind": "flatten"}, dense(4)]
    assert widened(document(fixed), 1, seed=0) is not None
    with pytest.raises(Trouble):
        widened(document(fixed), 2, seed=0)


def test_a_model_with_its_weights_has_one_width() -> None:
    assert "described, not stored" in str(measure_widths(described([dense(8), RELU, dense(4)]), SGD))
