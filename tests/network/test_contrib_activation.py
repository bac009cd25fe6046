"""onnxruntime's activation functions, against onnxruntime; those it has no kernel for, against their parts."""

from collections.abc import Callable, Mapping

import pytest
import torch
from torch.nn import functional

from worker.network.graph import Graph, Input, Node
from worker.network.run import Program

Oracle = Callable[..., float]
Gradients = Callable[..., None]
Ours = Callable[..., list[torch.Tensor]]
Shapes = tuple[tuple[int, ...], ...]
CASES: list[tuple[str, Shapes, Mapping[str, float]]] = [
    ("Gelu", ((3, 5),), {}),
    ("FastGelu", ((2, 3, 8),), {}),
    ("FastGelu", ((2, 3, 8), (8,)), {}),
    ("QuickGelu", ((3, 5),), {}),
    ("QuickGelu", ((3, 5),), {"alpha": 0.7}),
    ("QuickGelu", ((3, 5),), {"alpha": 1.0}),
    ("BiasGelu", ((2, 3, 8), (8,)), {}),
    ("ScaledSiLU", ((3, 5),), {}),
    ("ScaledSiLU", ((3, 5),), {"alpha": 0.5}),
    ("ScaledSiLU", ((3, 5), ()), {"alpha": 0.5}),
    ("GatedAdd", ((2, 3, 4), (2, 3, 4), (2, 3, 1)), {}),
]


@pytest.mark.parametrize(("op", "shapes", "attributes"), CASES)
def test_an_activation_is_onnxruntimes(
    oracle: Oracle, gradients: Gradients, op: str, shapes: Shapes, attributes: Mapping[str, float]
) -> None:
    inputs = [3 * torch.randn(shape) for shape in shapes]
    oracle(op, *inputs, **attributes)
    gradients(op, *inputs, **attributes)


def test_a_split_gelu_gates_the_first_half_by_the_second(ours: Ours, gradients: Gradients) -> None:
    x, bias = torch.randn(2, 3, 8), torch.randn(8)
    plain, gate = torch.tensor_split(x + bias, 2, -1)
    torch.testing.assert_close(ours("BiasSplitGelu", x, bias)[0], plain * functional.gelu(gate))
    gradients("BiasSplitGelu", x, bias)


def test_a_bias_and_a_skip_are_added(ours: Ours, gradients: Gradients) -> None:
    x, bias, skip = torch.randn(2, 3, 4), torch.randn(4), torch.randn(2, 3, 4)
    torch.testing.assert_close(ours("BiasAdd", x, bias, skip)[0], x + bias + skip)
    gradients("BiasAdd", x, bias, skip)


@pytest.mark.parametrize("mask", [(2, 1, 1, 5), (1, 1, 4, 5), (4, 5), (2, 3, 4, 5)])
def test_a_masked_softmax_is_that_of_the_sum(ours: Ours, gradients: Gradients, mask: tuple[int, ...]) -> None:
    data, bias = torch.randn(2, 3, 4, 5), torch.randn(mask)
    inner = int(mask[0] == 2)
    torch.testing.assert_close(
        ours("BiasSoftmax", data, bias, axis=3, is_inner_broadcast=inner)[0], torch.softmax(data + bias, -1)
    )
    flat = torch.softmax((data + bias).reshape(2, 3, 20), -1).reshape(2, 3, 4, 5)
    torch.testing.assert_close(ours("BiasSoftmax", data, bias, axis=2, is_inner_broadcast=inner)[0], flat)
    gradients("BiasSoftmax", data, bias, axis=3, is_inner_broadcast=inner)


def test_a_dropout_with_bias_drops_before_the_residual_is_added() -> None:
    x = Input("x", torch.float32, ("batch", 1000))
    held = {"bias": torch.full((1000,), 2.0), "residual": torch.full((1000,), 5.0), "ratio": torch.tensor(0.25)}
    node = Node("BiasDropout", ("x", "bias", "residual", "ratio"), ("y", "mask"), "drop", domain="com.microsoft")
    graph = Graph((node,), (x,), ("y", "mask"), {}, held, {"": 17, "com.microsoft": 1})
    program, zeros = Program(graph), torch.zeros(4, 1000)
    torch.testing.assert_close(program.run({"x": zeros})["y"], torch.full((4, 1000), 7.0))
    run = program.run({"x": zeros}, training=True, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(run["y"], torch.where(run["mask"], 2 / 0.75, 0.0) + 5)
    assert 0.7 < float(run["mask"].float().mean()) < 0.8
