"""What a gain is made of (slopes, nonlinearity, power laws, branches, shattering) against closed forms and theory."""

import math
from statistics import mean
from typing import Any

import pytest
import torch

from tests.probe.subjects import by_hand, chain, dense, described, node, normal
from worker.probe.gain import measure_gain
from worker.probe.norms import normed
from worker.probe.power_law import exponent
from worker.probe.residual import measure_joins
from worker.probe.shattering import measure_shattering
from worker.probe.slopes import Slopes, measure_slopes
from worker.probe.sweep import sweep
from worker.subject import Subject

RELU = {"kind": "relu"}


def slopes(activation: dict[str, Any], units: int = 512, gain: float = 1.0) -> Slopes:
    """Return the slopes of an activation on pre-activations of that standard deviation."""
    first = dense(units, {"law": "orthogonal", "gain": gain})
    (found,) = measure_slopes(sweep(described([first, activation, dense(4)], (units,), size=256))).values()
    return found


@pytest.mark.parametrize(
    ("activation", "gain", "square", "kurtosis"),
    [
        (RELU, 1.0, 1 / 2, 5.0),
        ({"kind": "leaky_relu", "alpha": 0.2}, 1.0, (1 + 0.04) / 2, 4.55621),
        ({"kind": "tanh"}, 1e-3, 1.0, 2.0),
        ({"kind": "sigmoid"}, 1e-3, 1 / 16, 2.0),
        ({"kind": "silu"}, 1e-3, 1 / 4, 2.0),
        ({"kind": "tanh"}, math.sqrt(2.195494), 1.342402 / 4, 5.35559),
    ],
)
def test_slopes_are_those_of_gaussian_theory(
    activation: dict[str, Any], gain: float, square: float, kurtosis: float
) -> None:
    """A share of a half of 131,072 numbers has a standard deviation of 0.0014."""
    found = slopes(activation, gain=gain)
    assert found.square == pytest.approx(square, abs=0.01)
    assert found.kurtosis == pytest.approx(kurtosis, rel=0.03)


def test_a_gate_is_no_activation_and_x_times_its_sigmoid_is_one() -> None:
    nodes = [
        node("MatMul", "x w", "a"),
        node("MatMul", "x v", "b"),
        node("Sigmoid", "b", "gate"),
        node("Mul", "a gate", "c"),
        node("Sigmoid", "c", "half"),
        node("Mul", "c half", "swish"),
        node("MatMul", "swish u", "y"),
    ]
    parameters = {name: normal(8, 8, seed=at) for at, name in enumerate("wvu")}
    found = measure_slopes(sweep(by_hand(nodes, parameters, {"x": normal(64, 8)})))
    assert {value: each.op for value, each in found.items()} == {"swish": "Swish"}


@pytest.mark.parametrize(("depth", "expected"), [(5, 1.95), (10, 2.79), (20, 4.40)])
def test_the_nonlinearity_coefficient_of_a_rectifier_network_is_mean_field_theorys(depth: int, expected: float) -> None:
    """Philipp and Carbonell 2018, NLC² = χ₁ᴸ(1 − c₀)/(1 − c_L): for He's initialization, from uncorrelated inputs."""
    found = []
    for seed in range(3):
        layers = [dense(256, "orthogonal"), *[RELU, dense(256)] * depth, dense(4)]
        gain = measure_gain(sweep(described(layers, (256,), size=128, seed=seed)))
        assert gain is not None
        assert gain.nonlinearity is not None
        found.append(gain.nonlinearity)
    assert math.exp(mean(found) / 2) == pytest.approx(expected, rel=0.15)


def test_a_linear_network_has_a_nonlinearity_coefficient_of_one_at_any_scale() -> None:
    layer = dense(64, {"law": "orthogonal", "gain": 0.5})
    gain = measure_gain(sweep(described(chain(10, layer), (64,), size=512)))
    assert gain is not None
    assert gain.nonlinearity == pytest.approx(0, abs=0.05)
    assert gain.relative == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(("depth", "power"), [(12, 2.0), (48, 2.0), (48, 1.0)])
def test_a_power_of_depth_is_told_from_an_exponential(depth: int, power: float) -> None:
    """Where ‖δ_l‖² = l⁻ᵖ, block l gains p·ln((l + 1)/l); an exponential gains the same everywhere."""
    gains = [power * math.log((place + 1) / place) for place in range(1, depth)]
    assert exponent(gains) == pytest.approx(power)
    assert exponent([sum(gains) / len(gains)] * len(gains)) is None
    assert exponent(gains[:5]) is None


