"""What constants alone decide is worked out once, and computes the same."""

import torch
from torch import Tensor

from worker.network.fold import SMALL, folded
from worker.network.graph import Graph, Input, Node
from worker.network.run import Program

SIZES = (
    Node("Unsqueeze", ("two", "zero"), ("pair",), "unsqueeze"),
    Node("Concat", ("minus", "pair"), ("shape",), "concat", {"axis": 0}),
    Node("Reshape", ("x", "shape"), ("y",), "reshape"),
)
HELD = {"two": torch.tensor(2), "zero": torch.tensor([0]), "minus": torch.tensor([-1])}


def graph(*nodes: Node, **constants: Tensor) -> Graph:
    return Graph(nodes, (Input("x", torch.float32, ("batch", 4)),), ("y",), {}, constants)


def test_sizes_made_of_constants_are_constants() -> None:
    simpler = folded(graph(*SIZES, **HELD))
    assert [node.name for node in simpler.nodes] == ["reshape"]
    assert simpler.constants["shape"].tolist() == [-1, 2]


def test_the_outputs_stay_the_same_run_after_run() -> None:
    program, x = Program(graph(*SIZES, **HELD)), torch.randn(3, 4)
    assert all(torch.equal(program.run({"x": x})["y"], x.reshape(-1, 2)) for _ in range(2))


def test_an_output_may_be_decided_by_constants_alone() -> None:
    program = Program(graph(Node("Neg", ("two",), ("y",), "neg"), **HELD))
    assert program.run({"x": torch.zeros(1, 4)})["y"] == -2


def test_what_is_large_random_or_wrong_stays() -> None:
    large = Node("Neg", ("many",), ("y",), "neg")
    noise = Node("RandomNormalLike", ("two",), ("y",), "noise")
    wrong = Node("Add", ("three", "two_of"), ("y",), "wrong")
    held = {**HELD, "many": torch.zeros(SMALL + 1), "three": torch.zeros(3), "two_of": torch.zeros(2)}
    for node in (large, noise, wrong):
        assert folded(graph(node, **held)).nodes == (node,)


def test_measuring_sees_the_files_own_values() -> None:
    assert "pair" in Program(graph(*SIZES, **HELD)).trace({"x": torch.zeros(1, 4)}).values
