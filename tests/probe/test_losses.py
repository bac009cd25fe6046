"""How the head fits the loss, against heads whose range and repetition are known."""

import math

import pytest
import torch
from torch import Tensor

from service.contract.words import LossName
from tests.probe.subjects import by_hand, dense, described, node, normal
from worker.network.graph import Node
from worker.probe.evidence import LossEvidence
from worker.probe.losses import measure_loss
from worker.probe.reach import reach
from worker.probe.sweep import sweep
from worker.subject import Batch, Subject

INF = math.inf
RELU = {"kind": "relu"}


def ended(nodes: list[Node], **constants: Tensor) -> Subject:
    """Return a network that ends in these nodes, from z to y."""
    return by_hand([node("MatMul", "x w", "z"), *nodes], {"w": normal(4, 3)}, {"x": normal(8, 4)}, constants=constants)


def measured(subject: Subject) -> LossEvidence:
    return measure_loss(sweep(subject), declared=False)


TWO, HALVES = torch.tensor(2.0), torch.tensor([0.5, -3.0, 1.0])


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([node("Tanh", "z", "t"), node("Mul", "t two", "y")], (-2.0, 2.0)),
        ([node("Tanh", "z", "t"), node("Mul", "halves t", "y")], (-3.0, 3.0)),
        ([node("Sigmoid", "z", "t"), node("Sub", "two t", "y")], (1.0, 2.0)),
        ([node("Sigmoid", "z", "t"), node("Div", "t two", "y")], (0.0, 0.5)),
        ([node("Sigmoid", "z", "t"), node("Div", "two t", "y")], (-INF, INF)),
        ([node("Relu", "z", "t"), node("Add", "t two", "y")], (2.0, INF)),
        ([node("Relu", "z", "t"), node("Identity", "t", "i"), node("Mul", "i two", "y")], (0.0, INF)),
        ([node("Elu", "z", "y", alpha=0.7)], (-0.7, INF)),
        ([node("Clip", "z  two", "y")], (-INF, 2.0)),
        ([node("Softplus", "z", "y")], (0.0, INF)),
        ([node("Mul", "z two", "y")], (-INF, INF)),
        ([node("LeakyRelu", "z", "y")], (-INF, INF)),
    ],
)
def test_the_range_of_a_head_is_carried_through_arithmetic(nodes: list[Node], expected: tuple[float, float]) -> None:
    nodes = [node(each.op, " ".join(each.inputs), each.outputs[0], **each.attributes) for each in nodes]
    if nodes[0].op == "Clip":
        nodes = [Node("Clip", ("z", "", "two"), ("y",), "y")]
    used = {name for each in nodes for name in each.inputs}
    held = {name: value for name, value in {"two": TWO, "halves": HALVES}.items() if name in used}
    subject = ended(nodes, **held)
    assert reach(subject.graph, "y") == expected
    found = measured(subject)
    assert expected[0] <= found.output_low <= found.output_high <= expected[1]


@pytest.mark.parametrize(
    ("op", "low"), [("Gelu", -0.17), ("HardSwish", -0.375), ("Mish", -0.3089), ("Selu", -1.7581), ("Erf", -1.0)]
)
def test_the_least_that_an_activation_gives_is_where_it_was_said_to_be(op: str, low: float) -> None:
    wide = torch.linspace(-12, 3, 30001).reshape(-1, 1)
    subject = by_hand([node("Mul", "x w", "z"), node(op, "z", "y")], {"w": torch.ones(1)}, {"x": wide})
    assert measured(subject).output_low == pytest.approx(low, abs=1e-3)
    assert measured(subject).head_low <= measured(subject).output_low


def test_a_scaled_tanh_reaches_scaled_targets() -> None:
    subject = ended([node("Tanh", "z", "t"), node("Mul", "t two", "y")], two=TWO)
    target = torch.tensor([-2.0, 2.0, 1.5, 2.5]).repeat(6).reshape(8, 3)
    assert measured(subject.replace(batch=Batch(subject.batch.inputs, target))).unreachable == 0.25


def squashed(*ops: str) -> str:
    names = ["z", *(f"s{index}" for index in range(len(ops)))]
    nodes = [node(op, before, after) for op, before, after in zip(ops, names, names[1:], strict=False)]
    subject = by_hand([node("MatMul", "x w", "z"), *nodes], {"w": normal(4, 3)}, {"x": normal(8, 4)}, output=names[-1])
    return measured(subject.replace(output=names[-2])).squashed_again


def test_only_what_squashes_twice_is_said_to() -> None:
    assert squashed("Softmax", "Softmax") == "s1"
    assert squashed("Sigmoid", "Sigmoid") == "s1"
    assert not squashed("Tanh", "Softmax")
    assert not squashed("LogSoftmax", "Softmax"), "the softmax of a log-softmax is the softmax"
    assert not squashed("Softmax", "Log")


def test_one_among_zeros_is_told_from_several() -> None:
    subject = described([dense(8), RELU, dense(3), {"kind": "softmax"}])
    classes = torch.nn.functional.one_hot(torch.arange(64) % 3, 3).float()
    several = classes + classes.roll(1, 0)
    for target, expected in ((classes, True), (several, False), (classes * 2, False), (normal(64, 3), False)):
        assert measured(subject.replace(batch=Batch(subject.batch.inputs, target))).one_hot is expected


def test_what_the_head_sees_is_measured_before_its_weights() -> None:
    offset = {"kind": "rescale", "scale": 1, "offset": 10}
    subject = described([dense(256), {"kind": "tanh"}, {"kind": "rescale", "scale": 1, "offset": 10}, dense(4)])
    found = measured(subject)
    values = sweep(subject.replace(graph=subject.graph)).values
    (hidden,) = [
        each.outputs[0] for each in subject.graph.nodes if each.name == found.hidden and each.outputs[0] in values
    ]
    seen = values[hidden].detach().double()
    between = seen.var(0, correction=0).mean().sqrt()
    assert found.hidden_spread == pytest.approx(float(between / seen.square().mean().sqrt()))
    assert found.hidden_spread == pytest.approx(0.08, abs=0.02), "tanh of a unit normal deviates by 0.6 or 0.8, of 10"
    assert offset["offset"] == 10


def test_a_bias_of_the_head_has_no_say_in_what_it_sees() -> None:
    subject = described([dense(64), RELU, dense(4)])
    (bias,) = [name for name, each in subject.graph.parameters.items() if each.value.shape == (4,)]
    shifted = subject.replace(graph=subject.graph.with_parameters({bias: torch.full((4,), 1e4)}))
    assert measured(shifted).hidden_spread == measured(subject).hidden_spread


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_scale_of_the_loss_is_told_apart_from_it(scale: float) -> None:
    subject = described([dense(8), RELU, dense(4)], loss=LossName.CROSS_ENTROPY)
    plain, scaled = measured(subject), measured(subject.replace(loss=type(subject.loss)(subject.loss.name, scale)))
    assert scaled.value / scaled.scale == pytest.approx(plain.value)


def test_a_head_that_no_gradient_reaches_sees_nothing_that_is_measured() -> None:
    nodes = [
        node("MatMul", "x w", "z"),
        node("Round", "z", "r"),
        node("ArgMax", "r", "m"),
        node("Cast", "m", "y", to=1),
    ]
    subject = by_hand(nodes, {"w": normal(4, 3)}, {"x": normal(8, 4)})
    assert measured(subject).hidden == ""
