"""Structural treatments against theory: what skips do to a gain and where none may stand; sharing and relaxing."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from tests.probe.subjects import by_hand, chain, dense, described, node, normal
from worker.network.chains import chains
from worker.network.export import to_onnx
from worker.network.graph import Node
from worker.network.run import Program
from worker.probe.evidence import Evidence
from worker.probe.measure import probe
from worker.subject import Subject
from worker.treatments import Change, Inapplicable, treatments

RELU, TANH, SIGMOID, NORM = ({"kind": kind} for kind in ("relu", "tanh", "sigmoid", "batch_norm"))
SMALL = 6
"""|G| of a healthy network."""


def changed(name: str, subject: Subject, evidence: Evidence | None = None) -> Subject:
    """Return what a treatment makes of a subject."""
    change = treatments[name].apply(subject, evidence or probe(subject))
    assert isinstance(change, Change), change
    return change.subject


def gain(subject: Subject) -> float:
    found = probe(subject).gain
    assert found is not None
    return found.total


def skips(subject: Subject) -> list[Node]:
    return [each for each in subject.graph.nodes if each.op == "Add" and each.name.endswith(".skip")]


def output(subject: Subject) -> torch.Tensor:
    with torch.no_grad():
        return Program(subject.graph).run(subject.batch.inputs, training=True)[subject.output]


CONVOLUTION: Mapping[str, Any] = {"kind": "conv2d", "filters": 6, "kernel": 3, "padding": "same", "init": "he_normal"}
SICK: Mapping[str, tuple[Callable[[], Subject], float]] = {
    "default ReLU, 30 layers": (lambda: described(chain(30, {"kind": "dense", "units": 32}, RELU)), -20),
    "sigmoid, 30 layers": (lambda: described(chain(30, dense(32), SIGMOID)), -20),
    "default tanh, 30 layers": (lambda: described(chain(30, {"kind": "dense", "units": 32}, TANH)), -20),
    "batch norm, 40 layers": (lambda: described(chain(40, dense(32), NORM, RELU)), 7),
    "batch norm, 40 convolutions": (
        lambda: described([*[CONVOLUTION, NORM, RELU] * 40, {"kind": "global_avg_pool"}, dense(3)], (2, 4, 4), size=16),
        6,
    ),
}


@pytest.mark.parametrize("name", SICK)
def test_skips_keep_the_gradient_of_a_deep_network(name: str) -> None:
    make, sick = SICK[name]
    subject = make()
    before = gain(subject)
    assert before < sick if sick < 0 else before > sick
    assert abs(gain(changed("add-skips", subject))) < SMALL


def test_a_block_behind_rectifiers_begins_as_the_identity() -> None:
    subject = described([dense(16), RELU, *[dense(16), RELU] * 6, dense(4)])
    treated = changed("add-skips", subject)
    assert len(skips(treated)) == 3
    short = described([dense(16), RELU, dense(4)])
    first, last = (tuple(each.graph.parameters) for each in (subject, short))
    ends = {**dict(zip(last[:2], first[:2], strict=True)), **dict(zip(last[-2:], first[-2:], strict=True))}
    values = {name: subject.graph.parameters[other].value for name, other in ends.items()}
    alone = replace(short, graph=short.graph.with_parameters(values))
    torch.testing.assert_close(output(treated), output(alone))


def test_branches_that_begin_at_zero_open_and_then_all_weights_learn() -> None:
    subject = changed("add-skips", described([dense(16), RELU, *[dense(16), RELU] * 4, dense(4)]))
    values = {name: each.value.clone().requires_grad_() for name, each in subject.graph.parameters.items()}
    program = Program(subject.graph)
    for _ in range(2):
        cost = subject.cost(program, values, torch.Generator())
        slopes = dict(zip(values, torch.autograd.grad(cost, list(values.values())), strict=True))
        values = {name: (each - 0.1 * slopes[name]).detach().requires_grad_() for name, each in values.items()}
    assert all(bool(each.any()) for each in slopes.values())


def test_the_norm_that_ends_a_branch_is_what_begins_at_zero() -> None:
    treated = changed("add-skips", described(chain(5, dense(16), NORM, RELU)))
    zero = {name for name, each in treated.graph.parameters.items() if not each.value.any()}
    norms = [each for each in treated.graph.nodes if each.op == "BatchNormalization"]
    gains = {each.inputs[1] for each in norms}
    assert len(zero & gains) == 2
    kernels = {each.inputs[1] for each in treated.graph.nodes if each.op in {"Gemm", "MatMul"}}
    assert not zero & kernels


def lone() -> Iterator[tuple[str, Subject]]:
    """Yield networks in which no block may get a skip."""
    yield "widths that change", described([dense(16), RELU, dense(12), RELU, dense(8), RELU, dense(4)])
    branch = {"kind": "residual", "layers": [dense(8), RELU, dense(8)]}
    yield "skips that stand", described([dense(8), branch, branch, dense(3)])
    yield "nothing hidden", described([dense(3)])
    yield "attention", described([{"kind": "transformer_block", "heads": 2}, {"kind": "flatten"}, dense(3)], (5, 6))
    twice = [node("MatMul", "x a", "h"), node("Relu", "h", "r"), node("MatMul", "r w", "i"), node("Relu", "i", "s")]
    twice += [node("MatMul", "s w", "j"), node("Relu", "j", "t"), node("MatMul", "t v", "y")]
    shapes = {"a": (8, 8), "w": (8, 8), "v": (8, 3)}
    yield (
        "shared weights",
        by_hand(twice, {name: normal(*shape) for name, shape in shapes.items()}, {"x": normal(32, 8)}),
    )
    subject = described(chain(3, dense(8), RELU))
    frozen = {name: replace(each, trainable=False) for name, each in subject.graph.parameters.items()}
    yield "frozen weights", subject.replace(graph=subject.graph.replace(parameters=frozen))


@pytest.mark.parametrize(("name", "subject"), list(lone()), ids=lambda each: each if isinstance(each, str) else "")
def test_no_skip_is_led_where_it_does_not_fit(name: str, subject: Subject) -> None:
    evidence = probe(subject) if name != "frozen weights" else probe(described(chain(3, dense(8), RELU)))
    assert isinstance(treatments["add-skips"].apply(subject, evidence), Inapplicable)


def test_what_something_else_reads_gets_no_skip() -> None:
    nodes = [node("MatMul", "x a", "h"), node("Relu", "h", "r"), node("MatMul", "r b", "i"), node("Relu", "i", "s")]
    nodes += [node("MatMul", "s c", "j"), node("Relu", "j", "t"), node("Concat", "t r", "u", axis=1)]
    nodes += [node("MatMul", "u v", "y")]
    weights = {"a": normal(8, 8), "b": normal(8, 8), "c": normal(8, 8), "v": normal(16, 3)}
    subject = by_hand(nodes, weights, {"x": normal(32, 8)})
    assert [[layer.node.name for layer in chain] for chain in chains(subject.graph)] == [["h"], ["i", "j"]]
    treated = changed("add-skips", subject)
    (skip,) = skips(treated)
    assert skip.inputs[0] == "s"


@pytest.mark.parametrize("opset", [7, 13, 17])
@pytest.mark.parametrize("name", ["add-skips", "weight-sharing"])
def test_the_treated_network_is_a_valid_file_of_its_own_opset(name: str, opset: int) -> None:
    subject = described(chain(5, dense(12), RELU))
    treated = changed(name, subject.replace(graph=subject.graph.replace(opsets={"": opset})))
    model = to_onnx(treated.graph)
    onnx.checker.check_model(model, full_check=True)
    x = normal(5, 16)
    (there,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"input": x.numpy()})
    here = Program(treated.graph).run({"input": x})[treated.output].detach()
    np.testing.assert_allclose(there, here.numpy(), rtol=1e-4, atol=1e-5)


def test_hidden_layers_of_one_shape_share_their_weights() -> None:
    subject = described(chain(4, dense(16), RELU))
    treated = changed("weight-sharing", subject)
    kernels = [each.inputs[1] for each in treated.graph.nodes if each.op in {"Gemm", "MatMul"}]
    assert len(set(kernels[:4])) == 1
    assert kernels[4] not in kernels[:4]
    assert len(treated.graph.parameters) == len(subject.graph.parameters) - 6
    weight = subject.graph.parameters[kernels[0]].value
    assert torch.equal(treated.graph.parameters[kernels[0]].value, weight)
    assert isinstance(treatments["weight-sharing"].apply(treated, probe(treated)), Inapplicable)


def test_layers_of_different_shapes_share_nothing() -> None:
    subject = described([dense(8), RELU, dense(12), RELU, dense(6), RELU, dense(3)])
    assert isinstance(treatments["weight-sharing"].apply(subject, probe(subject)), Inapplicable)


def stepped(op: str) -> Subject:
    nodes = [node("MatMul", "x a", "h"), node(op, "h", "r"), node("MatMul", "r b", "y")]
    return by_hand(nodes, {"a": normal(8, 8), "b": normal(8, 3)}, {"x": normal(32, 8)})


@pytest.mark.parametrize(
    ("op", "relaxed"), [("Round", "Identity"), ("Floor", "Identity"), ("Ceil", "Identity"), ("Sign", "Tanh")]
)
def test_a_step_that_cuts_weights_off_gives_way_to_what_a_gradient_passes(op: str, relaxed: str) -> None:
    subject = stepped(op)
    before = probe(subject)
    assert any(each.state == "cut" for each in before.parameters)
    treated = changed("relax-rounding", subject, before)
    assert [each.op for each in treated.graph.nodes] == ["MatMul", relaxed, "MatMul"]
    assert all(each.state == "live" for each in probe(treated).parameters)


def test_a_cast_to_whole_numbers_and_back_is_left_out() -> None:
    nodes = [node("MatMul", "x a", "h"), node("Cast", "h", "i", to=7), node("Cast", "i", "f", to=1)]
    nodes += [node("MatMul", "f b", "y")]
    subject = by_hand(nodes, {"a": 3 * normal(8, 8), "b": normal(8, 3)}, {"x": normal(32, 8)})
    treated = changed("relax-rounding", subject)
    assert all(each.state == "live" for each in probe(treated).parameters)
    torch.testing.assert_close(output(treated), subject.batch.inputs["x"] @ (3 * normal(8, 8)) @ normal(8, 3))


def test_a_rounding_that_a_gradient_leads_around_is_left_alone() -> None:
    nodes = [node("MatMul", "x a", "h"), node("Round", "h", "r"), node("Add", "h r", "s"), node("MatMul", "s b", "y")]
    subject = by_hand(nodes, {"a": normal(8, 8), "b": normal(8, 3)}, {"x": normal(32, 8)})
    assert isinstance(treatments["relax-rounding"].apply(subject, probe(subject)), Inapplicable)


def test_a_choice_gives_way_to_the_mean_of_the_rows_by_their_shares() -> None:
    nodes = [node("MatMul", "x a", "h"), node("ArgMax", "h", "c", axis=1, keepdims=0), node("Gather", "t c", "g")]
    nodes += [node("MatMul", "g b", "y")]
    weights = {"a": normal(8, 5, seed=1), "t": normal(5, 6, seed=2), "b": normal(6, 3, seed=3)}
    subject = by_hand(nodes, weights, {"x": normal(32, 8)})
    treated = changed("soften-choice", subject)
    by_formula = (normal(32, 8) @ weights["a"]).softmax(1) @ weights["t"] @ weights["b"]
    torch.testing.assert_close(output(treated), by_formula)
    assert all(each.state == "live" for each in probe(treated).parameters)
