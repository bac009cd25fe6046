"""A graph in the form that runs fastest: nodes joined that torch computes by one kernel.

Exporters write as many nodes what a module computed at once: GELU by way of `Erf` (five nodes), a dense layer over a
sequence (`MatMul` and `Add`).  The values between them are then computed by nobody, so this form serves runs that only
want outputs; measuring traces the file's own nodes.
"""

import math
from collections import Counter
from collections.abc import Iterator

from torch import Tensor

from worker.network.graph import Graph, Node, names, reads
from worker.network.ops.fused import DOMAIN

CLOSE = 1e-6
"""Relative tolerance at which a constant is √2, one half or one: float32's own."""


INPUTS = {"Erf": 1, "Transpose": 1}
"""Inputs of the operators that are joined, where they are not two."""
TURNED = (1, 0)


class Fuser:
    """Joins the nodes of one graph."""

    def __init__(self, graph: Graph) -> None:
        """Look up who writes and who reads what."""
        self.graph = graph
        self.producers = graph.producers()
        self.readers = Counter(name for node in graph.nodes for name in reads(node))
        self.readers.update(graph.outputs)

    def fused(self) -> Graph:
        """Return the graph with joined nodes, each in the place of the last of its parts."""
        joined: dict[str, Node] = {}
        gone: set[str] = set()
        for node in self.graph.nodes:
            for made, parts in self._joined(node):
                joined[node.name] = made
                gone |= parts
        nodes = tuple(joined.get(node.name, node) for node in self.graph.nodes if node.name not in gone)
        return self.graph.replace(nodes=nodes)

    def _joined(self, node: Node) -> Iterator[tuple[Node, set[str]]]:
        """Yield the node that does what `node` and the parts before it do, and the names of those parts."""
        if node.op == "Mul" and _whole(node):
            yield from self.gelu(node)
        elif node.op == "Add" and _whole(node):
            yield from self._linear(node)

    def gelu(self, last: Node) -> Iterator[tuple[Node, set[str]]]:
        """Yield the node that a product x · (1 + erf(x / √2)) / 2 is, its factors in whatever order, and its parts."""
        factors, products = self._factors(last)
        halves = [name for name in factors if self._is(name, 0.5)]
        sums = [name for name in factors if (found := self._sole(name, "Add")) and self._one_more(found)]
        if len(factors) != 3 or len(halves) != 1 or len(sums) != 1:  # noqa: PLR2004  x, 1/2 and 1 + erf
            return
        (x,) = set(factors) - {halves[0], sums[0]}
        add = self.producers[sums[0]]
        erf = self.producers[self._one_more(add)]
        scaled = self._sole(erf.inputs[0], "Div") or self._sole(erf.inputs[0], "Mul")
        if scaled is not None and self._by_root_two(scaled, x):
            made = Node("Gelu", (x,), last.outputs, last.name, domain=DOMAIN, origin=last.origin)
            yield made, {add.name, erf.name, scaled.name, *products} - {last.name}

    def _factors(self, last: Node) -> tuple[list[str], set[str]]:
        """Return the factors of a product, those of a product among them, and the names of the nodes that multiply."""
        factors: list[str] = []
        products = {last.name}
        for name in last.inputs:
            inner = self._sole(name, "Mul")
            if inner is not None and len(products) == 1:
                factors += inner.inputs
                products.add(inner.name)
            else:
                factors.append(name)
        return factors, products

    def _one_more(self, node: Node) -> str:
        """Return the name of an erf that a node adds one to; "" where it does something else."""
        for name, other in (node.inputs, node.inputs[::-1]):
            if self._is(other, 1.0) and self._sole(name, "Erf") is not None:
                return name
        return ""

    def _by_root_two(self, node: Node, x: str) -> bool:
        first, second = node.inputs
        if node.op == "Div":
            return first == x and self._is(second, math.sqrt(2))
        return x in {first, second} and self._is(second if first == x else first, math.sqrt(0.5))

    def _linear(self, add: Node) -> Iterator[tuple[Node, set[str]]]:
        """Match a product with a matrix, and a bias behind it."""
        for name, bias in (add.inputs, add.inputs[::-1]):
            product = self._sole(name, "MatMul")
            shape = self._shape(bias)
            if product is None or len(shape) != 1:
                continue
            weight = self._shape(product.inputs[1])
            if len(weight) == 2 and weight[1] == shape[0]:  # noqa: PLR2004  a matrix
                inputs = (*product.inputs, bias)
                yield Node("Linear", inputs, add.outputs, add.name, domain=DOMAIN, origin=add.origin), {product.name}
                return

    def _sole(self, name: str, op: str) -> Node | None:
        """Return the node of ONNX's `op` that writes a value which one node reads and nobody else; None otherwise."""
        node = self.producers.get(name)
        if node is None or node.op != op or self.readers[name] != 1:
            return None
        return node if _whole(node) else None

    def _is(self, name: str, number: float) -> bool:
        value = self.graph.constants.get(name)
        return isinstance(value, Tensor) and value.numel() == 1 and math.isclose(float(value), number, rel_tol=CLOSE)

    def _shape(self, name: str) -> tuple[int, ...]:
        """Return the sizes of a float tensor that the graph holds, or of one transposed; () of others."""
        node = self.producers.get(name)
        if (
            node is not None
            and node.op == "Transpose"
            and _whole(node)
            and node.attributes.get("perm", TURNED) == TURNED
        ):
            sizes = self._held(node.inputs[0])
            return sizes[::-1] if len(sizes) == 2 else ()  # noqa: PLR2004  a matrix
        return self._held(name)

    def _held(self, name: str) -> tuple[int, ...]:
        """Return the sizes of a float tensor that the graph holds; () of others."""
        held = self.graph.constants.get(name)
        if held is None and name in self.graph.parameters:
            held = self.graph.parameters[name].value
        return tuple(held.shape) if isinstance(held, Tensor) and held.is_floating_point() else ()


def _whole(node: Node) -> bool:
    """Whether a node is ONNX's own and has as many inputs as its operator takes."""
    return not node.domain and len(names(node.inputs)) == len(node.inputs) == INPUTS.get(node.op, 2)


def fused(graph: Graph) -> Graph:
    """Return a graph with the same outputs, and the same gradients but for rounding, in fewer steps."""
    return Fuser(graph).fused()
