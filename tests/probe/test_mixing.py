"""Whether samples reach each other, on networks where that is known."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.probe.subjects import by_hand, dense, described, node, normal, tensors
from worker.network.graph import Node, torch_stream
from worker.probe.evidence import Mixing
from worker.probe.mixing import measure_mixing
from worker.probe.sweep import sweep
from worker.subject import Batch

RELU = {"kind": "relu"}
SIZE = 16
NETWORKS: dict[str, tuple[list[dict[str, Any]], tuple[int, ...]]] = {
    "batch norm": ([dense(8), {"kind": "batch_norm"}, RELU, {"kind": "dropout", "rate": 0.5}, dense(4)], (6,)),
    "convolution": ([{"kind": "conv2d", "filters": 4, "kernel": 3}, {"kind": "flatten"}, dense(4)], (3, 6, 6)),
    "lstm": ([{"kind": "lstm", "units": 8}, dense(4)], (5, 6)),
    "attention": ([{"kind": "self_attention", "heads": 2}, {"kind": "flatten"}, dense(4)], (5, 6)),
    "group norm": ([{"kind": "group_norm", "groups": 2}, {"kind": "flatten"}, dense(4)], (4, 6, 6)),
}


def mixing(nodes: list[Node], shape: tuple[int, ...], constants: dict[str, Tensor] | None = None) -> Mixing:
    held = {"w": normal(6, 3)}
    used = {name for each in nodes for name in each.inputs}
    weights = {name: value for name, value in held.items() if name in used}
    return measure_mixing(sweep(by_hand(nodes, weights, {"x": normal(SIZE, *shape)}, constants=constants)))


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_keep_samples_apart_in_eval_mode(name: str) -> None:
    layers, shape = NETWORKS[name]
    assert measure_mixing(sweep(described(layers, shape, size=SIZE))) == Mixing(0.0)


def test_a_softmax_over_the_batch_lets_samples_meet() -> None:
    found = mixing([node("MatMul", "x w", "h"), node("Softmax", "h", "y", axis=0)], (6,))
    assert found.change > 0.1
    assert found.where == "y"
    assert not found.purpose


def test_a_mean_over_the_batch_changes_the_output_by_what_the_mean_changes() -> None:
    nodes = [node("ReduceMean", "x rows", "m"), node("Add", "x m", "s"), node("MatMul", "s w", "y")]
    given = normal(SIZE, 6)
    kept = torch.randperm(SIZE, generator=torch_stream(0, "mixing"))[: SIZE // 2]
    output = (given[kept] + given.mean(0)) @ normal(6, 3)
    moved = (given[kept].mean(0) - given.mean(0)) @ normal(6, 3)
    expected = moved.square().mean().sqrt() / (output - output.mean(0)).square().mean().sqrt()
    subject = by_hand(nodes, {"w": normal(6, 3)}, {"x": given}, constants={"rows": torch.tensor([0])})
    assert measure_mixing(sweep(subject)).change == pytest.approx(float(expected), rel=1e-4)


def test_a_reshape_in_the_place_of_a_transpose_lets_samples_meet_and_the_transpose_does_not() -> None:
    ends = [node("MatMul", "t w", "h"), node("Gather", "h first", "y", axis=0)]
    first = {"first": torch.tensor(0)}
    wrong = [node("Reshape", "x s", "t"), *ends]
    right = [node("Transpose", "x", "t", perm=(1, 0, 2)), *ends]
    found = mixing(wrong, (5, 6), {**first, "s": torch.tensor([5, -1, 6])})
    assert found.change > 0.1
    assert found.where == "y", "what comes before has no row for each sample"
    assert mixing(right, (5, 6), first) == Mixing(0.0)


def test_pairs_of_samples_meet_on_purpose() -> None:
    nodes = [node("MatMul", "x w", "h"), node("Transpose", "h", "k", perm=(1, 0)), node("MatMul", "h k", "y")]
    assert mixing(nodes, (6,)).purpose == "the output holds a number for each pair of samples"


def test_a_recurrence_along_the_first_axis_says_that_it_counts_steps() -> None:
    nodes = [Node("RNN", ("x", "i", "r"), ("s",), "s", {"hidden_size": 4}), node("Squeeze", "s one", "y")]
    weights = {"i": normal(1, 4, 6), "r": normal(1, 4, 4)}
    subject = by_hand(nodes, weights, {"x": normal(SIZE, 5, 6)}, constants={"one": torch.tensor([1])})
    found = measure_mixing(sweep(subject))
    assert found.change > 0
    assert found.purpose == "a recurrent layer steps along the first axis"


def test_nodes_of_a_graph_meet_on_purpose() -> None:
    nodes = [node("MatMul", "edges x", "n"), node("MatMul", "n w", "y")]
    ring = torch.eye(SIZE).roll(1, 0)
    assert mixing(nodes, (6,), {"edges": ring}).purpose == "the model holds a number for each pair of samples"


def test_rows_of_a_table_that_attend_to_each_other_may_be_a_sequence() -> None:
    nodes = [
        node("Transpose", "x", "k", perm=(1, 0)),
        node("MatMul", "x k", "s"),
        node("Softmax", "s", "p"),
        node("MatMul", "p x", "m"),
        node("MatMul", "m w", "y"),
    ]
    assert "attention" in mixing(nodes, (6,)).purpose


def test_where_samples_cannot_be_told_apart_it_is_said_why() -> None:
    subject = described([dense(8), RELU, dense(4)], size=SIZE)
    drawn = subject.replace(batch=Batch(subject.batch.inputs, subject.target, synthetic=True))
    assert measure_mixing(sweep(drawn)).unjudged.startswith("the batch was drawn")
    one = described([dense(8), RELU, dense(4)], size=1)
    assert measure_mixing(sweep(one)).unjudged == "a single sample has no others beside it"


def test_measuring_leaves_the_subject_as_it_was() -> None:
    subject = described(NETWORKS["batch norm"][0], size=SIZE, shape=(6,))
    before = tensors(subject)
    measure_mixing(sweep(subject))
    assert all(torch.equal(value, before[name]) for name, value in tensors(subject).items())
