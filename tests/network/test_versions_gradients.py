"""Gradients of operators that are computed by one of torch's kernels where it fits, and by our own steps elsewhere.

The truth is finite differences in float64.
"""

import numpy as np
import pytest
import torch

from tests.network.test_versions import CASES
from tests.network.versions.case import NEWEST, Case
from worker.network.model import interpret
from worker.network.ops import find
from worker.network.run import Program

NORMALIZING = ("BatchNormalization", "GroupNormalization", "InstanceNormalization", "LayerNormalization")
WINDOWED = ("AveragePool", "ConvTranspose", "MaxPool", "MaxRoiPool", "MaxUnpool", "Resize")
MANY = 900
"""More numbers than finite differences are quick with."""


@pytest.mark.parametrize("operator", ["Attention", *NORMALIZING, "RMSNormalization", *WINDOWED])
def test_gradients_are_those_of_finite_differences(operator: str) -> None:
    chosen = [case for case in CASES if case.operator == operator and case.until == NEWEST and differentiable(case)]
    assert chosen
    for case in chosen:
        assert agrees(case)


def differentiable(case: Case) -> bool:
    """Whether all floats are of single precision, and not too many."""
    kinds = {value.dtype.name for value in case.inputs if value is not None and value.dtype.kind == "f"}
    first = case.inputs[0]
    return first is not None and first.dtype == np.float32 and first.size < MANY and kinds == {"float32"}


def agrees(case: Case) -> bool:
    """Whether the gradients at all inputs that have one are those of finite differences."""
    graph = interpret(case.model(NEWEST))
    program, operator = Program(graph), find("", case.operator, NEWEST)
    assert operator is not None
    fed = {name: torch.from_numpy(value.copy()) for name, value in case.fed().items()}
    wide = {name: value.double() if value.is_floating_point() else value for name, value in fed.items()}
    names = [name for name, value in wide.items() if value.is_floating_point() and operator.passes(int(name[1:]))]

    def output(*values: torch.Tensor) -> torch.Tensor:
        return program.run({**wide, **dict(zip(names, values, strict=True))})[graph.outputs[0]]

    return torch.autograd.gradcheck(output, [wide[name].clone().requires_grad_() for name in names], fast_mode=True)
