"""Activation treatments against theory: gains at depth, and what they must leave alone."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from tests.probe.subjects import by_hand, chain, dense, described, node, normal
from tests.treatments.applied import treated
from worker.network.activations import whole
from worker.network.export import to_onnx
from worker.network.layers import weight_layers
from worker.network.run import Program
from worker.probe.measure import probe
from worker.subject import Subject
from worker.treatments import Change, Inapplicable, treatments

DEPTH, WIDTH = 24, 96
CRITICAL = ["relu", "selu", "elu", "gelu", "silu", "tanh"]


def kinds(subject: Subject) -> Counter[str]:
    return Counter(node.op for node in subject.graph.nodes)


@pytest.fixture(scope="module")
def sigmoids() -> Subject:
    return described(chain(DEPTH, dense(WIDTH), {"kind": "sigmoid"}))


@pytest.mark.parametrize("name", CRITICAL)
def test_a_deep_sigmoid_network_keeps_its_gradient_behind_another_activation(name: str, sigmoids: Subject) -> None:
    gain = probe(sigmoids).gain
    assert gain is not None
    assert gain.total < -(DEPTH - 2) * math.log(8)  # two times a sixteenth at most, layer by layer
    kept = probe(treated(name, sigmoids)).gain
    assert kept is not None
    drift = DEPTH * math.log(1.0716) if name == "selu" else 0.0  # SELU's own χ₁ (Klambauer et al. 2017, appendix)
    assert abs(kept.total - drift) < 4


def test_softplus_drifts_as_a_power_of_depth_and_no_faster(sigmoids: Subject) -> None:
    gain = probe(treated("softplus", sigmoids)).gain
    assert gain is not None
    assert -10 < gain.total < -3


@pytest.mark.parametrize(
    ("opset", "silu", "gelu"), [(13, "Mul", "Erf"), (17, "Mul", "Erf"), (20, "Mul", "Gelu"), (24, "Swish", "Gelu")]
)
def test_activations_newer_than_a_file_are_written_in_its_own_operators(opset: int, silu: str, gelu: str) -> None:
    subject = described(chain(3, dense(12), {"kind": "tanh"}))
    subject = subject.replace(graph=subject.graph.replace(opsets={"": opset}))
    for name, expected, function in (
        ("silu", silu, torch.nn.functional.silu),
        ("gelu", gelu, torch.nn.functional.gelu),
    ):
        copy = treated(name, subject)
        assert kinds(copy)[expected] == 3
        graph = copy.graph
        model = to_onnx(graph)
        onnx.checker.check_model(model, full_check=True)
        x = normal(5, 16)
        if opset < 24:
            session = onnxruntime.InferenceSession(model.SerializeToString())
            (there,) = session.run(None, {"input": x.numpy()})
        else:
            there = Program(graph).run({"input": x})[graph.outputs[0]].detach().numpy()
        value = x
        for layer in weight_layers(graph):
            kernel, bias = (graph.parameters[each].value for each in (layer.kernel, layer.bias or ""))
            value = value @ (kernel.T if layer.transposed else kernel) + bias
            value = function(value) if layer.after is not None else value
        np.testing.assert_allclose(there, value.detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["silu", "gelu"])
def test_an_activation_in_primitives_is_known_as_one_and_exchanged_whole(name: str) -> None:
    subject = described(chain(3, dense(12), {"kind": "tanh"}))
    written = treated(name, subject.replace(graph=subject.graph.replace(opsets={"": 13})))
    assert [each.op for each in whole(written.graph)] == [{"silu": "Swish", "gelu": "Gelu"}[name]] * 3
    again = treated("relu", written)
    afters = [layer.after.op for layer in weight_layers(again.graph) if layer.after is not None]
    assert afters == ["Relu"] * 3
    assert not whole(again.graph)


def test_gelu_is_not_put_into_files_older_than_the_error_function() -> None:
    subject = described(chain(2, dense(12), {"kind": "tanh"}))
    old = subject.replace(graph=subject.graph.replace(opsets={"": 8}))
    assert isinstance(treatments["gelu"].apply(old, probe(old)), Inapplicable)


def gated() -> Subject:
    """Return two towers, one of which gates the other, and a sigmoid head: a GLU, then a rectifier's own gate."""
    nodes = [
        node("MatMul", "x a", "ax"),
        node("MatMul", "x b", "bx"),
        node("Sigmoid", "bx", "gate"),
        node("Mul", "ax gate", "glu"),
        node("MatMul", "glu c", "cx"),
        node("Relu", "cx", "shape"),
        node("MatMul", "glu d", "dx"),
        node("Mul", "shape dx", "reglu"),
        node("MatMul", "reglu e", "ex"),
        node("Tanh", "ex", "hidden"),
        node("MatMul", "hidden f", "fx"),
        node("Sigmoid", "fx", "y"),
    ]
    return by_hand(nodes, {name: normal(8, 8, seed=ord(name)) for name in "abcdef"}, {"x": normal(32, 8)})


@pytest.mark.parametrize("name", ["selu", "elu", "gelu", "silu", "softplus", "relu"])
def test_gates_and_the_head_keep_their_activation(name: str) -> None:
    subject = gated()
    before = {each.name: each for each in subject.graph.nodes}
    after = {each.name: each for each in treated(name, subject).graph.nodes}
    assert all(after[each] == before[each] for each in ("gate", "shape", "y"))
    assert after["hidden"].op != "Tanh"


