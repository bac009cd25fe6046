"""The faster form of a graph: the same outputs and gradients as node by node, in fewer steps."""

import math

import pytest
import torch
from torch import Tensor

from worker.network.fuse import fused
from worker.network.graph import Graph, Input, Node, Parameter
from worker.network.run import Program

HALF, ONE, ROOT = "half", "one", "root"
SCALED = Node("Div", ("x", ROOT), ("scaled",), "scale")
ERF = Node("Erf", ("scaled",), ("erf",), "erf")
MORE = Node("Add", ("erf", ONE), ("more",), "more")
PRODUCT = Node("Mul", ("x", "more"), ("product",), "product")
LAST = Node("Mul", ("product", HALF), ("y",), "last")
GELUS = {
    "torch's": (SCALED, ERF, MORE, PRODUCT, LAST),
    "half of x first": (
        SCALED,
        ERF,
        MORE,
        Node("Mul", ("x", HALF), ("product",), "product"),
        Node("Mul", ("product", "more"), ("y",), "last"),
    ),
    "half of the sum first": (
        Node("Mul", ("inverse", "x"), ("scaled",), "scale"),
        ERF,
        Node("Add", (ONE, "erf"), ("more",), "more"),
        Node("Mul", (HALF, "more"), ("product",), "product"),
        Node("Mul", ("product", "x"), ("y",), "last"),
    ),
}


def graph(*nodes: Node, outputs: tuple[str, ...] = ("y",), **parameters: Tensor) -> Graph:
    numbers = {HALF: 0.5, ONE: 1.0, ROOT: math.sqrt(2), "inverse": math.sqrt(0.5), "third": 1 / 3}
    return Graph(
        nodes=nodes,
        inputs=(Input("x", torch.float32, ("batch", 4)),),
        outputs=outputs,
        parameters={name: Parameter(value) for name, value in parameters.items()},
        constants={name: torch.tensor(number) for name, number in numbers.items()},
    )


def ops(given: Graph) -> list[str]:
    return [node.op for node in fused(given).nodes]


def compare(given: Graph) -> None:
    """Assert that values and gradients of both forms agree in float64."""
    torch.manual_seed(0)
    x = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    held = {name: each.value.double().requires_grad_() for name, each in given.parameters.items()}
    program = Program(given)
    fast = program.run({"x": x}, held)["y"]
    plain = program.trace({"x": x}, held).values["y"]
    direction = torch.randn_like(plain)
    leaves = [x, *held.values()]
    pairs = zip(
        torch.autograd.grad(fast, leaves, direction), torch.autograd.grad(plain, leaves, direction), strict=True
    )
    assert torch.allclose(fast, plain, 1e-6, 1e-7)  # the file's own √2 has seven digits
    assert all(torch.allclose(one, other, 1e-6, 1e-6) for one, other in pairs)


@pytest.mark.parametrize("nodes", GELUS.values(), ids=GELUS)
def test_a_gelu_by_way_of_erf_is_one_step(nodes: tuple[Node, ...]) -> None:
    given = graph(*nodes)
    assert ops(given) == ["Gelu"]
    compare(given)


@pytest.mark.parametrize(
    "nodes",
    [
        (SCALED, ERF, MORE, PRODUCT, Node("Mul", ("product", "third"), ("y",), "last")),
        (SCALED, ERF, Node("Add", ("erf", HALF), ("more",), "more"), PRODUCT, LAST),
        (Node("Div", ("x", "third"), ("scaled",), "scale"), ERF, MORE, PRODUCT, LAST),
        (Node("Tanh", ("x",), ("z",), "z"), Node("Div", ("z", ROOT), ("scaled",), "scale"), ERF, MORE, PRODUCT, LAST),
    ],
    ids=["times a third", "plus a half", "by a third", "of something else"],
)
def test_what_only_looks_like_a_gelu_stays(nodes: tuple[Node, ...]) -> None:
    assert ops(graph(*nodes)) == [node.op for node in nodes]


def test_a_part_that_somebody_else_reads_is_not_joined() -> None:
    nodes = GELUS["torch's"]
    assert "Erf" in ops(graph(*nodes, Node("Neg", ("erf",), ("z",), "z")))
    assert "Erf" in ops(graph(*nodes, outputs=("y", "erf")))
    inner = Graph((Node("Neg", ("erf",), ("inner",), "inner"),), (), ("inner",), {})
    assert "Erf" in ops(graph(*nodes, Node("If", (ONE,), ("z",), "z", {"then_branch": inner, "else_branch": inner})))


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_product_with_a_matrix_and_its_bias_are_one_step(*, swapped: bool, transposed: bool) -> None:
    weight = torch.randn(3, 4) if transposed else torch.randn(4, 3)
    turn = (Node("Transpose", ("w",), ("t",), "turn", {"perm": (1, 0)}),) if transposed else ()
    product = Node("MatMul", ("x", "t" if transposed else "w"), ("p",), "product")
    add = Node("Add", ("b", "p") if swapped else ("p", "b"), ("y",), "add")
    given = graph(*turn, product, add, w=weight, b=torch.randn(3))
    assert ops(given) == [*(node.op for node in turn), "Linear"]
    compare(given)


@pytest.mark.parametrize("bias", [(1,), (5, 3), ()], ids=str)
def test_a_bias_of_another_shape_is_added_as_it_is(bias: tuple[int, ...]) -> None:
    product, add = Node("MatMul", ("x", "w"), ("p",), "product"), Node("Add", ("p", "b"), ("y",), "add")
    given = graph(product, add, w=torch.randn(4, 3), b=torch.randn(bias))
    assert ops(given) == ["MatMul", "Add"]
    compare(given)


def test_measuring_sees_the_files_own_values() -> None:
    values = Program(graph(*GELUS["torch's"])).trace({"x": torch.ones(1, 4)}).values
    assert {"scaled", "erf", "more", "product", "y"} <= values.keys()
