"""What initializations do, against closed forms and against what networks compute before and after."""

import math

import pytest
import torch
from torch import Tensor

from service.contract.words import LossName
from tests.probe.subjects import by_hand, chain, dense, described, node, normal
from tests.treatments.applied import changed, output, refused, treated, weight
from tests.treatments.test_branches import residual
from worker.network.graph import Node, Parameter
from worker.probe.measure import probe
from worker.probe.sweep import sweep
from worker.subject import Subject
from worker.treatments import Change, Inapplicable, treatments

RELU = {"kind": "relu"}


def with_weights(subject: Subject, **values: Tensor) -> Subject:
    """Return the subject with these parameters (`layers_2_bias` for layers/2.bias) as a file would give them."""
    named = {"{}/{}.{}".format(*name.split("_")): value for name, value in values.items()}
    return subject.replace(graph=subject.graph.with_parameters(named))


LAWS = {"xavier-init": (2, 1, 1), "he-init": (2, 1, 0), "lecun-init": (1, 1, 0)}
"""What variances are: a number, by how often the fan-in and how often the fan-out, added up."""


@pytest.mark.parametrize("name", LAWS)
def test_each_operators_kernel_has_the_variance_of_its_fans(name: str) -> None:
    """As torch.nn.init counts them: (out, in, window…) for Conv, (in, out) for MatMul, (out, in) for Gemm with transB.

    The variance of n normal numbers scatters by √(2/n) of itself.
    """
    nodes = [
        node("Conv", "x c cb", "a", pads=(1, 1, 1, 1)),
        node("Relu", "a", "b"),
        node("ConvTranspose", "b t", "d"),
        node("Flatten", "d", "e"),
        node("Gemm", "e g", "f", transB=1),
        node("Relu", "f", "h"),
        node("MatMul", "h m", "y"),
    ]
    shapes = {"c": (48, 8, 3, 3), "cb": (48,), "t": (48, 20, 2, 2), "g": (60, 500), "m": (60, 70)}
    fans = {"c": (72, 432), "t": (192, 80), "g": (500, 60), "m": (60, 70)}
    before = by_hand(nodes, {key: normal(*shape) for key, shape in shapes.items()}, {"x": normal(4, 8, 4, 4)})
    after, (scale, by_in, by_out) = treated(name, before), LAWS[name]
    for key, (into, out) in fans.items():
        drawn = weight(after, key)
        assert float(drawn.var()) == pytest.approx(
            scale / (by_in * into + by_out * out), rel=5 * math.sqrt(2 / drawn.numel())
        )
    assert not weight(after, "cb").any()


def test_an_embedding_that_is_the_heads_kernel_too_is_not_drawn_again() -> None:
    nodes = [
        node("MatMul", "x w", "h"),
        node("MatMul", "h e", "a"),
        node("Gather", "e i", "g"),
        node("Add", "a g", "y"),
    ]
    subject = by_hand(
        nodes,
        {"w": normal(8, 6), "e": normal(6, 6)},
        {"x": normal(16, 8)},
        constants={"i": torch.tensor(0)},
    )
    after = treated("he-init", subject)
    assert torch.equal(weight(after, "e"), weight(subject, "e"))
    assert not torch.equal(weight(after, "w"), weight(subject, "w"))


def test_delta_orthogonal_convolutions_keep_every_positions_length() -> None:
    conv = {"kind": "conv2d", "filters": 16, "kernel": 3, "padding": "same"}
    given = described([conv, conv, conv, {"kind": "flatten"}, dense(2)], (16, 5, 5))
    change = changed("delta-orthogonal-init", given)
    after = change.subject
    found = sweep(after)
    ends = [each.outputs[0] for each in after.graph.nodes if each.op == "Conv"]
    lengths = [found.values[name].detach().norm(dim=1) for name in ("input", *ends)]
    for length in lengths[1:]:
        torch.testing.assert_close(length, lengths[0], rtol=1e-4, atol=1e-4)
    assert "3 convolutions" in change.changes[0]


