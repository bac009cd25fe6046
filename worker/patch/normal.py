"""A graph's normal form: one way to write what can be written in several.

Identities are left out, transpositions that undo each other cancel, and products and sums with one number become one
`Affine`.  A layer norm over all of a sample with a gain per channel is a group norm of one group; any other counts its
axis from the last.  Attributes that a node leaves to the specification's defaults are written out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final

import onnx
from onnx.helper import get_attribute_value
from torch import Tensor

from worker.network.graph import Attribute, Graph, Law, Node, Parameter
from worker.network.laws import Constant

AFFINE: Final = "Affine"
"""x · scale + offset, with numbers for scale and offset."""
_IN_TURN: Final = {"Add": True, "Mul": True, "Sub": False, "Div": False}
"""Operators with a number that are affine, and whether their inputs may be exchanged."""


def normal(graph: Graph) -> Graph:
    """Return the graph in its normal form."""
    form = _Form(graph)
    for node in graph.nodes:
        form.put(node)
    return graph.replace(
        nodes=tuple({node.name: node for node in form.made.values()}.values()),
        outputs=tuple(form.now(name) for name in graph.outputs),
        parameters={**graph.parameters, **form.parameters},
    )


@dataclass
class _Form:
    graph: Graph
    made: dict[str, Node] = field(default_factory=dict)
    """The node that writes each value, so far."""
    instead: dict[str, str] = field(default_factory=dict)
    """Values that another stands for."""
    parameters: dict[str, Parameter] = field(default_factory=dict)
    """Parameters in another shape."""

    def now(self, value: str) -> str:
        """Return the value that stands for `value`."""
        return self.instead.get(value, value)

    def put(self, node: Node) -> None:
        """Take the next node in."""
        inputs = [self.now(name) for name in node.inputs]
        while inputs and not inputs[-1]:
            inputs.pop()
        node = replace(node, inputs=tuple(inputs))
        if node.op == "Identity":
            self.instead[node.outputs[0]] = node.inputs[0]
        elif node.op == "Transpose" and self._undoes(node):
            self.instead[node.outputs[0]] = self.made[node.inputs[0]].inputs[0]
        else:
            node = self._as_group_norm(self._counted_back(self._as_affine(node)))
            node = replace(node, attributes=_written_out(node, self.graph.opsets))
            self.made |= dict.fromkeys((name for name in node.outputs if name), node)

    def _undoes(self, node: Node) -> bool:
        before = self.made.get(node.inputs[0])
        if before is None or before.op != "Transpose":
            return False
        first, second = before.attributes.get("perm"), node.attributes.get("perm")
        if not isinstance(first, tuple) or not isinstance(second, tuple):
            return False
        return [first[int(axis)] for axis in second] == list(range(len(first)))

    def _as_affine(self, node: Node) -> Node:
        """Return the node with the one before it as one, where both are products or sums with a number."""
        found = self._scale_and_offset(node)
        if found is None:
            return node
        value, scale, offset = found
        before = self.made.get(value)
        if before is not None and before.op == AFFINE:
            earlier, shift = before.attributes["scale"], before.attributes["offset"]
            value, scale, offset = before.inputs[0], scale * float(earlier), scale * float(shift) + offset  # type: ignore[arg-type]
        return replace(node, op=AFFINE, inputs=(value,), attributes={"scale": scale, "offset": offset})

    def _scale_and_offset(self, node: Node) -> tuple[str, float, float] | None:
        if node.op not in _IN_TURN or node.domain:
            return None
        value, other = node.inputs
        number = _number(self.graph.constants.get(other))
        if number is None and _IN_TURN[node.op]:
            value, other = other, value
            number = _number(self.graph.constants.get(other))
        if number is None or (node.op == "Div" and not number):
            return None
        scales = {"Mul": (number, 0.0), "Div": (1 / (number or 1), 0.0), "Add": (1.0, number), "Sub": (1.0, -number)}
        return (value, *scales[node.op])

    def _counted_back(self, node: Node) -> Node:
        """Return a layer norm whose axis is counted from the last, as many as its gain has."""
        gain = self.graph.parameters.get(node.inputs[1]) if node.op == "LayerNormalization" else None
        axis = node.attributes.get("axis", -1)
        if gain is None or not isinstance(axis, int) or axis < 0:
            return node
        return replace(node, attributes={**node.attributes, "axis": -gain.value.dim()})

    def _as_group_norm(self, node: Node) -> Node:
        """Return a layer norm whose gain and bias have one number per channel as the group norm that it is."""
        held = [self.graph.parameters.get(name) for name in node.inputs[1:]]
        if node.op != "LayerNormalization" or not held or not all(map(_per_channel, held)):
            return node
        for name, each in zip(node.inputs[1:], held, strict=True):
            if each is not None:
                self.parameters[name] = replace(each, value=each.value.flatten(), law=_flat(each))
        attributes = {"num_groups": 1, "epsilon": node.attributes.get("epsilon", 1e-5)}
        return replace(node, op="GroupNormalization", attributes=attributes)


def _number(constant: Tensor | None) -> float | None:
    """Return the number that a constant holds; None unless it is one alone."""
    if constant is None or constant.dim() or not constant.is_floating_point():
        return None
    return float(constant)


def _per_channel(parameter: Parameter | None) -> bool:
    """Whether a parameter has one number per channel of data with further axes."""
    return parameter is not None and parameter.value.dim() > 1 and parameter.value.numel() == len(parameter.value)


def _flat(parameter: Parameter) -> Law | None:
    law = parameter.law
    return replace(law, shape=(parameter.value.numel(),)) if isinstance(law, Constant) else law


def _written_out(node: Node, opsets: Mapping[str, int]) -> dict[str, Attribute]:
    return {**_defaults(node.op, node.domain, opsets.get(node.domain, 1)), **node.attributes}


@cache
def _defaults(op: str, domain: str, version: int) -> dict[str, Attribute]:
    """Return the attributes that the specification gives a node that leaves them out."""
    if not onnx.defs.has(op, version, domain):
        return {}
    held = onnx.defs.get_schema(op, version, domain).attributes
    given = {name: each.default_value for name, each in held.items() if each.default_value.type}
    return {name: _plain(get_attribute_value(value)) for name, value in given.items()}


def _plain(value: object) -> Attribute:
    if isinstance(value, bytes):
        return value.decode()
    return tuple(value) if isinstance(value, list) else value  # type: ignore[return-value]
