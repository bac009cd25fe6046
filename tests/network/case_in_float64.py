"""A case of ONNX's suite as a function of its float tensors, in float64: ours, and the reference evaluator's."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import torch
from float64 import NAMES_A_TYPE, NARROW, doubled
from onnx import ModelProto, TensorProto
from onnx.reference import ReferenceEvaluator
from suite import tensor
from torch import Tensor

from worker.network.flow import Flow, flow
from worker.network.graph import Graph, Node
from worker.network.model import interpret
from worker.network.run import Program

Floats: TypeAlias = dict[str, Tensor]
"""Float64 tensors by the name of the value that they are; those in a sequence by `name#place`."""


class Case:
    """A model and its inputs."""

    def __init__(self, model: ModelProto, inputs: Sequence[Any], seed: int) -> None:
        """Read both; Trouble where the model cannot be computed."""
        self._model = doubled(model)
        self._graph = interpret(self._model)
        self._program = _Wide(self._graph)
        self._seed = seed
        self._names = [each.name for each in self._model.graph.input]
        self._given = {name: _wide(tensor(value)) for name, value in zip(self._names, inputs, strict=False)}
        held = {each.name for each in self._model.graph.initializer} - self._given.keys()
        whole = {**self._given, **{name: self._graph.constants[name] for name in held & self._graph.constants.keys()}}
        self.start: Floats = {
            name: value for name, value in _flat(whole) if value.numel() and bool(value.isfinite().all())
        }

    def outputs(self, floats: Mapping[str, Tensor]) -> list[Tensor]:
        """Return the float outputs; those of a sequence one by one."""
        whole = self._filled(floats)
        constants = {name: value for name, value in whole.items() if name not in self._given}
        generator = torch.Generator().manual_seed(self._seed)
        found = self._program.run(whole, constants, training=None, generator=generator)
        return [value for _, value in _flat({name: found[name] for name in self._graph.outputs})]

    def reference(self) -> Callable[[Mapping[str, Tensor]], list[Tensor]]:
        """Return the same function, by onnx's reference evaluator."""
        evaluator = ReferenceEvaluator(self._model)

        def outputs(floats: Mapping[str, Tensor]) -> list[Tensor]:
            whole = {name: _array(value) for name, value in self._filled(floats).items()}
            with np.errstate(all="ignore"):
                found = evaluator.run(None, whole)
            return [value for _, value in _flat(dict(zip(self._graph.outputs, map(_torch, found), strict=True)))]

        return outputs

    @cached_property
    def flows(self) -> Mapping[str, Flow]:
        """How far a gradient at each float tensor comes, by the operators' marks."""
        return {name: flow(self._graph, [name.partition("#")[0]]) for name in self.start}

    @cached_property
    def judged(self) -> list[str]:
        """The tensors that a gradient can come back to."""
        ends = set(self._graph.outputs)
        return [name for name in self.start if self.flows[name].reached & ends]

    @property
    def others(self) -> list[str]:
        """The tensors that none can come back to."""
        return [name for name in self.start if name not in self.judged]

    @property
    def cuts(self) -> list[str]:
        """The operators that cut a gradient."""
        return sorted({cut.op for found in self.flows.values() for cut, _ in found.steps})

    def _filled(self, floats: Mapping[str, Tensor]) -> dict[str, Any]:
        """Return all inputs, and the file's own tensors, with these floats in their places."""
        filled: dict[str, Any] = {**self._given, **{name: value for name, value in floats.items() if "#" not in name}}
        for name, value in floats.items():
            stem, _, place = name.partition("#")
            if place:
                filled[stem] = [value if str(at) == place else each for at, each in enumerate(filled[stem])]
        return filled


class _Wide(Program):
    """A program in which operators that are computed by their definition compute in float64 too."""

    def _expanded(self, step: Any, inputs: list[Any]) -> Program:  # noqa: ANN401
        program = super()._expanded(step, inputs)
        if not isinstance(program, _Wide):
            kind = next(kind for kind, each in step.expanded.items() if each is program)
            step.expanded[kind] = program = _Wide(
                program.graph.replace(nodes=tuple(map(_widened, program.graph.nodes)))
            )
        return program


def _widened(node: Node) -> Node:
    """Return a node that gives float64 where it gave narrower floats."""
    attributes = {name: _wide(value) for name, value in node.attributes.items()}
    attributes |= {name: TensorProto.DOUBLE for name in NAMES_A_TYPE & attributes.keys() if attributes[name] in NARROW}
    for name in attributes.keys() & {"value_float", "value_floats"} if node.op == "Constant" else ():
        attributes["value"] = torch.tensor(attributes.pop(name), dtype=torch.float64)
    if node.op == "ConstantOfShape":
        attributes.setdefault("value", torch.zeros(1, dtype=torch.float64))
    return replace(node, attributes=attributes)


def _wide(value: Any) -> Any:  # noqa: ANN401  a tensor, a sequence or graph of such, or nothing
    if isinstance(value, list):
        return [_wide(each) for each in value]
    if isinstance(value, Graph):
        constants = {name: _wide(each) for name, each in value.constants.items()}
        return value.replace(nodes=tuple(map(_widened, value.nodes)), constants=constants)
    narrow = isinstance(value, Tensor) and value.dtype in {torch.float16, torch.bfloat16, torch.float32}
    return value.double() if narrow else value


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """Yield the float64 tensors among values, and in their sequences."""
    for name, value in values.items():
        listed = enumerate(value) if isinstance(value, list) else [("", value)]
        for place, each in listed:
            if isinstance(each, Tensor) and each.dtype == torch.float64:
                yield f"{name}#{place}" if isinstance(value, list) else name, each


def _array(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, list):
        return [_array(each) for each in value]
    return value.detach().numpy() if isinstance(value, Tensor) else value


def _torch(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, list):
        return [_torch(each) for each in value]
    held = np.ascontiguousarray(value) if isinstance(value, np.ndarray | np.generic) else None
    return value if held is None or held.dtype != np.float64 else torch.from_numpy(held).reshape(np.shape(value))