def test_even_windows_and_narrowing_convolutions_are_not_delta_orthogonal() -> None:
    layers = [{"kind": "conv2d", "filters": 4, "kernel": 3}, {"kind": "conv2d", "filters": 8, "kernel": 2}]
    given = described([*layers, {"kind": "flatten"}, dense(2)], (6, 7, 7))
    assert "odd window" in refused("delta-orthogonal-init", given)


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "gelu"])
def test_after_lsuv_every_layer_gives_unit_variance_on_the_batch(activation: str) -> None:
    given = described(chain(6, dense(32, {"law": "normal", "std": 0.9}), {"kind": activation}))
    after = treated("lsuv-init", given)
    found = sweep(after)
    layers = [each.outputs[0] for each in after.graph.nodes if each.op in {"MatMul", "Gemm"}]
    assert len(layers) == 7
    for name in layers:
        assert float(found.values[name].detach().var(correction=0)) == pytest.approx(1, rel=1e-3)


def test_lsuv_goes_through_branches_and_convolutions() -> None:
    conv = {"kind": "conv2d", "filters": 6, "kernel": 3, "padding": "same"}
    block = {"kind": "residual", "layers": [conv, RELU, conv]}
    after = treated("lsuv-init", described([conv, block, block, {"kind": "flatten"}, dense(3)], (2, 6, 6)))
    found = sweep(after)
    for each in after.graph.nodes:
        if each.op in {"Conv", "Gemm"}:
            assert float(found.values[each.outputs[0]].detach().var(correction=0)) == pytest.approx(1, rel=1e-3)


def copies(value: float) -> Subject:
    same = {"law": "constant", "value": value}
    return described([dense(12), RELU, dense(12, same), RELU, dense(3)])


@pytest.mark.parametrize("value", [0.1, 0.0])
def test_units_that_are_copies_become_different_and_others_stay(value: float) -> None:
    before = copies(value)
    after = treated("break-symmetry", before)
    drawn = weight(after, "layers/2.kernel")
    assert len(torch.unique(drawn, dim=1).T) == 12
    assert float(drawn.var()) == pytest.approx(2 / 12, rel=5 * math.sqrt(2 / 144))
    for name in ("layers/0.kernel", "layers/4.kernel"):
        assert torch.equal(weight(after, name), weight(before, name))


def test_random_units_and_a_head_of_zeros_are_left_alone() -> None:
    assert "copies" in refused("break-symmetry", described([dense(12), RELU, dense(3, "zeros")]))


def test_biases_that_hold_rectifiers_off_become_zero_and_kernels_stay() -> None:
    plain = described([dense(64), RELU, dense(64), RELU, dense(3)], size=256)
    before = with_weights(plain, layers_2_bias=torch.full((64,), -30.0))
    after = treated("reset-biases", before)
    assert not weight(after, "layers/2.bias").any()
    assert torch.equal(weight(after, "layers/2.kernel"), weight(before, "layers/2.kernel"))
    rectifiers = [place for place in probe(after).places if place.op == "Relu"]
    assert all(place.units is not None and place.units.dead < 0.1 for place in rectifiers)


def test_biases_of_living_units_stay() -> None:
    plain = described([dense(64), RELU, dense(64), RELU, dense(3)], size=256)
    assert "stands before" in refused("reset-biases", with_weights(plain, layers_2_bias=normal(64) / 10))


def unbalanced() -> Subject:
    plain = described([dense(24, bias=True), RELU, dense(24), {"kind": "leaky_relu"}, dense(24), RELU, dense(3)])
    graph = plain.graph
    values = {name: each.value for name, each in graph.parameters.items()}
    values |= {f"layers/{each}.bias": normal(24, seed=each) for each in (0, 2, 4)}
    values["layers/2.kernel"] = values["layers/2.kernel"] * 1000
    values["layers/4.kernel"] = values["layers/4.kernel"] / 1000
    return plain.replace(graph=graph.with_parameters(values))


def test_rebalanced_layers_compute_the_same_and_have_one_scale() -> None:
    """√(mean square · fan-in / critical variance) is the same for all; the second activation's is 2 / 1.0001."""
    before = unbalanced()
    after = treated("rescale-weights", before)
    torch.testing.assert_close(output(after), output(before), rtol=1e-4, atol=1e-4 * float(output(before).abs().max()))
    sizes = [
        float(weight(after, f"layers/{place}.kernel").square().mean()) * fan / critical
        for place, fan, critical in ((0, 16, 2), (2, 24, 2), (4, 24, 2 / 1.0001), (6, 24, 1))
    ]
    assert max(sizes) / min(sizes) == pytest.approx(1, rel=1e-4)


