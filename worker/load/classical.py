"""The linear models and maps of ai.onnx.ml, written out in ONNX's own operators: coefficients become parameters."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from onnx import TensorProto
from torch import Tensor

from worker.network.graph import Graph, Node

DOMAIN = "ai.onnx.ml"
OPSET = 13
"""The version of ONNX's own operators in a file that imports none."""
FINISHES: Mapping[str, str] = {"NONE": "Identity", "LOGISTIC": "Sigmoid", "SOFTMAX": "Softmax"}
"""What some transformations of scores are called among ONNX's own operators; others stay as they are."""
DROPPED = "is dropped: the output is the tensor of which it makes a map."


def written_out(graph: Graph) -> Graph:
    """Return the graph with Gemm in place of LinearRegressor and LinearClassifier, and without ZipMap."""
    constants: dict[str, Tensor] = {}
    nodes, said = [], []
    for node in graph.nodes:
        write = WRITERS.get(node.op) if node.domain == DOMAIN else None
        made = list(write(node, constants)) if write else []
        nodes += made or [node]
        if made and node.op == "ZipMap":
            said.append(f"The node {node.name!r} (ZipMap) {DROPPED}")
    if len(nodes) == len(graph.nodes) and not said:
        return graph
    return graph.replace(
        nodes=tuple(nodes),
        constants={**graph.constants, **constants},
        opsets={"": OPSET, **graph.opsets},
        notes=(*graph.notes, *said),
    )


def unmapped(graph: Graph) -> bool:
    """Whether a graph gives numbers where its file gives maps."""
    return any(note.endswith(DROPPED) for note in graph.notes)


def maps(graph: Graph) -> frozenset[str]:
    """Return the values that are maps from a class to its number."""
    return frozenset(
        name for node in graph.nodes if (node.domain, node.op) == (DOMAIN, "ZipMap") for name in node.outputs
    )


def _passed(node: Node, _constants: dict[str, Tensor]) -> Iterator[Node]:
    yield replace(node, op="Identity", domain="", attributes={})


def _regressor(node: Node, constants: dict[str, Tensor]) -> Iterator[Node]:
    rows = int(node.attributes.get("targets", 1))  # type: ignore[arg-type]
    yield from _linear(node, rows, node.outputs[0], constants)


def _classifier(node: Node, constants: dict[str, Tensor]) -> Iterator[Node]:
    """Yield the scores' nodes, and those of the label whose score is the largest."""
    given: Any = node.attributes
    labels: Any = given.get("classlabels_strings") or given.get("classlabels_ints") or ()
    label, scores = node.outputs if len(node.outputs) > 1 else (node.outputs[0], "")
    linear = list(_linear(node, len(labels), scores or f"{node.name}.scores", constants))
    yield from linear
    if not linear or not label:
        return
    place, names = f"{node.name}.place", f"{node.name}.labels"
    yield _node(node, "ArgMax", linear[-1].inputs, place, axis=1, keepdims=0)
    if isinstance(labels[0], str):
        table = {"keys_int64s": tuple(range(len(labels))), "values_strings": tuple(labels)}
        yield replace(_node(node, "LabelEncoder", (place,), label, **table), domain=DOMAIN)
    else:
        constants[names] = torch.tensor(labels, dtype=torch.int64)
        yield _node(node, "Gather", (names, place), label)


def _linear(node: Node, rows: int, output: str, constants: dict[str, Tensor]) -> Iterator[Node]:
    """Yield a Gemm with a node's coefficients, and what follows it; nothing where that has no name here."""
    given: Any = node.attributes
    finish = FINISHES.get(given.get("post_transform", "NONE"))
    coefficients: Sequence[float] = given.get("coefficients", ())
    intercepts = given.get("intercepts", ())
    if finish is None or not rows or not coefficients or len(coefficients) % rows or len(intercepts) not in {0, rows}:
        return
    weight, bias, real, scores = (f"{node.name}.{role}" for role in ("coefficients", "intercepts", "real", "linear"))
    constants[weight] = torch.tensor(coefficients).reshape(rows, -1)
    held: tuple[str, ...] = (weight,)
    if intercepts:
        constants[bias] = torch.tensor(intercepts)
        held = (weight, bias)
    yield _node(node, "Cast", node.inputs, real, to=int(TensorProto.FLOAT))
    yield replace(_node(node, "Gemm", (real, *held), scores, transB=1), name=node.name)
    yield _node(node, finish, (scores,), output)


def _node(node: Node, op: str, inputs: tuple[str, ...], output: str, **attributes: Any) -> Node:  # noqa: ANN401
    return Node(op, inputs, (output,), f"{node.name}.{op}", attributes, origin=node.origin)


WRITERS: Mapping[str, Callable[[Node, dict[str, Tensor]], Iterator[Node]]] = {
    "LinearClassifier": _classifier,
    "LinearRegressor": _regressor,
    "ZipMap": _passed,
}
