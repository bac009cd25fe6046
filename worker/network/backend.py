"""ONNX's official backend interface over our interpreter, so that `onnx.backend.test` and others can drive it.

    from worker.network.backend import TorchBackend

    outputs = TorchBackend.run_model(onnx.load("model.onnx"), [x])

Values are numpy's: arrays of the file's own types, lists for sequences, None for an optional that is absent.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
import torch
from onnx import ModelProto, NodeProto, TypeProto, defs, helper
from onnx.backend.base import Backend, BackendRep, namedtupledict

from service.contract.problem import BatchMismatch
from worker.network import model as networks
from worker.network import proto
from worker.network.graph import Graph
from worker.network.run import Program

Given: TypeAlias = Sequence[Any] | Mapping[str, Any] | np.ndarray
"""Inputs in the graph's order, by name, or the only one."""


class TorchRep(BackendRep):
    """A model that is ready to run."""

    def __init__(self, model: ModelProto, device: torch.device) -> None:
        """Read the model; Trouble where it cannot be computed."""
        self.graph = networks.interpret(model)
        self._program = Program(self.graph, device)
        self._outputs = namedtupledict("Outputs", list(self.graph.outputs))

    def run(self, inputs: Given, **kwargs: Any) -> tuple[Any, ...]:  # noqa: ANN401
        """Return the outputs for inputs; `seed=0` draws what is random.  Trouble where they do not fit."""
        generator = torch.Generator(self._program.device).manual_seed(kwargs.get("seed", 0))
        with torch.no_grad():
            found = self._program.run(_by_name(inputs, self.graph), training=None, generator=generator)
        return self._outputs(*(proto.array(found[name]) for name in self.graph.outputs))


class TorchBackend(Backend):
    """Our operators behind onnx's interface."""

    @classmethod
    def prepare(cls, model: ModelProto, device: str = "CPU", **_kwargs: object) -> TorchRep:
        """Return a model ready to run; onnx.checker.ValidationError or Trouble where it is none."""
        onnx.checker.check_model(model)
        return TorchRep(model, _device(device))

    @classmethod
    def run_model(cls, model: ModelProto, inputs: Given, device: str = "CPU", **kwargs: Any) -> tuple[Any, ...]:  # noqa: ANN401
        """Return the outputs of a model for inputs."""
        return cls.prepare(model, device).run(inputs, **kwargs)

    @classmethod
    def run_node(
        cls,
        node: NodeProto,
        inputs: Given,
        device: str = "CPU",
        outputs_info: object = None,  # noqa: ARG003  the interface's; our outputs say themselves what they are
        **kwargs: Any,  # noqa: ANN401
    ) -> tuple[Any, ...]:
        """Return the outputs of one operator, at `opset_version` of ONNX (the newest by default), for inputs."""
        model = _around(node, inputs, kwargs.pop("opset_version", defs.onnx_opset_version()))
        return TorchRep(model, _device(device)).run(inputs, **kwargs)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether this machine has the device: `CPU`, `CUDA`, `CUDA:1` …."""
        kind, _, index = device.partition(":")
        if kind != "CUDA":
            return kind == "CPU"
        return torch.cuda.is_available() and int(index or 0) < torch.cuda.device_count()


prepare, run_model, run_node = TorchBackend.prepare, TorchBackend.run_model, TorchBackend.run_node
supports_device, is_compatible = TorchBackend.supports_device, TorchBackend.is_compatible


def _device(name: str) -> torch.device:
    if not TorchBackend.supports_device(name):
        msg = f"There is no device {name!r} here."
        raise RuntimeError(msg)
    return torch.device(name.lower())


def _by_name(given: Given, graph: Graph) -> dict[str, Any]:
    """Return the inputs by name; BatchMismatch where there are too many."""
    if isinstance(given, Mapping):
        return {name: proto.value(each) for name, each in given.items()}
    listed = [given] if isinstance(given, np.ndarray) else list(given)
    if len(listed) > len(graph.inputs):
        msg = f"The model has {len(graph.inputs)} inputs, and {len(listed)} were given."
        raise BatchMismatch(msg)
    return {each.name: proto.value(value) for each, value in zip(graph.inputs, listed, strict=False)}


def _around(node: NodeProto, inputs: Given, version: int) -> ModelProto:
    """Return a model of one node."""
    names = [name for name in dict.fromkeys(node.input) if name]
    given = _types(names, inputs)
    graph = helper.make_graph(
        [node],
        "node",
        [helper.make_value_info(name, kind) for name, kind in given.items()],
        [onnx.ValueInfoProto(name=name) for name in node.output if name],
    )
    imports = [helper.make_opsetid("", version)]
    if node.domain:
        imports.append(helper.make_opsetid(node.domain, 1))
    return helper.make_model(graph, opset_imports=imports)


def _types(names: Sequence[str], inputs: Given) -> dict[str, TypeProto]:
    listed = [inputs[name] for name in names] if isinstance(inputs, Mapping) else list(inputs)
    arrays = dict(zip(names, listed, strict=True))
    return {
        name: helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(np.asarray(value).dtype), None)
        for name, value in arrays.items()
    }
