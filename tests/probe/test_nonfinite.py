"""The origin of NaN and infinities: the operator, the direction and the samples, in graphs made by hand."""

import math

import pytest
import torch

from tests.probe.subjects import by_hand, chain, dense, described, node, normal
from worker.probe.evidence import NonFinite
from worker.probe.measure import probe
from worker.subject import Batch, Subject

EYE = torch.eye(4)


def found(subject: Subject) -> NonFinite:
    origin = probe(subject).nonfinite
    assert origin is not None
    return origin


def positive(**rows: float) -> torch.Tensor:
    """Return positive samples but for the first feature of the rows named, such as r2=-1."""
    x = normal(8, 4).abs() + 0.5
    for name, value in rows.items():
        x[int(name[1:]), 0] = value
    return x


def test_a_logarithm_of_a_negative_number_is_named_with_its_samples() -> None:
    nodes = [node("MatMul", "x w", "a"), node("Log", "a", "l"), node("Relu", "l", "r"), node("MatMul", "r v", "y")]
    origin = found(by_hand(nodes, {"w": EYE, "v": normal(4, 2)}, {"x": positive(r2=-1.5, r5=-0.25)}))
    assert (origin.node, origin.op, origin.stage) == ("l", "Log", "forward")
    assert origin.samples == (2, 5)
    assert origin.share == pytest.approx(2 / 32)
    assert "logarithm of -1.5" in origin.cause


@pytest.mark.parametrize(
    ("op", "other", "row", "words"),
    [
        ("Div", "x d", 0.0, "divides zero by zero"),
        ("Reciprocal", "x", 0.0, "divides by zero"),
        ("Log", "x", 0.0, "logarithm of 0"),
        ("Exp", "x", 1000.0, "exponential of 1e+03"),
        ("Sqrt", "x", -4.0, "root of -4"),
    ],
)
def test_the_operator_that_broke_and_what_it_was_fed_are_named(op: str, other: str, row: float, words: str) -> None:
    x = positive(r3=row)
    nodes = [node("Mul", "x w", "scaled"), node("Relu" if op == "Div" else "Identity", "scaled", "d")]
    fed = "scaled d" if op == "Div" else "d"
    nodes += [node(op, fed, "broken"), node("MatMul", "broken v", "y")]
    origin = found(by_hand(nodes, {"w": torch.ones(4), "v": normal(4, 2)}, {"x": x}))
    assert (origin.node, origin.op, origin.stage, origin.samples) == ("broken", op, "forward", (3,))
    assert words in origin.cause


def test_the_slope_of_the_root_at_zero_is_found_on_the_way_back() -> None:
    nodes = [node("Mul", "x w", "a"), node("Sqrt", "a", "root"), node("MatMul", "root v", "y")]
    origin = found(by_hand(nodes, {"w": torch.ones(4), "v": normal(4, 2)}, {"x": positive(r6=0.0)}))
    assert (origin.node, origin.op, origin.stage, origin.samples) == ("root", "Sqrt", "backward", (6,))
    assert "slope is infinite" in origin.cause


def test_a_mask_of_minus_infinity_before_a_softmax_is_no_fault() -> None:
    mask = torch.triu(torch.full((4, 4), -math.inf), 1)
    nodes = [
        node("MatMul", "x w", "scores"),
        node("Add", "scores mask", "masked"),
        node("Softmax", "masked", "weights", axis=-1),
        node("MatMul", "weights v", "y"),
    ]
    subject = by_hand(nodes, {"w": normal(4, 4), "v": normal(4, 2)}, {"x": normal(4, 4)}, constants={"mask": mask})
    evidence = probe(subject)
    assert evidence.nonfinite is None
    assert all(math.isfinite(parameter.gradient_rms) for parameter in evidence.parameters)


def test_of_a_row_that_a_mask_shuts_altogether_the_softmax_is_named_and_not_the_mask() -> None:
    mask = torch.zeros(4, 4)
    mask[2] = -math.inf
    nodes = [
        node("MatMul", "x w", "scores"),
        node("Add", "scores mask", "masked"),
        node("Softmax", "masked", "y", axis=-1),
    ]
    origin = found(by_hand(nodes, {"w": normal(4, 4)}, {"x": normal(4, 4)}, constants={"mask": mask}))
    assert (origin.node, origin.stage, origin.samples) == ("y", "forward", (2,))
    assert "every score of a row is -inf" in origin.cause


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_batch_that_is_not_finite_is_named_with_its_samples(value: float) -> None:
    subject = described(chain(1, dense(8), {"kind": "relu"}))
    inputs = subject.batch.inputs["input"].clone()
    inputs[[3, 7], 0] = value
    origin = found(subject.replace(batch=Batch({"input": inputs}, subject.target)))
    assert (origin.node, origin.stage, origin.samples) == ("input", "batch", (3, 7))


def test_a_target_that_is_not_finite_is_named_with_its_samples() -> None:
    subject = described(chain(1, dense(8), {"kind": "relu"}))
    target = subject.target.clone()
    target[[2, 5], 1] = math.nan
    origin = found(subject.replace(batch=Batch(subject.batch.inputs, target)))
    assert (origin.node, origin.stage, origin.samples) == ("target", "batch", (2, 5))
    assert origin.share == pytest.approx(2 / target.numel())


def test_a_weight_that_is_not_finite_is_named() -> None:
    subject = described([dense(8, name="fc"), {"kind": "relu"}, dense(4)])
    kernel = subject.graph.parameters["fc.kernel"].value.clone()
    kernel[0, 0] = math.nan
    origin = found(subject.replace(graph=subject.graph.with_parameters({"fc.kernel": kernel})))
    assert (origin.node, origin.stage) == ("fc.kernel", "weights")
    assert origin.share == pytest.approx(1 / kernel.numel())


