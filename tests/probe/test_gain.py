"""The end-to-end gain against closed forms and exact identities."""

import math
from dataclasses import replace
from statistics import mean

import numpy as np
import pytest
import torch

from service.contract.words import LossName
from tests.probe.subjects import by_hand, chain, dense, described, node, normal
from worker.loss import Loss
from worker.probe.along_time import measure_recurrent
from worker.probe.evidence import Gain
from worker.probe.gain import measure_gain
from worker.probe.sweep import sweep
from worker.subject import Subject

LINEAR = dense(32, "orthogonal")
RELU = {"kind": "relu"}


def gain(subject: Subject) -> Gain:
    found = measure_gain(sweep(subject))
    assert found is not None
    return found


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_an_orthogonal_linear_network_has_a_gain_of_zero_at_any_scale_of_the_loss(scale: float) -> None:
    subject = described(chain(30, LINEAR), (32,)).replace(loss=Loss(LossName.MSE, scale=scale))
    found = gain(subject)
    assert found.total == pytest.approx(0, abs=1e-4)
    assert found.standard_error == pytest.approx(0, abs=1e-4)
    assert found.forward == pytest.approx(0, abs=1e-4)


def test_a_scaled_orthogonal_network_has_the_gain_of_its_scale_in_every_layer() -> None:
    found = gain(described(chain(10, dense(32, {"law": "orthogonal", "gain": 0.5})), (32,)))
    assert [segment.gain for segment in found.segments] == pytest.approx([2 * math.log(0.5)] * 9, abs=1e-4)
    assert found.total == pytest.approx(9 * 2 * math.log(0.5), abs=1e-3)
    assert (found.typical, found.late) == pytest.approx((found.total, found.total), abs=1e-3)


@pytest.mark.parametrize("samples", [8, 16, 32])
def test_linear_batch_norm_gains_what_yang_computed(samples: int) -> None:
    """(B − 2) / (B − 3) per layer for a linear network with batch norm (Yang et al. 2019)."""
    layers = (dense(256, "lecun_normal"), {"kind": "batch_norm", "epsilon": 1e-9})
    gains = [
        segment.gain
        for seed in range(4)
        for segment in gain(described(chain(12, *layers), (256,), size=samples, seed=seed)).segments
    ]
    expected = math.log((samples - 2) / (samples - 3))
    assert mean(gains) == pytest.approx(expected, abs=5 * math.sqrt(2 / (256 * 11 * 4)))


@pytest.mark.parametrize(("side", "layers"), [(4, 8), (8, 6)])
def test_zero_padding_costs_a_convolution_what_its_border_misses(side: int, layers: int) -> None:
    """A 3 × 3 window's squared gain from position to position is the tridiagonal matrix of thirds, along each axis."""
    thirds = (np.eye(side) + np.eye(side, k=1) + np.eye(side, k=-1)) / 3
    ones = np.ones(side)
    border = 2 * math.log(ones @ np.linalg.matrix_power(thirds, layers - 1) @ ones / side)
    kernel = {"kind": "conv2d", "filters": 48, "kernel": 3, "padding": "same", "init": "he_normal"}
    network = [*[kernel, RELU] * layers, {"kind": "flatten"}, dense(4)]
    measured = mean(gain(described(network, (48, side, side), size=8, seed=seed)).total for seed in range(3))
    spread = 5 * math.sqrt(5 * (layers - 1) / (48 * 3))
    assert measured == pytest.approx(border - 5 * (layers - 1) / (2 * 48 * 9), abs=spread)
    assert border < -0.05 * (layers - 1)


def test_a_scaled_residual_network_gains_no_more_than_e_in_all() -> None:
    """Branches times 1/√L: (1 + 1/L)ᴸ → e (De and Smith 2020)."""
    branch = {"kind": "residual", "scale": 16**-0.5, "layers": [RELU, dense(128), RELU, dense(128)]}
    measured = mean(gain(described([dense(128), *[branch] * 16, dense(4)], (128,), seed=s)).total for s in range(4))
    assert measured == pytest.approx(16 * math.log(1 + 1 / 16), abs=0.3)


def test_a_pair_scaled_up_and_down_leaves_the_gain_as_it_was() -> None:
    subject = described(chain(8, dense(64), RELU))
    parameters = {name: each.value for name, each in subject.graph.parameters.items()}
    scaled = {
        "layers/4.kernel": 1000 * parameters["layers/4.kernel"],
        "layers/6.kernel": parameters["layers/6.kernel"] / 1000,
    }
    other = subject.replace(graph=subject.graph.with_parameters(scaled))
    assert gain(other).total == pytest.approx(gain(subject).total, abs=1e-4)


def test_the_order_of_samples_changes_the_gain_by_its_standard_error_only() -> None:
    subject = described(chain(8, dense(64), RELU), size=256)
    turned = {name: value.flip(0) for name, value in subject.batch.inputs.items()}
    other = subject.replace(batch=replace(subject.batch, inputs=turned, target=subject.target.flip(0)))
    found, again = gain(subject), gain(other)
    assert again.total == pytest.approx(found.total, abs=6 * max(found.standard_error, again.standard_error))
    assert (again.forward, again.collapse) == pytest.approx((found.forward, found.collapse), abs=1e-4)


def test_new_names_change_the_gain_by_its_standard_error_only() -> None:
    subject = described(chain(8, dense(64), RELU))
    found, again = gain(subject), gain(renamed(subject))
    assert again.total == pytest.approx(found.total, abs=6 * max(found.standard_error, again.standard_error))
    assert again.forward == pytest.approx(found.forward, abs=1e-6)


