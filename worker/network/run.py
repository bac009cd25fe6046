"""The interpreter: walks a graph's nodes in order and computes each with torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor

from service.contract.problem import BatchMismatch, OutOfMemory, Trouble
from worker.network import room
from worker.network.body import body, defined, unsupported
from worker.network.fold import folded
from worker.network.fuse import fused
from worker.network.graph import Graph, Node, names, reads
from worker.network.ops import Context, Operator, find
from worker.network.ops.fused import DOMAIN as JOINED
from worker.network.straight import straight

Values: TypeAlias = dict[str, Any]
"""Tensors by name; None where an optional argument of a function is absent."""

CPU = torch.device("cpu")
FAULTS = (RuntimeError, ValueError, IndexError, TypeError, KeyError, ArithmeticError, AttributeError, MemoryError)
"""What operators raise where inputs or attributes are not what they take, or need more memory than there is."""
STAYS = 1024
"""Whole-number vectors up to this length stay on the CPU, where shapes are read."""


@dataclass(frozen=True)
class Trace:
    """Every value that a run computed, still on torch's graph."""

    values: Mapping[str, Tensor]
    """Inputs, parameters and node outputs, by name."""
    states: Mapping[str, tuple[Tensor, ...]]
    """A recurrent node's state [batch, …] after each step, in the order of computation.

    Later steps are computed from these very tensors.  The key is the node's name; for a bidirectional one,
    `name#forward` and `name#backward`.
    """


@dataclass(frozen=True)
class _Step:
    """A node with the function that computes it."""

    node: Node
    opset: int
    operator: Operator | None
    """None where the operator's own definition is run."""
    bodies: Mapping[str, "Program"] = field(default_factory=dict)
    frees: tuple[str, ...] = ()
    """Values that nothing reads after this node."""
    expanded: dict[object, "Program"] = field(default_factory=dict)
    """The operator's definition for each kind of inputs seen."""


