"""What is said of inputs, against batches and graphs whose answer is known."""

import pytest
import torch
from torch import Tensor

from tests.probe.subjects import by_hand, dense, described, node, normal
from worker.network.graph import Node
from worker.probe.evidence import InputEvidence
from worker.probe.inputs import measure_inputs
from worker.probe.sweep import sweep
from worker.subject import Batch

RELU = {"kind": "relu"}
WEIGHTS = {"w": normal(6, 8), "v": normal(8, 3), "g": torch.ones(6), "b": torch.zeros(6), "k": torch.ones(8)}


def measured(front: list[Node], given: Tensor, **constants: Tensor) -> InputEvidence:
    """Return what is said of x, which `front` makes z of, and a network of one hidden layer y."""
    nodes = [*front, node("MatMul", "z w", "h"), node("Relu", "h", "a"), node("MatMul", "a v", "y")]
    used = {name for each in nodes for name in each.inputs}
    subject = by_hand(nodes, {n: w for n, w in WEIGHTS.items() if n in used}, {"x": given}, constants=constants)
    (found,) = measure_inputs(sweep(subject))
    return found


SAME = node("Identity", "x", "z")


def test_the_contrast_of_columns_is_the_widest_by_the_median() -> None:
    columns = normal(4096, 6) * torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 1000.0])
    columns[:, 0] = 7.0
    found = measured([SAME], columns)
    assert found.contrast == pytest.approx(1000 / 4, rel=0.05), "the constant column is no part of the median"
    assert found.constant == pytest.approx(1 / 6)
    assert found.columns == 6


def test_zeros_are_counted_and_left_out_of_what_is_active() -> None:
    given = torch.zeros(4, 6)
    given[:, 0] = 3.0
    found = measured([SAME], given)
    assert (found.zero, found.active) == (pytest.approx(5 / 6), pytest.approx(3.0))
    assert found.rms == pytest.approx(3 / 6**0.5)


def test_what_rescales_or_takes_logarithms_in_front_is_part_of_the_input() -> None:
    front = [node("Cast", "x", "f", to=1), node("Log", "f", "l"), node("Div", "l s", "d"), node("Abs", "d", "z")]
    found = measured(front, torch.full((8, 6), 2.718281828), s=torch.tensor(4.0))
    assert found.rms == pytest.approx(0.25)
    assert found.rescaled
    assert not measured([node("Mul", "x g", "z")], normal(8, 6)).rescaled, "a weight is no constant"


@pytest.mark.parametrize(
    ("front", "norm", "by_column"),
    [
        ([SAME], "", False),
        ([node("LayerNormalization", "x g b", "z")], "z", False),
        ([node("BatchNormalization", "x g b m s", "z")], "z", True),
        ([node("Mul", "x g", "p"), node("LayerNormalization", "p g b", "z")], "z", False),
        ([node("LayerNormalization", "x g b", "p"), node("Add", "p x", "z")], "", False),
        ([node("Relu", "x", "p"), node("LayerNormalization", "p g b", "z")], "", False),
    ],
)
def test_a_norm_in_front_of_everything_takes_the_scale_away(front: list[Node], norm: str, by_column: bool) -> None:  # noqa: FBT001
    found = measured(front, normal(8, 6), m=torch.zeros(6), s=torch.ones(6))
    assert (found.normalized, found.by_column) == (norm, by_column)


def test_a_norm_behind_the_first_weights_takes_the_scale_away_too() -> None:
    layers = [dense(8), {"kind": "batch_norm"}, RELU, dense(4)]
    (normed,) = measure_inputs(sweep(described(layers)))
    (plain,) = measure_inputs(sweep(described([dense(8), RELU, {"kind": "batch_norm"}, dense(4)])))
    assert normed.normalized
    assert not plain.normalized


def test_a_scale_that_a_norm_takes_away_changes_no_gradient() -> None:
    subject = described([dense(8, bias=False), {"kind": "layer_norm", "epsilon": 1e-12}, RELU, dense(4)])
    far = subject.replace(batch=Batch({"input": 1000 * subject.batch.inputs["input"]}, subject.target))
    for name in subject.graph.parameters:
        near, away = (sweep(each).gradients([name])[name] for each in (subject, far))
        assert torch.allclose(near, away, rtol=1e-3, atol=1e-6), name


def test_times_that_only_waves_read_are_positions() -> None:
    front = [node("Sin", "x", "p"), node("Cos", "x", "q"), node("Add", "p q", "z")]
    assert measured(front, normal(8, 6)).positions
    assert not measured([SAME], normal(8, 6)).positions


def test_an_image_that_a_convolution_reads_as_it_stands_is_taken_with_its_channels_first() -> None:
    convolution = {"kind": "conv2d", "filters": 4, "kernel": 3}
    flat = [{"kind": "flatten"}, dense(4)]
    (plain,) = measure_inputs(sweep(described([convolution, *flat], (12, 12, 3), size=4)))
    turned = [{"kind": "permute", "axes": [2, 0, 1]}, convolution, *flat]
    (permuted,) = measure_inputs(sweep(described(turned, (12, 12, 3), size=4)))
    assert plain.channels_first
    assert plain.shape == (4, 12, 12, 3)
    assert not permuted.channels_first


def test_whole_numbers_have_no_scale() -> None:
    nodes = [node("Gather", "t x", "e"), node("MatMul", "e v", "y")]
    subject = by_hand(nodes, {"t": normal(5, 8), "v": normal(8, 3)}, {"x": torch.tensor([0, 4, 2])})
    assert measure_inputs(sweep(subject)) == ()


def test_a_standardization_that_is_written_out_takes_the_scale_away() -> None:
    images = 100 + 50 * normal(8, 3, 6, 6)
    front = [
        node("ReduceMean", "x axes", "mean"),
        node("Sub", "x mean", "centred"),
        node("Mul", "centred centred", "square"),
        node("ReduceMean", "square axes", "variance"),
        node("Sqrt", "variance", "deviation"),
        node("Div", "centred deviation", "z"),
    ]
    axes = {"axes": torch.tensor([1, 2, 3])}
    assert measured(front, images, **axes).scaleless
    assert not measured([node("Abs", "x", "z")], images).scaleless
    assert not measured([node("Sigmoid", "x", "z")], 100 * normal(8, 6)).scaleless, "saturated is not standardized"


def test_a_scale_made_of_constants_in_many_ways_is_found_at_once() -> None:
    doubled = [node("Add", " ".join(["one" if not i else f"k{i - 1}"] * 2), f"k{i}") for i in range(60)]
    front = [*doubled, node("Mul", "x k59", "z")]
    assert measured(front, normal(8, 6), one=torch.full((1,), 2.0**-60)).rescaled
