"""One operator with its inputs and attributes, and the versions of ai.onnx in which that is written so."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

Array: TypeAlias = np.ndarray[Any, Any]
NEWEST = 28
IR_VERSION = 10


@dataclass(frozen=True)
class Case:
    """A node that opsets `since` to `until` allow."""

    operator: str
    inputs: tuple[Array | None, ...]
    attributes: dict[str, Any]
    since: int = 7
    until: int = NEWEST
    outputs: int = 1
    skipped: tuple[int, ...] = ()
    """Outputs without a name."""
    truth: str = ""
    """The one runtime that is asked, where another is known to be wrong."""
    stated: tuple[Array, ...] = ()
    """The outputs, where no runtime computes them."""
    same_as: int | None = None
    """The newest opset that means the same and that onnxruntime runs, where it has no kernel for a newer one."""

    def model(self, opset: int) -> ModelProto:
        """Return a model of this one node."""
        node = self.node()
        inputs = [
            helper.make_tensor_value_info(name, kind(value), value.shape)
            for name, value in zip(node.input, self.inputs, strict=True)
            if value is not None
        ]
        outputs = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
        graph = helper.make_graph([node], "g", inputs, outputs)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSION)

    def node(self) -> NodeProto:
        """Return the node."""
        names = ["" if value is None else f"x{at}" for at, value in enumerate(self.inputs)]
        results = ["" if at in self.skipped else f"y{at}" for at in range(self.outputs)]
        return helper.make_node(self.operator, names, results, name="node", **self.attributes)

    def fed(self) -> dict[str, Array]:
        """Return the inputs by name."""
        return {f"x{at}": value for at, value in enumerate(self.inputs) if value is not None}


def kind(value: Array) -> int:
    """Return ONNX's type of an array."""
    return helper.np_dtype_to_tensor_dtype(value.dtype)


def case(operator: str, *inputs: Array | None, **settings: Any) -> Case:  # noqa: ANN401  attributes are of any kind
    """Return a case; settings that are not the case's own are attributes of the node."""
    own = {name: settings.pop(name) for name in list(settings) if name in Case.__dataclass_fields__}
    return Case(operator, inputs, settings, **own)


def floats(*shape: int, seed: int = 0, low: float = -2, high: float = 2, dtype: str = "float32") -> Array:
    """Return evenly spread random numbers."""
    return np.random.default_rng((seed, *shape)).uniform(low, high, shape).astype(dtype)


def whole(*shape: int, seed: int = 0, low: int = -4, high: int = 5, dtype: str = "int64") -> Array:
    """Return random whole numbers from `low` to below `high`."""
    return np.random.default_rng((seed, *shape)).integers(low, high, shape).astype(dtype)


def truths(*shape: int, seed: int = 0) -> Array:
    """Return random truth values."""
    return np.random.default_rng((seed, *shape)).integers(0, 2, shape).astype(bool)


def ints(*values: int) -> Array:
    """Return a vector of 64-bit whole numbers."""
    return np.array(values, dtype=np.int64)


def one(value: float | bool, dtype: str = "int64") -> Array:  # noqa: FBT001  a value of any kind
    """Return a scalar."""
    return np.array(value, dtype=dtype)


def given(name: str, code: int = TensorProto.FLOAT, shape: Sequence[int] | None = None) -> ValueInfoProto:
    """Return an input or output of a subgraph."""
    return helper.make_tensor_value_info(name, code, shape)


def body(nodes: Sequence[NodeProto], inputs: Sequence[ValueInfoProto], outputs: Sequence[ValueInfoProto]) -> GraphProto:
    """Return a subgraph."""
    return helper.make_graph(nodes, "body", inputs, outputs)
