"""The graph by itself: what is affine, which layers say nothing, windows that do not fit, and what is frozen."""

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from service.contract.architecture import parse
from tests.probe.subjects import Layers, by_hand, dense, described, node, normal, with_target
from worker.load.architecture import lower
from worker.network.graph import Parameter
from worker.network.run import Program
from worker.probe.evidence import Structure
from worker.probe.structure import measure_structure
from worker.probe.sweep import sweep
from worker.subject import Subject

RELU, TANH, NORM = {"kind": "relu"}, {"kind": "tanh"}, {"kind": "batch_norm"}
FLAT, HEAD = {"kind": "flatten"}, {"kind": "dense", "units": 4}


def conv(filters: int, kernel: int = 3, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"kind": "conv2d", "filters": filters, "kernel": kernel, "padding": "same", **more}


def structure(subject: Subject) -> Structure:
    return measure_structure(sweep(subject))


def of(layers: Layers, shape: tuple[int, ...] = (16,), size: int = 16) -> Structure:
    return structure(described(layers, shape, size=size))


def outputs(subject: Subject, given: Tensor) -> Tensor:
    """Return what the network gives in evaluation, in float64's place as near as float32 is."""
    (name,) = subject.batch.inputs
    with torch.no_grad():
        return Program(subject.graph).run({name: given})[subject.output].double()


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ([dense(8), dense(8), HEAD], (16,)),
        ([dense(8), NORM, {"kind": "dropout", "rate": 0.5}, dense(8), HEAD], (16,)),
        ([conv(3), {"kind": "avg_pool2d", "kernel": 2}, conv(3), FLAT, HEAD], (2, 8, 8)),
        ([{"kind": "residual", "layers": [dense(16)]}, HEAD], (16,)),
        ([dense(8), {"kind": "rescale", "scale": 3.0}, HEAD], (16,)),
        ([dense(8), RELU, HEAD], (16,)),
        ([dense(8), {"kind": "layer_norm"}, HEAD], (16,)),
        ([conv(3), {"kind": "max_pool2d", "kernel": 2}, FLAT, HEAD], (2, 8, 8)),
        ([{"kind": "gated", "layers": [dense(16)], "gate": [dense(16)]}, HEAD], (16,)),
        ([{"kind": "lstm", "units": 8}, HEAD], (6, 4)),
        ([{"kind": "self_attention", "heads": 2}, {"kind": "global_avg_pool"}, HEAD], (6, 8)),
    ],
)
def test_a_network_is_said_to_be_linear_exactly_where_its_outputs_add_up(
    layers: Layers, shape: tuple[int, ...]
) -> None:
    """f(a + b) − f(a) − f(b) + f(0) is zero for all a and b if, and only if, f is affine."""
    subject = described(layers, shape, size=8)
    a, b = normal(8, *shape, seed=5), normal(8, *shape, seed=6)
    rest = outputs(subject, a + b) - outputs(subject, a) - outputs(subject, b) + outputs(subject, 0 * a)
    adds_up = float(rest.abs().max()) < 1e-4 * float(outputs(subject, a).abs().max())
    assert structure(subject).linear is adds_up


def test_a_quantization_may_stand_for_a_relu_and_bends() -> None:
    """Its lowest number is 0 where the zero point is: exporters leave the ReLU before it out."""
    nodes = [
        node("MatMul", "x a", "h"),
        node("QuantizeLinear", "h scale zero", "q"),
        node("DequantizeLinear", "q scale zero", "r"),
        node("MatMul", "r b", "s"),
        node("MatMul", "s c", "y"),
    ]
    held = {"scale": torch.tensor(0.05), "zero": torch.tensor(0, dtype=torch.uint8)}
    weights = {"a": normal(6, 6), "b": normal(6, 6, seed=1), "c": normal(6, 6, seed=2)}
    found = structure(by_hand(nodes, weights, {"x": normal(8, 6)}, constants=held))
    assert not found.linear
    assert [(spot.also, spot.node) for spot in found.unbent] == [("s", "y")]


def test_a_rounding_that_passes_its_gradient_around_itself_bends() -> None:
    """x + (round(x) − x), as files hold a straight-through estimator: no gradient shows the rounding."""
    nodes = [
        node("MatMul", "x a", "h"),
        node("Round", "h", "r"),
        node("Sub", "r h", "d"),
        node("Add", "h d", "s"),
        node("MatMul", "s b", "t"),
        node("MatMul", "t c", "y"),
    ]
    weights = {"a": normal(6, 6), "b": normal(6, 6, seed=1), "c": normal(6, 6, seed=2)}
    assert not structure(by_hand(nodes, weights, {"x": normal(8, 6)})).linear


def test_a_table_of_tokens_with_nothing_but_matrices_behind_it_is_linear() -> None:
    layers = [{"kind": "embedding", "classes": 9, "dim": 8}, {"kind": "global_avg_pool"}, dense(8), dense(8), HEAD]
    document = {"gradgate": "1", "input": {"shape": [5], "dtype": "int64"}, "layers": layers}
    graph = lower(parse(json.dumps(document).encode()), seed=0)
    tokens = torch.randint(9, (12, 5), generator=torch.Generator().manual_seed(0))
    assert structure(with_target(graph, {"input": tokens})).linear


def test_an_activation_at_the_end_bends_nothing_before_it() -> None:
    assert of([dense(8), dense(8), HEAD, {"kind": "sigmoid"}]).linear
    assert of([dense(8), dense(8), HEAD, {"kind": "softmax"}]).linear


