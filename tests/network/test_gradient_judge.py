"""The judge of gradients finds what is put in its way: operators whose gradient is wrong, missing, or not marked."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))

from gradient_judge import judge

from worker.network.ops import op, operators

DOMAIN = "test.judge"


def right(x: Tensor) -> Tensor:
    """x³, with its gradient."""
    return x**3


def doubled(x: Tensor) -> Tensor:
    """x³, with twice its gradient."""
    return 2 * x**3 - (x**3).detach()


def detached(x: Tensor) -> Tensor:
    """x³, without a gradient."""
    return x.detach() ** 3


def partly(x: Tensor) -> Tensor:
    """x³, with a gradient for all but the first element."""
    return torch.cat([x[:1].detach(), x[1:]]) ** 3


def model(operator: str) -> onnx.ModelProto:
    """Return a model of one operator."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node(operator, ["x"], ["y"], domain=DOMAIN)],
        "one",
        [value("x", TensorProto.FLOAT, [4])],
        [value("y", TensorProto.FLOAT, [4])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid(DOMAIN, 1)])


@pytest.fixture
def registered() -> Iterator[Callable[..., str]]:
    """Register functions as operators of a test's own."""
    len(operators)
    before = dict(operators._things)  # noqa: SLF001  nothing else takes an operator away again

    def register(function: Callable[[Tensor], Tensor], *, gradient: bool = True) -> str:
        name = f"{function.__name__}_{gradient}"
        op(name, domain=DOMAIN, gradient=gradient)(function)
        return name

    yield register
    operators._things.clear()  # noqa: SLF001
    operators._things.update(before)  # noqa: SLF001


@pytest.mark.parametrize(
    ("function", "verdict"), [(right, "right"), (doubled, "wrong"), (partly, "wrong"), (detached, "missing")]
)
def test_a_gradient_is_told_right_wrong_or_missing(
    registered: Callable[..., str], function: Callable[[Tensor], Tensor], verdict: str
) -> None:
    name = registered(function)
    found = judge("case", model(name), [np.linspace(-1, 2, 4, dtype=np.float32)])
    assert found.verdict == verdict, found.reason


def test_a_marked_operator_has_none_whatever_its_function_does(registered: Callable[..., str]) -> None:
    name = registered(right, gradient=False)
    found = judge("case", model(name), [np.linspace(-1, 2, 4, dtype=np.float32)])
    assert (found.verdict, found.reason) == ("cut", name)
