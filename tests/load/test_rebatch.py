"""Files written for one batch size: those that take any are told from those that do not."""

import pytest
import torch
from torch import Tensor

from worker.load.rebatch import rebatchable
from worker.network.graph import Graph, Input, Node, Parameter
from worker.network.run import Program

W = {"w": Parameter(torch.randn(3, 4))}
DENSE = Node("MatMul", ("x", "w"), ("h",), name="dense")


def graph(last: Node, first: int | str = 1, **constants: Tensor) -> Graph:
    return Graph((DENSE, last), (Input("x", torch.float32, (first, 3)),), ("y",), W, constants)


def test_a_network_that_treats_samples_alone_takes_any_batch() -> None:
    relu = Node("Relu", ("h",), ("y",), name="relu")
    assert rebatchable(graph(relu)).inputs[0].shape == ("batch", 3)


@pytest.mark.parametrize("shape", [[2, -1], [2, 2, 2], [2, 4]])
def test_a_reshape_to_the_files_batch_is_loosened(shape: list[int]) -> None:
    reshape = Node("Reshape", ("h", "s"), ("y",), name="reshape")
    freed = rebatchable(graph(reshape, first=2, s=torch.tensor(shape)))
    assert freed.inputs[0].shape == ("batch", 3)
    x = torch.randn(7, 3)
    expected = (x @ W["w"].value).reshape(7, *shape[1:])
    torch.testing.assert_close(Program(freed).run({"x": x})["y"], expected)


def test_a_reshape_that_joins_samples_keeps_the_batch_fixed() -> None:
    reshape = Node("Reshape", ("h", "s"), ("y",), name="reshape")
    fixed = graph(reshape, s=torch.tensor([4]))
    assert rebatchable(fixed) is fixed


def test_an_operator_that_mixes_samples_keeps_the_batch_fixed() -> None:
    mixed = graph(Node("Softmax", ("h",), ("y",), name="mix", attributes={"axis": 0}))
    assert rebatchable(mixed) is mixed


def test_a_free_batch_stays_as_it_is() -> None:
    free = graph(Node("Relu", ("h",), ("y",), name="relu"), first="n")
    assert rebatchable(free) is free