def test_layers_that_one_could_replace_are_found_past_norms_and_pools() -> None:
    found = of([conv(4), NORM, conv(8), {"kind": "avg_pool2d", "kernel": 2}, FLAT, RELU, HEAD], (3, 8, 8)).unbent
    assert [(spot.also, spot.node) for spot in found] == [("layers/0", "layers/2")]


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ([dense(4), dense(16), RELU, HEAD], (16,)),  # a low rank
        ([{"kind": "separable_conv2d", "filters": 8, "kernel": 3}, RELU, FLAT, HEAD], (3, 8, 8)),
        ([conv(8, 1), {"kind": "depthwise_conv2d", "kernel": 3, "padding": "same"}, RELU, FLAT, HEAD], (3, 8, 8)),
        ([conv(8, [1, 3]), conv(8, [3, 1]), RELU, FLAT, HEAD], (3, 8, 8)),
        ([{"kind": "conv2d_transpose", "filters": 4, "kernel": 2}, conv(4), RELU, FLAT, HEAD], (3, 4, 4)),
        ([{"kind": "transformer_block", "heads": 2}, {"kind": "global_avg_pool"}, HEAD], (6, 8)),
        ([{"kind": "residual", "layers": [dense(16), RELU, dense(16)]}] * 3 + [HEAD], (16,)),
    ],
)
def test_factorizations_and_sums_of_branches_are_left_alone(layers: Layers, shape: tuple[int, ...]) -> None:
    found = of(layers, shape)
    assert found.unbent == ()
    assert not found.linear


def test_a_linear_autoencoder_is_a_factorization_and_a_wide_chain_is_not() -> None:
    assert of([dense(4), dense(16)]).factored
    assert not of([dense(16), dense(16), HEAD]).factored


def test_activations_in_a_row_are_found_and_those_with_a_layer_between_are_not() -> None:
    first, second = of([dense(8), TANH, {"kind": "sigmoid"}, dense(8), RELU, {"kind": "flatten"}, RELU, HEAD]).repeated
    assert (first.also, first.node) == ("layers/1", "layers/2")
    assert second.also == "layers/4"
    assert of([dense(8), RELU, dense(8), RELU, HEAD]).repeated == ()
    assert of([dense(8), {"kind": "silu"}, dense(8), {"kind": "mish"}, HEAD, {"kind": "log_softmax"}]).repeated == ()


@pytest.mark.parametrize(("side", "expected"), [(4, None), (1, 1 / 9)])
def test_the_share_of_weights_that_see_data_is_the_share_with_a_gradient(side: int, expected: float | None) -> None:
    subject = described([conv(8), TANH, FLAT, HEAD], (3, side, side))
    run = sweep(subject)
    (kernel,) = run.gradients(["layers/0.kernel"]).values()
    assert float((kernel != 0).double().mean()) == pytest.approx(expected or 1.0)
    found = measure_structure(run).pointlike
    assert [spot.measured for spot in found] == ([pytest.approx(expected)] if expected else [])


@pytest.mark.parametrize(
    ("attributes", "shift"),
    [
        ({"kernel_shape": (2, 2), "pads": (0, 0, 1, 1)}, 0.5),
        ({"kernel_shape": (4, 4), "pads": (1, 1, 2, 2)}, 0.5),
        ({"kernel_shape": (2, 2), "auto_pad": "SAME_UPPER"}, 0.5),
        ({"kernel_shape": (2, 2), "auto_pad": "SAME_LOWER"}, 0.5),
        ({"kernel_shape": (3, 3), "pads": (1, 1, 1, 1)}, None),
        ({"kernel_shape": (2, 2), "pads": (0, 0, 0, 0)}, None),
        ({"kernel_shape": (2, 2), "pads": (0, 0, 1, 1), "strides": (2, 2)}, None),
    ],
)
def test_even_windows_that_pad_one_side_more_shift_by_half(attributes: dict[str, Any], shift: float | None) -> None:
    """The centre of what an output sees lies half the difference of both paddings away from it."""
    weight = normal(3, 2, *attributes["kernel_shape"])
    subject = by_hand([node("Conv", "x w", "y", **attributes)], {"w": weight}, {"x": normal(4, 2, 8, 8)})
    assert [spot.measured for spot in structure(subject).lopsided] == ([shift] if shift else [])


def test_padding_before_the_start_alone_is_causal_and_a_pad_of_its_own_counts() -> None:
    weight, x = normal(3, 2, 2), normal(4, 2, 8)
    causal = node("Conv", "x w", "y", kernel_shape=(2,), pads=(1, 0))
    assert structure(by_hand([causal], {"w": weight}, {"x": x})).lopsided == ()
    nodes = [node("Pad", "x p", "padded"), node("Conv", "padded w", "y", kernel_shape=(2,), pads=(0, 0))]
    late = by_hand(nodes, {"w": weight}, {"x": x}, constants={"p": torch.tensor([0, 0, 0, 0, 0, 1])})
    assert [spot.measured for spot in structure(late).lopsided] == [0.5]


def test_frozen_numbers_are_counted() -> None:
    subject = described([dense(8), RELU, HEAD])
    held = {**subject.graph.parameters}
    held["layers/0.kernel"] = Parameter(held["layers/0.kernel"].value, trainable=False)
    assert structure(subject).frozen == 0
    assert structure(subject.replace(graph=subject.graph.replace(parameters=held))).frozen == 128
