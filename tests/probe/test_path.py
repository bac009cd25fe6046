"""Cuts of the graph, by hand: which values no edge jumps over, and how deep they lie."""

import itertools

import pytest
import torch

from tests.probe.subjects import by_hand, chain, dense, described, node, normal
from worker.network.graph import Graph, Node
from worker.probe.path import Path
from worker.probe.sweep import sweep
from worker.subject import Subject

RELU = {"kind": "relu"}
WIDTH = 8


def path(subject: Subject) -> Path:
    return sweep(subject).path


def joined(nodes: list[Node], kernels: dict[str, tuple[int, int]]) -> Path:
    parameters = {name: normal(*shape) for name, shape in kernels.items()}
    return path(by_hand(nodes, parameters, {"x": normal(4, WIDTH)}))


@pytest.mark.parametrize("depth", [1, 2, 7])
def test_every_value_of_a_plain_network_is_a_cut_and_every_hidden_layer_counts_once(depth: int) -> None:
    found = path(described(chain(depth, dense(WIDTH), RELU)))
    assert found.cuts() == found.values
    assert len(found.cuts()) == 1 + 2 * depth + 1
    assert len(found.layer_cuts()) == depth
    assert [found.depth[value] for value in found.layer_cuts()] == list(range(1, depth + 1))


@pytest.mark.parametrize("blocks", [1, 5])
def test_in_a_residual_chain_only_the_sums_are_cuts(blocks: int) -> None:
    block = {"kind": "residual", "layers": [dense(WIDTH), RELU, dense(WIDTH)]}
    found = path(described([dense(WIDTH), *[block] * blocks, dense(4)], (WIDTH,)))
    ops = [found.producers[value].op for value in found.layer_cuts()]
    assert ops[1:] == ["Add"] * blocks
    assert len(ops) == blocks + 1
    assert found.depth[found.layer_cuts()[-1]] == 1 + 2 * blocks


def test_densely_joined_layers_leave_only_the_ends_as_cuts() -> None:
    """Huang et al. 2017: every layer reads all before it, so the first and the last join alone stand."""
    nodes = [
        node("MatMul", "x w0", "s"),
        node("MatMul", "s w1", "a"),
        node("Concat", "s a", "c1", axis=1),
        node("MatMul", "c1 w2", "b"),
        node("Concat", "s a b", "c2", axis=1),
        node("MatMul", "c2 w3", "y"),
    ]
    found = joined(nodes, {"w0": (8, 8), "w1": (8, 8), "w2": (16, 8), "w3": (24, 3)})
    assert found.cuts() == ("x", "s", "c2", "y")
    assert found.layer_cuts() == ("s", "c2")


def test_a_skip_over_the_bottom_of_a_u_leaves_no_cut_inside() -> None:
    nodes = [
        node("MatMul", "x w0", "top"),
        node("MatMul", "top w1", "down"),
        node("MatMul", "down w2", "bottom"),
        node("MatMul", "bottom w3", "up"),
        node("Add", "top up", "sum"),
        node("MatMul", "sum w4", "y"),
    ]
    found = joined(nodes, {f"w{index}": (8, 8) for index in range(5)})
    assert found.cuts() == ("x", "top", "sum", "y")


def test_the_batch_read_again_late_bypasses_nothing_that_was_learnt() -> None:
    nodes = [
        node("MatMul", "x w0", "a"),
        node("Relu", "a", "b"),
        node("MatMul", "b w1", "c"),
        node("Add", "x c", "d"),
        node("MatMul", "d w2", "y"),
    ]
    found = joined(nodes, {f"w{index}": (8, 8) for index in range(3)})
    assert found.layer_cuts() == ("a", "c")


def test_what_tokens_are_looked_up_to_is_no_batch_its_skips_count() -> None:
    """An embedded sequence is added to what attention makes of it: a query that is made of it is no cut."""
    nodes = [
        node("Gather", "table tokens", "e", axis=0),
        node("MatMul", "e w0", "query"),
        node("MatMul", "e w1", "key"),
        node("Mul", "query key", "m"),
        node("Add", "e m", "sum"),
        node("MatMul", "sum w2", "y"),
    ]
    parameters = {name: normal(WIDTH, WIDTH) for name in ("table", "w0", "w1", "w2")}
    found = path(by_hand(nodes, parameters, {"tokens": torch.arange(WIDTH).reshape(4, 2)}))
    assert found.cuts() == ("e", "sum", "y")
    assert found.layer_cuts() == ("sum",)