def renamed(subject: Subject) -> Subject:
    """Return the subject with new names for its nodes and for the values between them."""
    graph = subject.graph
    written = {value for each in graph.nodes for value in each.outputs} - set(graph.outputs)

    def told(values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"v {value}" if value in written else value for value in values)

    nodes = tuple(replace(n, name=f"n {n.name}", inputs=told(n.inputs), outputs=told(n.outputs)) for n in graph.nodes)
    return subject.replace(graph=graph.replace(nodes=nodes))


def test_a_hundred_layers_vanish_beyond_float32_and_are_still_measured() -> None:
    """PyTorch's default makes 6 of 100 rectified layers: e⁻¹⁷⁷ squared, far below float32's smallest number."""
    found = gain(described(chain(100, {"kind": "dense", "units": 48}, RELU), (48,)))
    assert found.total == pytest.approx(99 * math.log(1 / 6), rel=0.1)


def test_the_gain_of_what_never_comes_back_is_minus_infinity() -> None:
    shut = dense(16, {"kernel": "he_normal", "bias": {"law": "constant", "value": -1000}})
    assert gain(described([dense(16), RELU, shut, RELU, dense(16), RELU, dense(4)])).total == -math.inf


def test_fewer_than_two_hidden_layers_have_no_gain() -> None:
    assert measure_gain(sweep(described([dense(16), RELU, dense(4)]))) is None


@pytest.mark.parametrize(("scale", "steps"), [(1.0, 12), (0.5, 12), (1.5, 5)])
def test_an_orthogonal_recurrence_gains_its_scale_at_every_step(scale: float, steps: int) -> None:
    """Near zero tanh is linear, and h ↦ g·Qh multiplies a squared norm by g² per step."""
    init = {"kernel": "lecun_normal", "recurrent": {"law": "orthogonal", "gain": scale}, "bias": "zeros"}
    subject = described([{"kind": "rnn", "units": 24, "init": init}, dense(4)], (steps, 8))
    quiet = {"input": 1e-4 * subject.batch.inputs["input"]}
    (found,) = measure_recurrent(sweep(subject.replace(batch=replace(subject.batch, inputs=quiet))))
    assert found.steps == steps
    assert found.total == pytest.approx(2 * (steps - 1) * math.log(scale), abs=1e-4)


def test_collapse_is_the_change_of_the_variance_between_samples() -> None:
    """Behind x + 10 the share of variance between samples is 1/101, for x of unit variance."""
    kernels = {f"w{index}": torch.linalg.qr(normal(32, 32, seed=index))[0] for index in range(3)}
    nodes = [node("MatMul", "x w0", "a"), node("Gemm", "a w1 b1", "b"), node("MatMul", "b w2", "y")]
    found = gain(by_hand(nodes, {**kernels, "b1": torch.full((32,), 10.0)}, {"x": normal(4096, 32)}))
    assert found.total == pytest.approx(0, abs=1e-4)
    assert found.collapse == pytest.approx(-math.log(101), abs=0.02)
    assert found.forward == pytest.approx(math.log(101), abs=0.02)


def test_samples_are_told_apart_on_whatever_axis_a_recurrent_operator_has_them() -> None:
    """A healthy stack keeps its samples apart, though its last state has them on the second axis."""
    layers = [{"kind": "lstm", "units": 32, "return_sequences": True}, {"kind": "rnn", "units": 32}, dense(10)]
    assert abs(gain(described(layers, (20, 8))).collapse) < 4


def test_a_collapse_to_nothing_is_told_as_float32s_rounding_and_no_further() -> None:
    """Behind x + 10⁹ the samples are the same number in float32."""
    kernels = {f"w{index}": torch.eye(32) for index in range(3)}
    nodes = [node("MatMul", "x w0", "a"), node("Gemm", "a w1 b1", "b"), node("MatMul", "b w2", "y")]
    found = gain(by_hand(nodes, {**kernels, "b1": torch.full((32,), 1e9)}, {"x": normal(64, 32)}))
    assert found.collapse == pytest.approx(2 * math.log(torch.finfo(torch.float32).eps), abs=0.1)


def test_there_is_no_gain_where_rounding_cuts_the_gradient_off() -> None:
    nodes = [node("Round", "x", "r"), node("MatMul", "r w", "y")]
    subject = by_hand(nodes, {"w": normal(8, 4)}, {"x": normal(16, 8)})
    assert measure_gain(sweep(subject)) is None


def test_a_mask_of_minus_infinity_within_a_layer_leaves_every_measure_a_number() -> None:
    mask = {"mask": torch.tensor([-math.inf, 0, 0, 0, 0, 0])}
    nodes = [node("MatMul", "x w0", "a"), node("Gemm", "a w1 mask", "b"), node("Softmax", "b", "s", axis=-1)]
    kernels = {f"w{index}": normal(6, 6, seed=index) for index in range(3)}
    inputs = {"x": normal(32, 6)}
    found = gain(by_hand([*nodes, node("MatMul", "s w2", "y")], kernels, inputs, constants=mask))
    assert all(map(math.isfinite, (found.total, found.forward, found.collapse, found.token_collapse)))


def test_attention_without_ways_past_makes_positions_alike_though_its_heads_are_cut_first() -> None:
    """Noci et al. 2022: each layer of attention alone brings the positions of a sequence closer to one another."""
    attention = {"kind": "self_attention", "heads": 2, "init": "xavier_normal"}
    alone, past = [attention] * 6, [{"kind": "residual", "layers": [attention]}] * 6
    collapses = [gain(described([*layers, dense(4)], (8, 16), size=8)).token_collapse for layers in (alone, past)]
    assert collapses[0] < -6 < collapses[1] < 0.5
