"""onnxruntime as the truth for one operator: the same node runs there and here."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper
from torch import Tensor

from worker.network.dtypes import ONNX
from worker.network.export import attribute_proto, tensor_proto
from worker.network.graph import Attribute
from worker.network.model import interpret
from worker.network.run import Program

LARGE = 60
"""Numbers from which on gradients are checked in random directions, not one by one."""
Inputs: TypeAlias = Sequence[Tensor | None]
Outputs: TypeAlias = int | Sequence[torch.dtype]
"""How many outputs, or their types where onnxruntime does not infer them."""


class OneNode:
    """A model of one operator of onnxruntime's own domain, or of ONNX's."""

    def __init__(self, op: str, attributes: Mapping[str, Attribute], outputs: Outputs, domain: str, opset: int) -> None:
        """Note the node."""
        self.op = op
        self.attributes = attributes
        self.domain = domain
        self.opset = opset
        kinds = [None] * outputs if isinstance(outputs, int) else outputs
        self.written = {f"y{place}": kind for place, kind in enumerate(kinds)}

    def model(self, inputs: Inputs, held: Sequence[int] = ()) -> onnx.ModelProto:
        """Return the model, with the inputs at the places `held` as its own tensors."""
        names = ["" if value is None else f"x{place}" for place, value in enumerate(inputs)]
        node = helper.make_node(self.op, names, list(self.written), domain=self.domain)
        node.attribute.extend(attribute_proto(name, value) for name, value in self.attributes.items())
        graph = helper.make_graph(
            [node],
            "one",
            [
                helper.make_tensor_value_info(f"x{place}", ONNX[value.dtype], value.shape)
                for place, value in enumerate(inputs)
                if value is not None and place not in held
            ],
            [_value(name, kind) for name, kind in self.written.items()],
            [tensor_proto(f"x{place}", value) for place in held if (value := inputs[place]) is not None],
        )
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)

    def ours(self, inputs: Inputs, held: Sequence[int] = ()) -> list[Tensor]:
        """Return what we compute."""
        results = Program(interpret(self.model(inputs, held))).run(_fed(inputs))
        return [results[name] for name in self.written]

    def theirs(self, inputs: Inputs, held: Sequence[int] = ()) -> list[Tensor]:
        """Return what onnxruntime computes, with none of its own optimisations."""
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        model = self.model(inputs, held).SerializeToString()
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        wanted = {each.name for each in session.get_inputs()}
        given = {name: value.numpy() for name, value in _fed(inputs).items() if name in wanted}
        results = session.run(list(self.written), given)
        return [torch.from_numpy(np.array(each)) for each in results]


def _value(name: str, kind: torch.dtype | None) -> onnx.ValueInfoProto:
    return onnx.ValueInfoProto(name=name) if kind is None else helper.make_tensor_value_info(name, ONNX[kind], None)


def _fed(inputs: Inputs) -> dict[str, Tensor]:
    return {f"x{place}": value for place, value in enumerate(inputs) if value is not None}


@pytest.fixture
def oracle() -> Callable[..., float]:
    """Return what holds an operator's outputs to onnxruntime's; torch's random numbers are the same in every test."""
    torch.manual_seed(0)
    return _agrees


def _agrees(
    op: str,
    *inputs: Tensor | None,
    outputs: Outputs = 1,
    compared: int = 100,
    held: Sequence[int] = (),
    tolerance: float = 2e-5,
    domain: str = "com.microsoft",
    version: int = 21,
    **attributes: Attribute,
) -> float:
    """Assert that outputs have onnxruntime's types, shapes and values; return the worst difference.

    The first `compared` outputs are looked at: what onnxruntime leaves undefined may follow.
    `tolerance` is relative to the larger of 1 and the output's largest number.
    """
    node = OneNode(op, attributes, outputs, domain, version)
    pairs = list(zip(node.ours(inputs, held), node.theirs(inputs, held), strict=True))
    errors = [_difference(*pair) for pair in pairs[:compared]]
    assert max(errors) <= tolerance
    return max(errors)


def _difference(ours: Tensor, theirs: Tensor) -> float:
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    if not theirs.numel():
        return 0.0
    return float((ours.double() - theirs.double()).abs().max()) / max(1.0, float(theirs.double().abs().max()))


@pytest.fixture
def gradients() -> Callable[..., None]:
    """Return what holds an operator's gradients at its float inputs to finite differences, in float64."""
    return _differentiates


def _differentiates(
    op: str,
    *inputs: Tensor | None,
    outputs: Outputs = 1,
    domain: str = "com.microsoft",
    version: int = 21,
    **attributes: Attribute,
) -> None:
    node = OneNode(op, attributes, outputs, domain, version)
    wide = [each.double() if each is not None and each.is_floating_point() else each for each in inputs]
    program = Program(interpret(node.model(wide)))
    whole = _fed(wide)
    names = [name for name, value in whole.items() if value.is_floating_point()]

    def run(*values: Tensor) -> tuple[Tensor, ...]:
        results = program.run({**whole, **dict(zip(names, values, strict=True))})
        return tuple(results[name] for name in node.written if results[name].is_floating_point())

    wanted = [whole[name].clone().requires_grad_() for name in names]
    assert torch.autograd.gradcheck(run, wanted, fast_mode=sum(map(torch.numel, wanted)) > LARGE)


@pytest.fixture
def ours() -> Callable[..., list[Tensor]]:
    """Return what computes an operator here, for those that onnxruntime's CPU build has no kernel for."""
    torch.manual_seed(0)
    return _ours


def _ours(op: str, *inputs: Tensor | None, outputs: Outputs = 1, **attributes: Attribute) -> list[Tensor]:
    return OneNode(op, attributes, outputs, "com.microsoft", 21).ours(inputs)
