"""Facts of the batch, the head and attention, against numbers worked out by hand."""

import math

import pytest
import torch

from service.contract.words import LossName
from tests.probe.subjects import by_hand, chain, dense, described, node, normal
from worker.network.graph import Graph
from worker.probe.evidence import LossEvidence
from worker.probe.measure import probe
from worker.subject import Batch

RELU = {"kind": "relu"}


def test_inputs_are_told_by_mean_deviation_and_constant_features() -> None:
    subject = described(chain(1, dense(8), RELU), (4,), size=2)
    values = torch.tensor([[3.0, 0.0, 1.0, 5.0], [3.0, 0.0, -1.0, 5.0]])
    (given,) = probe(subject.replace(batch=Batch({"input": values}, subject.target))).inputs
    mean, square = 16 / 8, (9 + 9 + 1 + 1 + 25 + 25) / 8
    told = (given.name, given.rms, given.mean, given.std, given.nonfinite, given.constant)
    assert told == ("input", math.sqrt(square), mean, math.sqrt(square - mean**2), 0.0, 0.75)


def loss(operator: str, target: torch.Tensor, output: torch.Tensor) -> LossEvidence:
    nodes = [node("Mul", "x w", "a"), node(operator, "a", "y")]
    subject = by_hand(nodes, {"w": torch.ones(1)}, {"x": output})
    return probe(subject.replace(batch=Batch({"x": output}, target))).loss


@pytest.mark.parametrize(
    ("operator", "targets", "share"),
    [
        ("Sigmoid", [0.0, 1.0, 1.5, -1.0], 0.5),
        ("Tanh", [0.0, 1.0, 1.5, -1.0], 0.25),
        ("Relu", [0.0, 1.0, 1.5, -1.0], 0.25),
        ("Identity", [0.0, 1.0, 1.5, -1.0], 0.0),
    ],
)
def test_targets_beyond_what_the_head_can_give_are_counted(operator: str, targets: list[float], share: float) -> None:
    measured = loss(operator, torch.tensor(targets).unsqueeze(1), normal(4, 1))
    assert measured.unreachable == share
    assert not measured.target_constant


def test_the_loss_its_chance_and_the_outputs_range_are_measured() -> None:
    target, output = torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0], [6.0]])
    measured = loss("Identity", target, output)
    assert (measured.value, measured.chance) == pytest.approx((5.0, 1.0))
    assert (measured.output_low, measured.output_high) == (2.0, 6.0)


def test_targets_that_are_all_the_same_are_noticed() -> None:
    assert loss("Identity", torch.ones(4, 1), normal(4, 1)).target_constant


def attention(scores: float, *, causal: bool) -> float:
    """Return the entropy of a self-attention whose queries and keys are `scores` times the identity."""
    layer = {"kind": "self_attention", "heads": 1, "causal": causal, "bias": False, "init": {"law": "identity"}}
    subject = described([layer, {"kind": "flatten"}, dense(4)], (6, 6))
    kernels = {name: scores * each.value for name, each in subject.graph.parameters.items() if "query" in name}
    assert len(kernels) == 1
    inputs = Batch({"input": torch.eye(6).expand(64, 6, 6).clone()}, subject.target)
    (found,) = probe(subject.replace(graph=subject.graph.with_parameters(kernels), batch=inputs)).attention.values()
    return found.entropy


@pytest.mark.parametrize("causal", [False, True])
def test_even_attention_has_all_the_entropy_there_is(causal: bool) -> None:  # noqa: FBT001
    assert attention(0.0, causal=causal) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_attention_to_one_position_has_none(causal: bool) -> None:  # noqa: FBT001
    assert attention(1e4, causal=causal) == pytest.approx(0.0, abs=1e-5)


def test_a_classifiers_softmax_is_no_attention() -> None:
    subject = described([dense(8), RELU, dense(4), {"kind": "softmax"}], loss=LossName.MSE)
    assert probe(subject).attention == {}


@pytest.mark.parametrize(
    ("shape", "opset", "axis", "width"),
    [
        ((5, 1, 1), 22, {"axis": 1}, 5),
        ((1, 1, 5), 22, {}, 5),
        ((5, 1, 1), 22, {}, 1),
        ((1,), 22, {"axis": 1}, 1),
        ((5, 2, 3), 12, {}, 30),
        ((5, 2, 3), 12, {"axis": 2}, 6),
    ],
)
def test_a_softmax_is_as_wide_as_the_numbers_that_share_its_sum(
    shape: tuple[int, ...], opset: int, axis: dict[str, int], width: int
) -> None:
    nodes = [node("Mul", "x w", "a"), node("Softmax", "a", "y", **axis)]
    subject = by_hand(nodes, {"w": torch.ones(1)}, {"x": normal(4, *shape)})
    old = subject.replace(graph=subject.graph.replace(opsets={"": opset}))
    assert probe(old).loss.head_width == width


def test_a_softmax_over_another_axis_than_the_last_is_no_attention() -> None:
    for axis, seen in ((1, set()), (2, {"s"}), (-1, {"s"})):
        nodes = [node("MatMul", "x w", "a"), node("Softmax", "a", "s", axis=axis), node("MatMul", "s v", "y")]
        subject = by_hand(nodes, {"w": normal(5, 6), "v": normal(6, 3)}, {"x": normal(8, 4, 5)})
        assert probe(subject).attention.keys() == seen


def test_places_are_weights_activations_norms_and_joins_in_forward_order() -> None:
    block = {"kind": "residual", "layers": [dense(16), {"kind": "batch_norm"}, RELU]}
    places = probe(described([dense(16), block, {"kind": "dropout", "rate": 0.1}, dense(4)])).places
    assert [place.op for place in places] == [
        *_dense(places[0].op),
        *_dense(places[0].op),
        "BatchNormalization",
        "Relu",
        "Add",
        *_dense(places[0].op),
    ]
    assert [place.depth for place in places] == [1, 2, 2, 2, 2, 3]


def _dense(op: str) -> tuple[str]:
    assert op in {"Gemm", "MatMul"}
    return (op,)


def test_shares_of_zeros_are_counted() -> None:
    nodes = [node("Mul", "x w", "a"), node("Relu", "a", "y")]
    subject = by_hand(nodes, {"w": torch.ones(1)}, {"x": torch.tensor([[-1.0, 2.0, -3.0, 4.0]])})
    assert [place.activation.zero for place in probe(subject).places if place.op == "Relu"] == [0.5]
    assert isinstance(subject.graph, Graph)
