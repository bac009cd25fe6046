"""Layers of several values: merges and products, against torch's own."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from service.contract.architecture import parse
from service.contract.problem import Invalid
from tests.load.described import IMAGE, VECTOR, draw, fill
from worker.load.architecture import lower
from worker.network.graph import Graph
from worker.network.run import Program


def joined(layer: dict[str, Any], *shapes: Sequence[int]) -> Graph:
    """Return the graph of one node that reads an input of each shape; its shape is the one promised."""
    names = [f"in{index}" for index in range(len(shapes))]
    given = {name: {"shape": shape} for name, shape in zip(names, shapes, strict=True)}
    document = {"gradgate": "1", "inputs": given, "nodes": [{"name": "out", "inputs": names, **layer}]}
    architecture = parse(json.dumps(document).encode())
    graph = lower(architecture, seed=0)
    assert sum(each.value.numel() for each in graph.parameters.values()) == architecture.weights()
    zeros = {name: torch.zeros(2, *shape) for name, shape in zip(names, shapes, strict=True)}
    assert Program(graph).run(zeros)["out"].shape[1:] == architecture.output_shape()
    return graph


def computed(layer: dict[str, Any], *values: Tensor) -> Tensor:
    """Return what one node makes of values."""
    graph = joined(layer, *(value.shape[1:] for value in values))
    return Program(graph).run({f"in{index}": value for index, value in enumerate(values)})["out"]


def test_bilinear_is_torchs_with_its_law() -> None:
    for front in ((), (7,)):
        one, other = draw((*front, 40)), draw((*front, 30), seed=1)
        graph = joined({"kind": "bilinear", "units": 20}, one.shape[1:], other.shape[1:])
        kernel, bias = (graph.parameters[f"out.{role}"].value for role in ("kernel", "bias"))
        module = fill(nn.Bilinear(40, 30, 20), {"weight": kernel, "bias": bias})
        found = Program(graph).run({"in0": one, "in1": other})["out"]
        torch.testing.assert_close(found, module(one, other), rtol=1e-5, atol=1e-4)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            theirs = nn.Bilinear(40, 30, 20).weight
        assert kernel.std().item() == pytest.approx(theirs.std().item(), rel=0.02)


@pytest.mark.parametrize(
    ("kind", "function"),
    [
        ("add", lambda a, b: a + b),
        ("multiply", lambda a, b: a * b),
        ("average", lambda a, b: (a + b) / 2),
        ("maximum", torch.maximum),
        ("minimum", torch.minimum),
        ("subtract", lambda a, b: a - b),
        ("divide", lambda a, b: a / b),
    ],
)
def test_merges_are_torchs_and_stretch_axes_of_size_1(kind: str, function: Callable[[Tensor, Tensor], Tensor]) -> None:
    for one, other in ((VECTOR, VECTOR), (IMAGE, (4, 1, 1)), ((1, 8), (7, 1))):
        a, b = draw(one), draw(other, seed=1).abs() + 0.5
        torch.testing.assert_close(computed({"kind": kind}, a, b), function(a, b))


def test_merges_take_many_values() -> None:
    values = [draw(VECTOR, seed=seed) for seed in range(4)]
    torch.testing.assert_close(computed({"kind": "multiply"}, *values), torch.stack(values).prod(0))
    torch.testing.assert_close(computed({"kind": "average"}, *values), torch.stack(values).mean(0))
    torch.testing.assert_close(computed({"kind": "maximum"}, *values), torch.stack(values).amax(0))


def test_products_of_two_values_are_torchs() -> None:
    a, b, c = draw((7, 8)), draw((7, 8), seed=1), draw((8, 3), seed=2)
    torch.testing.assert_close(computed({"kind": "dot"}, a, b), (a * b).sum(-1, keepdim=True))
    cosine = functional.cosine_similarity(a, b, -1).unsqueeze(-1)
    torch.testing.assert_close(computed({"kind": "dot", "normalize": True}, a, b), cosine)
    torch.testing.assert_close(computed({"kind": "matmul"}, a, c), a @ c)
    torch.testing.assert_close(computed({"kind": "matmul", "transpose": True}, a, b), a @ b.mT)


def test_concat_lays_channels_or_the_named_axis_behind_each_other() -> None:
    a, b = draw((4, 9, 8)), draw((2, 9, 8), seed=1)
    torch.testing.assert_close(computed({"kind": "concat"}, a, b), torch.cat([a, b], 1))
    a, b = draw((7, 8)), draw((3, 8), seed=1)
    torch.testing.assert_close(computed({"kind": "concat", "axis": 0}, a, b), torch.cat([a, b], 1))


def test_merges_of_values_that_do_not_fit_are_refused() -> None:
    for layer, shapes in (
        ({"kind": "add"}, ([8], [7])),
        ({"kind": "divide"}, ([8], [8], [8])),
        ({"kind": "concat"}, ([3, 9, 8], [3, 9, 7])),
        ({"kind": "dot"}, ([8], [7])),
        ({"kind": "matmul"}, ([7, 8], [7, 8])),
        ({"kind": "bilinear", "units": 2}, ([7, 8], [6, 8])),
    ):
        with pytest.raises(Invalid) as caught:
            joined(layer, *shapes)
        assert caught.value.pointer == "/nodes/0/inputs"