def test_an_overflow_along_the_depth_is_traced_to_the_first_layer_that_overflows() -> None:
    """Each layer multiplies by 10⁹: float32 ends at 3.4e38, in the fifth."""
    layer = dense(4, {"law": "identity", "gain": 1e6})
    subject = described([*[layer] * 8, dense(2)], (4,), size=8)
    huge = Batch({"input": torch.full((8, 4), 1e10)}, subject.target)
    assert found(subject.replace(batch=huge)).node == "layers/4"


def test_finite_networks_have_no_origin() -> None:
    assert probe(described(chain(5, dense(16), {"kind": "tanh"}))).nonfinite is None


def test_the_logarithm_is_named_though_the_nan_shows_up_five_layers_later() -> None:
    """ln 0 = −∞ passes four operators before 0 · ∞, at last, is no number."""
    nodes = [
        node("Log", "x", "l"),
        node("Neg", "l", "n"),
        node("Relu", "n", "r"),
        node("Identity", "r", "i"),
        node("Mul", "i zeros", "m"),
        node("MatMul", "m w", "y"),
    ]
    subject = by_hand(nodes, {"w": normal(4, 2)}, {"x": positive(r5=0.0)}, constants={"zeros": torch.zeros(4)})
    origin = found(subject)
    assert (origin.node, origin.samples) == ("l", (5,))
    assert "logarithm of 0" in origin.cause


def test_a_mask_of_infinities_that_meets_a_zero_is_told_at_the_product() -> None:
    mask = torch.tensor([1.0, math.inf, 1.0, 1.0])
    nodes = [node("Relu", "x", "r"), node("Mul", "r mask", "m"), node("MatMul", "m w", "y")]
    x = normal(8, 4).abs()
    x[4, 1] = -1.0
    origin = found(by_hand(nodes, {"w": normal(4, 2)}, {"x": x}, constants={"mask": mask}))
    assert origin.node == "m"
    assert "zero by infinity" in origin.cause


def test_a_harmless_mask_is_not_blamed_for_a_nan_from_elsewhere() -> None:
    mask = torch.triu(torch.full((4, 4), -math.inf), 1)
    nodes = [
        node("Add", "x mask", "masked"),
        node("Softmax", "masked", "weights", axis=-1),
        node("MatMul", "weights w", "h"),
        node("Log", "h", "broken"),
        node("MatMul", "broken v", "y"),
    ]
    weights = {"w": -normal(4, 4).abs(), "v": normal(4, 2)}
    assert found(by_hand(nodes, weights, {"x": normal(4, 4)}, constants={"mask": mask})).node == "broken"


def test_a_choice_that_hides_a_logarithm_forward_does_not_hide_it_on_the_way_back() -> None:
    """Where x > 0 takes ln x, else 0: the slope of the branch not taken is 0 · ∞."""
    nodes = [
        node("Mul", "x w", "a"),
        node("Log", "a", "l"),
        node("Greater", "a zero", "c"),
        node("Where", "c l zero", "s"),
        node("MatMul", "s v", "y"),
    ]
    weights, constants = {"w": torch.ones(4), "v": normal(4, 2)}, {"zero": torch.zeros(())}
    origin = found(by_hand(nodes, weights, {"x": positive(r3=0.0)}, constants=constants))
    assert (origin.node, origin.stage, origin.samples) == ("l", "backward", (3,))
    assert "slope is infinite" in origin.cause


def test_the_sample_is_found_by_halving_where_no_axis_counts_samples() -> None:
    """The operator that breaks reads what all samples were summed to."""
    nodes = [
        node("Mul", "x w", "a"),
        node("Exp", "a", "e"),
        node("ReduceSum", "e axis", "s", keepdims=0),
        node("Mul", "s huge", "broken"),
        node("Mul", "x broken", "y"),
    ]
    x = torch.zeros(16, 3)
    x[11] = 80.0
    constants = {"axis": torch.tensor([0]), "huge": torch.tensor(1e5)}
    origin = found(by_hand(nodes, {"w": torch.ones(3)}, {"x": x}, constants=constants))
    assert (origin.node, origin.samples) == ("broken", (11,))


def test_where_every_sample_overflows_none_is_blamed() -> None:
    nodes = [
        node("Mul", "x w", "a"),
        node("ReduceSum", "a axis", "s", keepdims=0),
        node("Exp", "s", "broken"),
        node("Mul", "x broken", "y"),
    ]
    subject = by_hand(
        nodes, {"w": torch.full((3,), 100.0)}, {"x": torch.ones(16, 3)}, constants={"axis": torch.tensor([0])}
    )
    origin = found(subject)
    assert (origin.node, origin.samples) == ("broken", ())
    assert "exponential of" in origin.cause


def test_an_input_whose_nan_the_network_masks_is_no_fault() -> None:
    x = normal(8, 4)
    x[2, 1] = torch.nan
    masked = [node("IsNaN", "x", "gone"), node("Where", "gone zero x", "kept"), node("MatMul", "kept w", "y")]
    subject = by_hand(masked, {"w": normal(4, 3)}, {"x": x}, constants={"zero": torch.zeros(1)})
    assert probe(subject).nonfinite is None
    bare = by_hand([node("MatMul", "x w", "y")], {"w": normal(4, 3)}, {"x": normal(8, 4)})
    assert found(bare.replace(batch=Batch({"x": x}, bare.target))).stage == "batch"