def test_the_farthest_point_of_a_gain_may_lie_in_the_middle() -> None:
    half, twice = dense(32, {"law": "orthogonal", "gain": 0.5}), dense(32, {"law": "orthogonal", "gain": 2})
    gain = measure_gain(sweep(described([*[half] * 5, *[twice] * 4, dense(4)], (32,))))
    assert gain is not None
    assert gain.total == pytest.approx(0, abs=1e-3)
    assert gain.dip == pytest.approx(8 * math.log(2), abs=1e-3)
    assert gain.forward_dip == pytest.approx(-8 * math.log(2), abs=1e-3)


@pytest.mark.parametrize(
    ("branch", "expected"),
    [([RELU, dense(256), RELU, dense(256)], 1.0), ([dense(256), RELU, dense(256)], 2.0), ([dense(256, "zeros")], 0.0)],
)
def test_a_branch_weighs_beside_its_skip_what_theory_says(branch: list[dict[str, Any]], expected: float) -> None:
    """He's initialization: E[branch²] is E[skip²] behind a rectifier, twice that without, 0 for a zero branch."""
    subject = described([dense(256, "orthogonal"), {"kind": "residual", "layers": branch}, dense(4)], (256,), size=64)
    (join,) = measure_joins(sweep(subject))
    assert join.ratio == pytest.approx(expected, rel=0.2)
    assert join.growth == pytest.approx(math.log(1 + expected), abs=0.15)
    assert not join.normalized


@pytest.mark.parametrize("norm", ["batch_norm", "layer_norm", "rms_norm"])
def test_a_norm_in_the_branch_is_seen(norm: str) -> None:
    block = {"kind": "residual", "layers": [{"kind": norm}, dense(16)]}
    (join,) = measure_joins(sweep(described([dense(16), block, dense(4)])))
    assert join.normalized


def test_a_norm_behind_the_sum_is_seen() -> None:
    block = {"kind": "residual", "layers": [dense(16)]}
    (join,) = measure_joins(sweep(described([dense(16), block, {"kind": "layer_norm"}, dense(4)])))
    assert join.normalized


def spelt_out() -> Subject:
    """A layer norm as older exporters write it, and a division by a constant, which is none."""
    nodes = [
        node("MatMul", "x w", "a"),
        node("Div", "a eight", "scaled"),
        node("ReduceMean", "scaled last", "mean"),
        node("Sub", "scaled mean", "centred"),
        node("Pow", "centred two", "squares"),
        node("ReduceMean", "squares last", "variance"),
        node("Add", "variance small", "more"),
        node("Sqrt", "more", "deviation"),
        node("Div", "centred deviation", "normed"),
        node("MatMul", "normed v", "y"),
    ]
    constants = {"eight": torch.tensor(8.0), "two": torch.tensor(2.0), "small": torch.tensor(1e-5)}
    constants["last"] = torch.tensor([-1])
    return by_hand(nodes, {"w": normal(8, 8), "v": normal(8, 3)}, {"x": normal(32, 8)}, constants=constants)


def test_a_norm_that_is_spelt_out_is_a_norm() -> None:
    assert normed(sweep(spelt_out()).path) == {"normed"}


@pytest.mark.parametrize(("depth", "expected"), [(1, 0.856), (2, 0.740), (5, 0.497), (10, 0.284)])
def test_the_gradients_of_rectifier_networks_shatter_as_balduzzi_found(depth: int, expected: float) -> None:
    """∏(1 − arccos(c_l)/π) for inputs of correlation 0.9."""
    found = [
        measure_shattering(sweep(described(chain(depth, dense(256), RELU), (256,), size=32, seed=seed)))
        for seed in range(3)
    ]
    assert mean(each.left for each in found if each) == pytest.approx(expected, abs=0.08)


def test_tokens_have_no_neighbours_to_shatter() -> None:
    nodes = [node("Gather", "table tokens", "e", axis=0), node("MatMul", "e w", "y")]
    parameters = {"table": normal(7, 8), "w": normal(8, 3)}
    assert measure_shattering(sweep(by_hand(nodes, parameters, {"tokens": torch.arange(6).reshape(3, 2)}))) is None
