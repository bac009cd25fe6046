"""A graph's normal form: one way to write what can be written in several.

Activations of several nodes stand as one.  Identities are left out, transpositions that undo each other cancel, and
products and sums with constants become one `Affine`; a sum of two is an addition.  A layer norm over all of a sample
with a gain per channel is a group norm of one group; any other counts its axis from the last.  A root mean square norm
without an epsilon stands for the length that is divided by.  Attributes that a node leaves to the specification's
defaults are written out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from math import isclose, sqrt
from typing import Final, TypeAlias

import onnx
from onnx.helper import get_attribute_value
from torch import Tensor

from worker.network.graph import Attribute, Graph, Law, Node, Parameter
from worker.network.laws import Constant
from worker.patch.folding import folded

Numbers: TypeAlias = float | Tensor
"""One number, or some along the last axes."""
AFFINE: Final = "Affine"
"""x · scale + offset, with numbers for scale and offset: one each, or tensors that lie along the last axes."""
NO_EPSILON: Final = 1e-12
"""An epsilon that changes no norm."""
_MOST: Final = 2**16
"""Numbers of a constant up to which a product or sum with it is taken for an `Affine`."""
_IN_TURN: Final = {"Add": True, "Mul": True, "Sub": False, "Div": False}
"""Operators with a number that are affine, and whether their inputs may be exchanged."""


def normal(graph: Graph) -> Graph:
    """Return the graph in its normal form."""
    graph = folded(graph)
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
        for each in self._by_root(node):
            self._taken(each)

    def _taken(self, node: Node) -> None:
        inputs = [self.now(name) for name in node.inputs]
        while inputs and not inputs[-1]:
            inputs.pop()
        op = "Add" if (node.op, len(inputs)) == ("Sum", 2) else node.op
        node = replace(node, op=op, inputs=tuple(inputs))
        if node.op == "Identity":
            self.instead[node.outputs[0]] = node.inputs[0]
        elif node.op == "Transpose" and self._undoes(node):
            self.instead[node.outputs[0]] = self.made[node.inputs[0]].inputs[0]
        else:
            node = _without_epsilon(self._as_group_norm(self._counted_back(self._as_affine(node))))
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
        earlier = _numbers_of(before) if before is not None and before.op == AFFINE else None
        if before is not None and earlier is not None and _alike_in_shape(*earlier, scale, offset):
            value, scale, offset = before.inputs[0], scale * earlier[0], scale * earlier[1] + offset
        return replace(node, op=AFFINE, inputs=(value,), attributes={"scale": scale, "offset": offset})

    def _scale_and_offset(self, node: Node) -> tuple[str, Numbers, Numbers] | None:
        if node.op not in _IN_TURN or node.domain or len(node.inputs) != 2:  # noqa: PLR2004  a value and a constant
            return None
        value, other = node.inputs
        number = _numbers(self.graph.constants.get(other))
        if number is None and _IN_TURN[node.op]:
            value, other = other, value
            number = _numbers(self.graph.constants.get(other))
        if number is None or (node.op == "Div" and not _all(number)):
            return None
        if node.op in {"Mul", "Div"}:
            return value, number if node.op == "Mul" else 1 / number, 0.0
        return value, 1.0, number if node.op == "Add" else -number

    def _counted_back(self, node: Node) -> Node:
        """Return a layer norm whose axis is counted from the last, as many as its gain has."""
        counted = node.op in {"LayerNormalization", "RMSNormalization"}
        gain = self.graph.parameters.get(node.inputs[1]) if counted else None
        axis = node.attributes.get("axis", -1)
        if gain is None or not isinstance(axis, int) or axis < 0:
            return node
        return replace(node, attributes={**node.attributes, "axis": -gain.value.dim()})

    def _by_root(self, node: Node) -> Iterator[Node]:
        """Yield a product of x over its length and √n with a gain as the norm that it is, its channels put last."""
        unit = self._unit(node)
        if unit is None:
            yield node
            return
        source, axis = unit.inputs[0], unit.attributes.get("axis", -1)
        gain = self.graph.parameters[node.inputs[1]]
        norm = replace(node, op="RMSNormalization", inputs=(source, node.inputs[1]), attributes={"epsilon": 0.0})
        if axis == -1:
            yield norm
            return
        self.parameters[node.inputs[1]] = replace(gain, value=gain.value.flatten(), law=_flat(gain))
        rank = gain.value.dim() + 1
        turned, back = f"{node.name}.turned", f"{node.name}.normed"
        first = Node("Transpose", (source,), (turned,), turned, {"perm": (0, *range(2, rank), 1)}, origin=node.origin)
        yield first
        yield replace(norm, inputs=(turned, node.inputs[1]), outputs=(back,))
        perm = (0, rank - 1, *range(1, rank - 1))
        yield Node("Transpose", (back,), node.outputs, f"{node.name}.back", {"perm": perm}, origin=node.origin)

    def _unit(self, node: Node) -> Node | None:
        """Return what divides by a length, where a product of it with √n is multiplied by a gain; None elsewhere."""
        gain = self.graph.parameters.get(node.inputs[-1]) if node.op == "Mul" else None
        rooted = self.made.get(self.now(node.inputs[0])) if gain is not None else None
        if gain is None or rooted is None or rooted.op != AFFINE:
            return None
        scale, offset = _numbers_of(rooted)
        unit = self.made.get(rooted.inputs[0])
        if isinstance(scale, Tensor) or not isclose(scale, sqrt(gain.value.numel()), rel_tol=1e-6) or offset != 0:
            return None
        if unit is None or unit.op != "LpNormalization" or unit.attributes.get("p", 2) != 2:  # noqa: PLR2004
            return None
        last = unit.attributes.get("axis", -1) == -1 and gain.value.dim() == 1
        second = unit.attributes.get("axis") == 1 and _per_channel(gain)
        return unit if last or second else None

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


def _numbers(constant: Tensor | None) -> Numbers | None:
    """Return what a constant holds: one number, or a tensor without the axes of size 1 before its first other."""
    if constant is None or not constant.is_floating_point() or constant.numel() > _MOST:
        return None
    if not constant.dim():
        return float(constant)
    while constant.dim() > 1 and len(constant) == 1:
        constant = constant[0]
    return constant.double()


def _all(numbers: Numbers) -> bool:
    """Whether none of the numbers is zero."""
    return bool(numbers.all()) if isinstance(numbers, Tensor) else bool(numbers)


def _numbers_of(node: Node) -> tuple[Numbers, Numbers]:
    """Return the scale and the offset of an `Affine`."""
    scale, offset = node.attributes["scale"], node.attributes["offset"]
    return tuple(each if isinstance(each, Tensor) else float(each) for each in (scale, offset))  # type: ignore[arg-type,return-value]


def _alike_in_shape(*given: Numbers) -> bool:
    """Whether tensors among these numbers have one shape."""
    return len({each.shape for each in given if isinstance(each, Tensor)}) < 2  # noqa: PLR2004  one shape or none


def _without_epsilon(node: Node) -> Node:
    """Return a root mean square norm without an epsilon that is as good as none."""
    if node.op != "RMSNormalization" or float(node.attributes.get("epsilon", 1e-5)) > NO_EPSILON:  # type: ignore[arg-type]
        return node
    return replace(node, attributes={**node.attributes, "epsilon": 0.0})


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
