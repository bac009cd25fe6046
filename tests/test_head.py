"""The head: which loss is read off output and target, where it is read, and which target is drawn."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from service.contract.architecture import parse
from service.contract.problem import BatchMismatch
from service.contract.words import LossName
from worker.head import Head, choose, last_operator
from worker.load.architecture import lower
from worker.network.graph import Graph, Node
from worker.network.run import Program

DENSE = {"kind": "dense", "units": 3}
ONE = {"kind": "dense", "units": 1}
CLASSES = torch.tensor([0, 2, 1, 1, 0, 2])
BITS = torch.tensor([[0], [1], [1], [0], [1], [0]])


def build(layers: Sequence[dict[str, Any]], shape: tuple[int, ...] = (5,)) -> Graph:
    document = {"gradgate": "1", "input": {"shape": list(shape)}, "layers": list(layers)}
    return lower(parse(json.dumps(document).encode()), seed=0)


def chosen(
    graph: Graph, target: Tensor | None = None, name: LossName = LossName.AUTO, *, size: int = 6, seed: int = 0
) -> Head:
    shape = [size if isinstance(each, str) else each for each in graph.inputs[0].shape]
    inputs = {"input": torch.randn(shape, generator=torch.Generator().manual_seed(1))}
    output = graph.outputs[0]
    return choose(graph, Program(graph).run(inputs)[output], target, name, output=output, seed=seed)


def kind(name: str) -> dict[str, str]:
    return {"kind": name}


@pytest.mark.parametrize(
    ("layers", "target", "loss"),
    [
        ([DENSE], CLASSES, LossName.CROSS_ENTROPY),
        ([DENSE, kind("log_softmax")], CLASSES, LossName.NLL),
        ([DENSE, kind("softmax")], CLASSES, LossName.CROSS_ENTROPY),
        ([ONE, kind("sigmoid")], BITS, LossName.BCE_WITH_LOGITS),
        ([ONE], BITS.float(), LossName.BCE_WITH_LOGITS),
        ([ONE], 3.5 * BITS.float(), LossName.MSE),
        ([ONE, kind("sigmoid")], 0.7 * BITS.float(), LossName.BCE_WITH_LOGITS),
        ([ONE, kind("tanh")], BITS.float(), LossName.MSE),
        ([DENSE], torch.randn(6, 3), LossName.MSE),
        ([DENSE, kind("softmax")], torch.full((6, 3), 1 / 3), LossName.CROSS_ENTROPY),
    ],
)
def test_the_loss_is_read_off_the_output_and_the_target(
    layers: list[dict[str, Any]], target: Tensor, loss: LossName
) -> None:
    head = chosen(build(layers), target)
    assert head.loss.name is loss
    assert not head.declared


@pytest.mark.parametrize(("last", "target"), [("softmax", CLASSES), ("sigmoid", BITS)])
def test_logits_are_read_before_a_softmax_or_sigmoid_and_the_report_says_so(last: str, target: Tensor) -> None:
    graph = build([DENSE if last == "softmax" else ONE, kind(last)])
    head = chosen(graph, target)
    assert graph.producers()[graph.outputs[0]].inputs[0] == head.output != graph.outputs[0]
    assert "reads the logits before it" in head.loss.notes[0]


def test_logits_are_read_before_a_softmax_that_only_a_copy_follows() -> None:
    graph = ended(build([DENSE, kind("softmax")]), "Identity")
    assert chosen(graph, CLASSES).output == graph.nodes[-2].inputs[0]


def test_probabilities_that_were_laid_out_anew_are_compared_as_they_are() -> None:
    """Behind a Reshape the logits have another shape; what is not a log-probability must not go to nll."""
    graph = ended(build([DENSE, kind("softmax")]), "Flatten")
    head = chosen(graph, CLASSES)
    assert head.output == graph.outputs[0]
    assert head.loss.name is LossName.CROSS_ENTROPY


def test_a_softmax_over_the_batch_stays_in_sight() -> None:
    graph = build([DENSE, kind("softmax")])
    last = graph.nodes[-1]
    turned = Node("Softmax", last.inputs, last.outputs, last.name, {"axis": 0})
    head = chosen(graph.replace(nodes=(*graph.nodes[:-1], turned)), CLASSES)
    assert head.output == graph.outputs[0]


def ended(graph: Graph, op: str, **attributes: int) -> Graph:
    """Return the graph with one more operator at its end."""
    last = Node(op, graph.outputs, ("end",), "end", attributes)
    return graph.replace(nodes=(*graph.nodes, last), outputs=("end",))


@pytest.mark.parametrize("name", [LossName.CROSS_ENTROPY, LossName.NLL])
@pytest.mark.parametrize("target", [CLASSES, None])
def test_a_named_loss_is_applied_to_the_output_as_it_stands(name: LossName, target: Tensor | None) -> None:
    graph = build([DENSE, kind("softmax")])
    head = chosen(graph, target, name)
    assert (head.output, head.loss.name, head.declared) == (graph.outputs[0], name, True)


def test_a_sequence_with_a_class_per_step_is_told_by_cross_entropy() -> None:
    graph = build([DENSE], (4, 5))
    assert chosen(graph, torch.randint(3, (6, 4))).loss.name is LossName.CROSS_ENTROPY
    assert chosen(graph).target.shape == (6, 4)


def test_an_image_with_a_class_per_pixel_gets_classes_of_its_channels() -> None:
    graph = build([{"kind": "conv2d", "filters": 3, "kernel": 3, "padding": "same"}], (2, 4, 4))
    head = chosen(graph)
    assert head.target.shape == (6, 4, 4)
    assert int(head.target.max()) == 2


@pytest.mark.parametrize(
    ("layers", "loss", "low", "high"),
    [
        ([DENSE], LossName.CROSS_ENTROPY, 0, 2),
        ([DENSE, kind("log_softmax")], LossName.NLL, 0, 2),
        ([ONE], LossName.MSE, -10, 10),
        ([DENSE, kind("tanh")], LossName.MSE, -1, 1),
        ([DENSE, kind("sigmoid")], LossName.BCE_WITH_LOGITS, 0, 1),
        ([ONE, kind("relu")], LossName.MSE, 0, 10),
    ],
)
def test_a_target_is_drawn_that_the_head_can_reach_and_the_report_says_so(
    layers: list[dict[str, Any]], loss: LossName, low: float, high: float
) -> None:
    head = chosen(build(layers), size=200)
    assert head.loss.name is loss
    assert low <= float(head.target.min()) < float(head.target.max()) <= high
    assert "drawn at random" in head.loss.notes[0]
    assert not head.declared


def test_the_drawn_target_follows_the_seed_alone() -> None:
    first, again, other = (chosen(build([DENSE]), size=50, seed=seed).target for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_classes_that_came_as_whole_floats_or_as_a_column_are_taken() -> None:
    graph = build([DENSE])
    for target in (CLASSES.float(), CLASSES.unsqueeze(1), CLASSES.int()):
        head = chosen(graph, target, LossName.CROSS_ENTROPY)
        assert torch.equal(head.target, CLASSES)
        assert head.target.dtype is torch.int64


def test_classes_that_are_no_whole_numbers_are_refused_with_the_value() -> None:
    with pytest.raises(BatchMismatch, match=r"takes classes; the target holds 0\.5"):
        chosen(build([DENSE]), CLASSES + 0.5, LossName.CROSS_ENTROPY)


@pytest.mark.parametrize("name", [LossName.BCE, LossName.BCE_WITH_LOGITS])
def test_targets_beyond_0_and_1_are_refused_where_a_loss_takes_probabilities(name: LossName) -> None:
    with pytest.raises(BatchMismatch, match=rf"{name} takes targets from 0 to 1; the target holds 1\.5"):
        chosen(build([ONE]), 1.5 * BITS.float(), name)


def test_one_hot_integers_are_taken_as_shares() -> None:
    rows = torch.nn.functional.one_hot(CLASSES)
    head = chosen(build([DENSE, kind("softmax")]), rows)
    assert head.loss.name is LossName.CROSS_ENTROPY
    assert torch.equal(head.target, rows.float())


@pytest.mark.parametrize("shape", [(6,), (6, 1, 1)])
def test_classes_of_images_of_one_pixel_are_read_in_any_layout(shape: tuple[int, ...]) -> None:
    graph = build([{"kind": "conv2d", "filters": 3, "kernel": 4}, kind("softmax")], (2, 4, 4))
    head = chosen(graph, CLASSES.reshape(shape))
    assert head.loss.name is LossName.CROSS_ENTROPY
    assert torch.equal(head.target, CLASSES.reshape(6, 1, 1))


def test_the_last_operator_is_found_behind_what_only_moves_numbers() -> None:
    graph = ended(ended(build([DENSE, kind("tanh")]), "Identity"), "Flatten")
    graph = graph.replace(nodes=tuple(_distinct(graph.nodes)))
    assert last_operator(graph, "end1")[0] == "Tanh"
    assert last_operator(build([DENSE]), "nowhere") == ("", "nowhere", None)


def test_the_logarithm_of_a_softmax_is_one_operator_with_its_axis() -> None:
    graph = ended(build([DENSE]), "Softmax", axis=0)
    graph = graph.replace(nodes=(*graph.nodes, Node("Log", ("end",), ("log",), "log")), outputs=("log",))
    assert last_operator(graph, "log") == ("LogSoftmax", graph.nodes[-2].inputs[0], 0)


def _distinct(nodes: Sequence[Node]) -> list[Node]:
    """Return the nodes with the second of two values called `end` under another name."""
    *rest, last = nodes
    return [*rest, Node(last.op, ("end",), ("end1",), "end1")]
