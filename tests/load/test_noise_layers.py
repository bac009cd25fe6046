"""Noise in training: its moments and what it spares; in evaluation, and in files, there is none."""

from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.load.described import SEQUENCE, build, draw
from worker.network.export import to_onnx
from worker.network.run import Program


def noised(layer: dict[str, Any], value: Tensor) -> Tensor:
    """Return what a layer makes of a value in training."""
    graph = build([layer], tuple(value.shape[1:]))
    generator = torch.Generator().manual_seed(0)
    return Program(graph).run({"input": value}, training=True, generator=generator)["output"]


def test_spatial_dropout_drops_whole_channels() -> None:
    for shape, axes in (((7, 200), (1,)), ((200, 3, 5), (2, 3))):
        found = noised({"kind": "spatial_dropout", "rate": 0.25}, torch.ones(20, *shape))
        assert torch.equal(found.amin(axes), found.amax(axes))
        assert found.unique().tolist() == pytest.approx([0, 4 / 3])
        assert found.eq(0).float().mean().item() == pytest.approx(0.25, abs=0.03)


def test_alpha_dropout_keeps_mean_0_and_variance_1() -> None:
    """And, as torch's own, takes a value to what is kept and scaled, or to one lowest value."""
    value = draw((1000,), 100, seed=1)
    found = noised({"kind": "alpha_dropout", "rate": 0.2}, value)
    assert found.mean().item() == pytest.approx(0, abs=0.02)
    assert found.var().item() == pytest.approx(1, abs=0.02)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = functional.alpha_dropout(torch.zeros(100, 1000), 0.2, training=True).unique()
    torch.testing.assert_close(noised({"kind": "alpha_dropout", "rate": 0.2}, torch.zeros(100, 1000)).unique(), theirs)


def test_gaussian_noises_have_the_moments_they_state() -> None:
    ones = torch.ones(100, 1000)
    times = noised({"kind": "gaussian_dropout", "rate": 0.2}, 3 * ones)
    assert (times.mean().item(), times.var().item()) == pytest.approx((3, 9 * 0.25), rel=0.02)
    plus = noised({"kind": "gaussian_noise", "std": 0.5}, 3 * ones)
    assert (plus.mean().item(), plus.std().item()) == pytest.approx((3, 0.5), rel=0.02)


def test_random_relu_draws_slopes_between_its_bounds_in_training() -> None:
    found = noised({"kind": "rrelu", "lower": 0.1, "upper": 0.5}, -torch.ones(100, 1000))
    assert -0.5 <= found.min() < -0.49
    assert -0.11 < found.max() <= -0.1
    assert found.mean().item() == pytest.approx(-0.3, abs=0.01)
    assert noised({"kind": "rrelu"}, torch.ones(2, 3)).eq(1).all()


def test_noise_is_written_as_what_it_is_in_evaluation() -> None:
    layers = [
        {"kind": "spatial_dropout", "rate": 0.5},
        {"kind": "alpha_dropout", "rate": 0.5},
        {"kind": "gaussian_dropout", "rate": 0.5},
        {"kind": "gaussian_noise", "std": 1},
        {"kind": "rrelu"},
    ]
    model = to_onnx(build(layers, SEQUENCE))
    assert [node.op_type for node in model.graph.node] == [*["Identity"] * 4, "LeakyRelu"]
    value = draw(SEQUENCE)
    (found,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"input": value.numpy()})
    np.testing.assert_allclose(found, functional.leaky_relu(value, 11 / 48).numpy(), rtol=1e-6)