def test_values_that_one_node_writes_are_no_cuts_as_each_passes_the_other() -> None:
    nodes = [
        node("MatMul", "x w0", "a"),
        Node("Split", ("a",), ("b", "c"), "halves", {"axis": 1, "num_outputs": 2}),
        node("Mul", "b c", "d"),
        node("MatMul", "d w1", "y"),
    ]
    found = joined(nodes, {"w0": (8, 8), "w1": (4, 3)})
    assert found.cuts() == ("x", "a", "d", "y")


def test_a_branch_that_does_not_reach_the_output_is_no_part_of_the_path() -> None:
    nodes = [node("MatMul", "x w0", "a"), node("MatMul", "x w1", "aside"), node("MatMul", "a w2", "y")]
    found = joined(nodes, {f"w{index}": (8, 8) for index in range(3)})
    assert found.values == ("x", "a", "y")


def test_a_value_that_only_shapes_come_from_is_no_part_of_the_path() -> None:
    nodes = [
        node("MatMul", "x w0", "a"),
        node("Shape", "a", "s"),
        node("ConstantOfShape", "s", "zeros"),
        node("Add", "a zeros", "y"),
    ]
    assert joined(nodes, {"w0": (8, 8)}).values == ("x", "a", "y")


def test_a_kernel_behind_a_transposition_is_the_layers_own() -> None:
    nodes = [node("Transpose", "w0", "turned", perm=(1, 0)), node("MatMul", "x turned", "a"), node("Tanh", "a", "y")]
    found = joined(nodes, {"w0": (8, 8)})
    assert found.weights["a"] == ("w0",)
    assert found.depth["y"] == 1


def test_a_product_of_two_signals_is_no_layer() -> None:
    nodes = [node("MatMul", "x w0", "a"), node("Transpose", "a", "t"), node("MatMul", "a t", "y")]
    found = joined(nodes, {"w0": (8, 8)})
    assert [found.is_layer(each) for each in found.nodes] == [True, False, False]


@pytest.mark.parametrize(
    ("layers", "shape", "axis"),
    [
        ([{"kind": "conv2d", "filters": 5, "kernel": 3}, RELU], (2, 6, 6), 1),
        ([dense(5), {"kind": "batch_norm"}, RELU], (8,), 1),
        ([dense(5), RELU], (7, 8), 2),
    ],
)
def test_features_lie_where_the_last_layer_put_them(
    layers: list[dict[str, object]], shape: tuple[int, ...], axis: int
) -> None:
    subject = described(layers, shape)
    assert path(subject).feature_axis(subject.output, len(shape) + 1) == axis


@pytest.mark.parametrize(
    ("nodes", "rank", "axis"),
    [
        ("turned", 4, 3),
        ("turned flat", 3, 2),
        ("turned again", 4, 1),
        ("", 4, 1),
        ("split shuffled joined", 4, 1),
    ],
)
def test_features_are_followed_through_transpositions(nodes: str, rank: int, axis: int) -> None:
    known = {
        "turned": lambda value, to: node("Transpose", value, to, perm=(0, 2, 3, 1)),
        "again": lambda value, to: node("Transpose", value, to, perm=(0, 3, 1, 2)),
        "flat": lambda value, to: node("Reshape", f"{value} rows", to),
        "split": lambda value, to: node("Reshape", f"{value} parts", to),
        "shuffled": lambda value, to: node("Transpose", value, to, perm=(0, 2, 1, 3, 4)),
        "joined": lambda value, to: node("Reshape", f"{value} whole", to),
    }
    words = nodes.split()
    ends = ["c", *(f"v{index}" for index in range(len(words)))]
    made = [known[word](*between) for word, between in zip(words, itertools.pairwise(ends), strict=True)]
    graph = Graph((node("Conv", "x w", "c"), *made, node("Relu", ends[-1], "y")), (), ("y",), {})
    assert Path(graph, ("x", *ends, "y"), "y").feature_axis("y", rank) == axis