class Program:
    """A graph ready to run on a device."""

    def __init__(self, graph: Graph, device: torch.device = CPU) -> None:
        """Find a function for every node; UnsupportedOperator where there is none."""
        self.graph = graph = straight(graph)
        self.device = device
        self._parameters = {name: each.value.to(device) for name, each in graph.parameters.items()}
        self._constants = {name: _placed(value, device) for name, value in graph.constants.items()}
        self._steps = _freeing([self._step(node) for node in graph.nodes], graph.outputs)
        self._joined: tuple[Sequence[_Step], Values] | None = None

    def run(
        self,
        inputs: Mapping[str, Tensor],
        parameters: Mapping[str, Tensor] | None = None,
        *,
        training: bool | None = False,
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """Return the graph's outputs by name, differentiable in inputs and parameters.

        `parameters` stand in for the graph's own of the same names.  `training` is the mode of normalizations and
        dropout; None leaves it to the file.  BatchMismatch where the inputs do not fit.
        """
        context = Context(0, 0, training, generator, self.device)
        steps, known = self._fast()
        values = self._execute({**known, **self._start(inputs, parameters)}, context, steps)
        return self._outputs(values)

    def trace(
        self,
        inputs: Mapping[str, Tensor],
        parameters: Mapping[str, Tensor] | None = None,
        *,
        training: bool = False,
        generator: torch.Generator | None = None,
    ) -> Trace:
        """Return every value of a run, and the states of recurrent nodes."""
        states: dict[str, tuple[Tensor, ...]] = {}
        context = Context(0, 0, training, generator, self.device, states)
        values = self._execute(self._start(inputs, parameters), context, self._steps, keep=True)
        self._outputs(values)
        shown = {key: each for key, each in values.items() if key not in self._constants and isinstance(each, Tensor)}
        return Trace(shown, states)

    def call(self, arguments: Sequence[Tensor | None], around: Values, context: Context) -> tuple[Tensor, ...]:
        """Return a subgraph's outputs for arguments in order, with the values around it in sight."""
        given = dict(zip((each.name for each in self.graph.inputs), arguments, strict=False))
        absent = dict.fromkeys(each.name for each in self.graph.inputs)
        start = {**around, **self._constants, **absent, **given}
        values = self._execute(start, context, self._steps, keep=bool(around))
        return tuple(values.get(name) for name in self.graph.outputs)  # type: ignore[misc]

    def _start(self, inputs: Mapping[str, Tensor], parameters: Mapping[str, Tensor] | None) -> Values:
        missing = [each.name for each in self.graph.inputs if each.name not in inputs]
        if missing:
            msg = f"The batch lacks the model's input {missing[0]!r}; it has {sorted(inputs)}."
            raise BatchMismatch(msg)
        given = {each.name: inputs[each.name] for each in self.graph.inputs}
        return {**self._constants, **self._parameters, **(parameters or {}), **given}

    def _outputs(self, values: Values) -> Values:
        missing = [name for name in self.graph.outputs if name not in values]
        if missing:
            raise _unwritten(missing[0])
        return {name: values[name] for name in self.graph.outputs}

    def _fast(self) -> tuple[Sequence["_Step"], Values]:
        """Return the steps of the graph's faster form, and the constants that it has beside the graph's."""
        if self._joined is None:
            joined = fused(folded(self.graph))
            steps = {id(step.node): step for step in self._steps}
            made = [steps.get(id(node)) or self._step(node) for node in joined.nodes]
            new = joined.constants.keys() - self.graph.constants.keys()
            known = {name: _placed(joined.constants[name], self.device) for name in sorted(new)}
            self._joined = _freeing(made, joined.outputs), known
        return self._joined

    def _execute(self, values: Values, context: Context, steps: Sequence["_Step"], *, keep: bool = False) -> Values:
        for step in steps:
            outputs = self._computed(step, values, context)
            values.update(zip(step.node.outputs, outputs, strict=False))
            if not keep:
                for name in step.frees:
                    values.pop(name, None)
        return values

    def _computed(self, step: _Step, values: Values, context: Context) -> Sequence[Tensor | None]:
        try:
            inputs = [values[name] if name else None for name in step.node.inputs]
        except KeyError as error:
            raise _unwritten(str(error.args[0])) from error
        try:
            result = self._call(step, inputs, values, context)
        except Trouble:
            raise
        except FAULTS as error:
            raise _trouble(step.node, inputs, error) from error
        return result if isinstance(result, tuple) else (result,)

    def _call(self, step: _Step, inputs: list[Any], values: Values, context: Context) -> Any:  # noqa: ANN401
        if step.operator is None:
            return self._expanded(step, inputs).call(inputs, values if step.bodies else {}, context)
        given = dict(step.node.attributes)
        for name, program in step.bodies.items():
            given[name] = partial(_enter, program, values, context)  # type: ignore[assignment]
        if not step.operator.contextual:
            return step.operator.function(*inputs, **given)
        return _in_context(step, inputs, given, context)

    def _expanded(self, step: _Step, inputs: list[Any]) -> "Program":
        kind = tuple((value.dtype, value.shape) if isinstance(value, Tensor) else None for value in inputs)
        if kind not in step.expanded:
            step.expanded[kind] = Program(body(step.node, self.graph.opsets, inputs), self.device)
        return step.expanded[kind]

    def _step(self, node: Node) -> _Step:
        opset = 1 if node.domain == JOINED else self.graph.opsets.get(node.domain, 0)
        bodies = {
            name: Program(value.replace(opsets=self.graph.opsets), self.device)
            for name, value in node.attributes.items()
            if isinstance(value, Graph)
        }
        operator = find(node.domain, node.op, opset)
        if operator is None:
            defined(node, opset)
        elif unknown := node.attributes.keys() - operator.attributes:
            raise unsupported(node, opset, f" with the attribute {min(unknown)!r}")
        return _Step(node, opset, operator, bodies)


def _enter(program: Program, around: Values, context: Context, *arguments: Tensor) -> tuple[Tensor, ...]:
    return program.call(arguments, around, replace(context, states=None))


def _in_context(step: _Step, inputs: list[Any], given: dict[str, Any], context: Context) -> Any:  # noqa: ANN401
    states: dict[str, tuple[Tensor, ...]] | None = None if context.states is None else {}
    outputs = len(step.node.outputs)
    own = replace(context, opset=step.opset, outputs=outputs, states=states)
    result = step.operator.function(*inputs, **given, context=own)  # type: ignore[union-attr]
    if context.states is not None and states:
        plain = len(states) == 1
        name = step.node.name
        context.states.update({name if plain else f"{name}#{way}": each for way, each in states.items()})
    return result


def _placed(value: Tensor, device: torch.device) -> Tensor:
    whole = not value.is_floating_point() and value.dim() <= 1 and value.numel() <= STAYS
    return value.to(CPU if whole else device)


def _freeing(steps: list[_Step], outputs: Sequence[str]) -> list[_Step]:
    """Return the steps, each with the values that nothing reads after it."""
    kept = set(outputs)
    made = []
    for step in reversed(steps):
        seen = {name for name in (*reads(step.node), *names(step.node.outputs)) if name not in kept}
        made.append(replace(step, frees=tuple(sorted(seen))))
        kept |= seen
    return made[::-1]


def _unwritten(name: str) -> BatchMismatch:
    """Return the trouble of a value that its node names and does not give: it names more than its operator has."""
    return BatchMismatch(f"The value {name!r} is read, but the node that names it as an output does not compute it.")


def _trouble(node: Node, inputs: Sequence[object], error: Exception) -> Trouble:
    """Return the trouble of a node that did not compute: mostly shapes that do not fit."""
    if room.exhausted(error):
        return OutOfMemory(f"The node {node.name!r} ({node.op}) needs more memory than there is: {room.said(error)}.")
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    shapes = ", ".join(str(tuple(each.shape)) if isinstance(each, Tensor) else "absent" for each in inputs)
    return BatchMismatch(f"The node {node.name!r} ({node.op}) cannot take inputs of shapes {shapes}: {said}")