def test_layers_with_tanh_between_them_are_not_rebalanced() -> None:
    plain = described(chain(2, dense(24), {"kind": "tanh"}))
    wild = with_weights(plain, layers_0_kernel=1000 * weight(plain, "layers/0.kernel"))
    assert "factor of 2" in refused("rescale-weights", wild)


def test_a_wild_head_starts_with_logits_of_unit_deviation() -> None:
    plain = described([dense(32), RELU, dense(6)], loss=LossName.CROSS_ENTROPY)
    before = with_weights(plain, layers_2_kernel=30 * weight(plain, "layers/2.kernel"))
    after = treated("scale-head", before)
    assert float(output(after).std(correction=0)) == pytest.approx(1, rel=1e-4)
    assert torch.equal(weight(after, "layers/0.kernel"), weight(before, "layers/0.kernel"))
    assert probe(after).loss.value < math.log(6) + 1
    assert "limit" in refused("scale-head", after)


def test_a_head_of_numbers_is_brought_to_the_targets_size() -> None:
    plain = described([dense(32), RELU, dense(6)])
    before = with_weights(plain, layers_2_kernel=300 * weight(plain, "layers/2.kernel"))
    after = treated("scale-head", before)
    assert float(output(after).square().mean()) == pytest.approx(float(plain.target.square().mean()), rel=1e-3)


def attending(factor: float) -> Subject:
    plain = described([{"kind": "self_attention", "heads": 2}, {"kind": "flatten"}, dense(3)], (9, 16))
    graph = plain.graph
    sharp = {
        name: factor * each.value
        for name, each in graph.parameters.items()
        if "query.kernel" in name or "key.kernel" in name
    }
    assert len(sharp) == 2
    return plain.replace(graph=graph.with_parameters(sharp))


def test_attention_scores_become_of_unit_deviation() -> None:
    after = treated("scale-queries", attending(12.0))
    (softmax,) = [each for each in after.graph.nodes if each.op == "Softmax"]
    scores = sweep(after).values[softmax.inputs[0]].detach()
    assert float(scores.var(-1, correction=0).mean().sqrt()) == pytest.approx(1, rel=1e-3)
    assert next(iter(probe(after).attention.values())).entropy > 0.5
    assert "at most" in refused("scale-queries", attending(0.5))


ALL = [
    *("xavier-init", "he-init", "lecun-init", "critical-init", "orthogonal-init", "lsuv-init", "rescale-weights"),
    *("zero-init-branch", "residual-scale", "scale-head"),
]


@pytest.mark.parametrize("name", ALL)
def test_frozen_weights_stay(name: str) -> None:
    plain, free = residual(3), "layers/3.kernel"
    still = {key: Parameter(100 * each.value, trainable=False) for key, each in plain.graph.parameters.items()}
    for held in (still, {**still, free: plain.graph.parameters[free]}):
        outcome = treatments[name].apply(plain.replace(graph=plain.graph.replace(parameters=held)), probe(plain))
        after = outcome.subject.graph.parameters if isinstance(outcome, Change) else held
        assert all(torch.equal(after[key].value, each.value) for key, each in still.items() if key != free)
        assert isinstance(outcome, Inapplicable) or held is not still


def test_a_fake_quantized_kernel_keeps_its_weights() -> None:
    nodes = [
        Node("QuantizeLinear", ("w", "s", "z"), ("q",), "q"),
        Node("DequantizeLinear", ("q", "s", "z"), ("d",), "d"),
        node("MatMul", "x d", "h"),
        node("Relu", "h", "r"),
        node("MatMul", "r v", "y"),
    ]
    constants = {"s": torch.tensor(0.05), "z": torch.tensor(0, dtype=torch.int8)}
    before = by_hand(nodes, {"w": normal(8, 8), "v": normal(8, 2)}, {"x": normal(16, 8)}, constants=constants)
    after = treated("he-init", before)
    assert torch.equal(weight(after, "w"), weight(before, "w"))
    assert not torch.equal(weight(after, "v"), weight(before, "v"))