def test_a_head_behind_reshapes_and_scales_is_no_hidden_activation() -> None:
    nodes = [
        node("MatMul", "x a", "ax"),
        node("Tanh", "ax", "t"),
        node("MatMul", "t b", "bx"),
        node("Tanh", "bx", "bounded"),
        node("Mul", "bounded two", "scaled"),
        node("Squeeze", "scaled axis", "y"),
    ]
    constants = {"two": torch.tensor(2.0), "axis": torch.tensor([1])}
    subject = by_hand(nodes, {"a": normal(8, 8), "b": normal(8, 1)}, {"x": normal(32, 8)}, constants=constants)
    after = {each.name: each.op for each in treated("selu", subject).graph.nodes}
    assert (after["t"], after["bounded"]) == ("Selu", "Tanh")


def test_activations_ahead_of_their_layers_are_exchanged_and_those_of_frozen_layers_are_not() -> None:
    nodes = [
        node("MatMul", "x a", "ax"),
        node("Relu", "ax", "frozen"),
        node("MatMul", "frozen b", "bx"),
        node("LayerNormalization", "bx g", "n", axis=-1),
        node("Add", "n bx", "s"),
        node("Relu", "s", "ahead"),
        node("MatMul", "ahead c", "y"),
    ]
    weights = {name: normal(8, 8, seed=ord(name)) for name in "abc"} | {"g": torch.ones(8)}
    subject = by_hand(nodes, weights, {"x": normal(32, 8)})
    held = subject.graph.parameters
    parameters = {**held, "a": replace(held["a"], trainable=False)}
    copy = treated("selu", subject.replace(graph=subject.graph.replace(parameters=parameters)))
    after = {each.name: each.op for each in copy.graph.nodes}
    assert (after["frozen"], after["ahead"]) == ("Relu", "Selu")


def test_a_leak_is_given_to_what_is_flat_and_to_nothing_else() -> None:
    layers = [dense(8), {"kind": "relu6"}, dense(8), {"kind": "elu"}, dense(8), {"kind": "prelu"}, dense(3)]
    before = described(layers)
    after = treated("leaky-relu", before)
    assert kinds(after)["LeakyRelu"] == 1
    assert kinds(after)["Elu"] == kinds(after)["PRelu"] == 1
    held = {name: each.value for name, each in after.graph.parameters.items()}
    assert all(torch.equal(each.value, held[name]) for name, each in before.graph.parameters.items())


def test_a_softmax_between_weight_layers_is_a_hidden_activation_and_that_of_an_attention_is_not() -> None:
    middle = described([dense(8), {"kind": "softmax"}, dense(8), {"kind": "relu"}, dense(3)])
    assert kinds(treated("relu", middle))["Relu"] == 2
    attention = described([{"kind": "transformer_block", "heads": 2}, {"kind": "flatten"}, dense(3)], (5, 6))
    assert kinds(treated("selu", attention))["Softmax"] == 1


def test_a_rectifier_stands_between_layers_that_nothing_parted() -> None:
    subject = described([dense(16), dense(16), {"kind": "batch_norm"}, dense(16), {"kind": "relu"}, dense(3)])
    graph = treated("activate", subject).graph
    assert [layer.after.op if layer.after else None for layer in weight_layers(graph)] == ["Relu"] * 3 + [None]
    norm = next(each for each in graph.nodes if each.op == "BatchNormalization")
    assert next(graph.consumers(norm.outputs[0])).op == "Relu"
    bent = described(chain(2, dense(8), {"kind": "relu"}))
    assert isinstance(treatments["activate"].apply(bent, probe(bent)), Inapplicable)


@pytest.mark.parametrize(
    ("first", "second", "left"),
    [
        ("relu", "sigmoid", ["Relu"]),
        ("sigmoid", "relu", ["Relu"]),
        ("tanh", "sigmoid", ["Tanh"]),
        ("relu", "relu", ["Relu"]),
        ("relu", "softmax", ["Relu"]),
        ("elu", "relu", ["Elu", "Relu"]),
    ],
)
def test_of_two_activations_in_a_row_the_squashing_one_is_left_out(first: str, second: str, left: list[str]) -> None:
    subject = described([dense(8), {"kind": first}, {"kind": second}, dense(3)])
    outcome = treatments["drop-saturating"].apply(subject, probe(subject))
    nodes = outcome.subject.graph.nodes if isinstance(outcome, Change) else subject.graph.nodes
    assert [each.op for each in nodes if each.op not in {"Gemm", "MatMul", "Add", "Identity"}] == left


def test_a_lone_squashing_activation_and_the_head_are_not_left_out() -> None:
    lone = described([dense(8), {"kind": "sigmoid"}, dense(3)])
    headed = described([dense(8), {"kind": "relu"}, dense(3), {"kind": "sigmoid"}])
    for subject in (lone, headed, gated()):
        assert isinstance(treatments["drop-saturating"].apply(subject, probe(subject)), Inapplicable)


def test_two_rectifiers_in_a_row_compute_what_one_does() -> None:
    subject = described([dense(8), {"kind": "relu"}, {"kind": "relu"}, dense(3)])
    copy = treated("drop-saturating", subject)
    before, after = (Program(each.graph).run(each.batch.inputs)[each.output] for each in (subject, copy))
    assert torch.equal(before, after)


def test_a_softmax_over_the_batch_is_turned_to_the_classes() -> None:
    nodes = [node("MatMul", "x w", "z"), node("Softmax", "z", "s", axis=0), node("Log", "s", "y")]
    subject = by_hand(nodes, {"w": normal(8, 3)}, {"x": normal(32, 8)})
    copy = treated("softmax-axis", subject)
    output = Program(copy.graph).run(copy.batch.inputs)["y"]
    torch.testing.assert_close(output.exp().sum(1), torch.ones(32))
    right = described([dense(8), {"kind": "relu"}, dense(3), {"kind": "softmax"}])
    assert isinstance(treatments["softmax-axis"].apply(right, probe(right)), Inapplicable)
