"""Operators that onnxruntime fused, taken apart again, because rules and treatments know the parts.

The graph computes the same.  Values that the file names keep their names; those between the parts get new ones.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from worker.network.graph import Attribute, Graph, Node

DOMAIN = "com.microsoft"
GEMM = ("alpha", "beta", "transA", "transB")
SLIDING = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
CONV_SETTINGS: Mapping[str, tuple[str, ...]] = {"LeakyRelu": ("alpha",), "HardSigmoid": ("alpha", "beta")}
"""What the numbers beside a convolution's activation are, in order."""
QUICK = 1.702
"""The factor in QuickGelu's gate where the file says no other."""
CLIP_BY_INPUT, SPLIT_BY_INPUT, LAYER_NORMALIZATION = 11, 13, 17
"""Versions of ai.onnx that made an attribute an input, or brought an operator."""
PAST, BIAS, ADDED = 4, 2, 3
"""Places of inputs: what came before, of Attention; the shift, of a product; what FusedConv adds."""


class _Parts:
    """The parts of one graph's nodes, with names and constants that are new to it."""

    def __init__(self, graph: Graph) -> None:
        """Note the names that are taken."""
        self.constants: dict[str, Tensor] = dict(graph.constants)
        self.opset = graph.opsets.get("", 1)
        self._taken = {node.name for node in graph.nodes} | {name for node in graph.nodes for name in node.outputs}
        self._taken |= graph.constants.keys() | {given.name for given in graph.inputs}

    def name(self, stem: str) -> str:
        """Return a new name."""
        name, count = stem, 0
        while name in self._taken:
            count += 1
            name = f"{stem}_{count}"
        self._taken.add(name)
        return name

    def constant(self, stem: str, value: Tensor) -> str:
        """Return the name of a new constant."""
        name = self.name(stem)
        self.constants[name] = value
        return name

    def node(self, whole: Node, op: str, inputs: Iterable[str], outputs: tuple[str, ...], **given: Attribute) -> Node:
        """Return a part of a node."""
        name = self.name(f"{whole.name}.{op}")
        return Node(op, tuple(inputs), outputs, name, given, origin=whole.origin)


def taken_apart(graph: Graph) -> Graph:
    """Return the graph with its fused operators as their parts; those of subgraphs stay as they are."""
    if not any(node.domain == DOMAIN for node in graph.nodes):
        return graph
    parts = _Parts(graph)
    nodes = [part for node in graph.nodes for part in _parts(node, parts)]
    return graph.replace(nodes=tuple(nodes), constants=parts.constants)


def _parts(node: Node, parts: _Parts) -> list[Node]:
    known = APART.get(node.op) if node.domain == DOMAIN else None
    return [node] if known is None else known(node, parts)


def _only(node: Node, names: Iterable[str]) -> dict[str, Attribute]:
    return {name: node.attributes[name] for name in names if name in node.attributes}


def _gemm(node: Node, parts: _Parts) -> list[Node]:
    settings = {name.removeprefix("activation_"): value for name, value in node.attributes.items() if "on_" in name}
    kernel = replace(node, op="Gemm", domain="", attributes=_only(node, GEMM))
    return _activated(kernel, str(node.attributes.get("activation", "")), settings, parts)


def _conv(node: Node, parts: _Parts) -> list[Node]:
    name, given = str(node.attributes.get("activation", "")), node.attributes.get("activation_params", ())
    numbers = [float(each) for each in given] if isinstance(given, tuple) else []
    kernel = replace(node, op="Conv", domain="", inputs=node.inputs[:ADDED], attributes=_only(node, SLIDING))
    before = []
    if len(node.inputs) > ADDED and node.inputs[ADDED]:
        product = parts.name(f"{node.outputs[0]}.product")
        before = [replace(kernel, outputs=(product,))]
        kernel = parts.node(node, "Add", (product, node.inputs[ADDED]), node.outputs)
    if name == "Clip":
        return [*before, *_clipped(kernel, numbers, parts)]
    return [*before, *_activated(kernel, name, dict(zip(CONV_SETTINGS.get(name, ()), numbers, strict=True)), parts)]


def _activated(kernel: Node, name: str, settings: Mapping[str, Attribute], parts: _Parts) -> list[Node]:
    """Return a kernel and the activation that writes its outputs."""
    if not name:
        return [kernel]
    between = parts.name(f"{kernel.outputs[0]}.sum")
    first = replace(kernel, outputs=(between,))
    if name == "Silu":
        return [first, *_gated(kernel, between, between, parts)]
    return [first, parts.node(kernel, name, (between,), kernel.outputs, **settings)]


def _gated(node: Node, x: str, opener: str, parts: _Parts) -> list[Node]:
    """Return x times the sigmoid of what opens the gate, as the node's outputs."""
    gate = parts.name(f"{node.outputs[0]}.gate")
    squash = parts.node(node, "Sigmoid", (opener,), (gate,))
    return [squash, parts.node(node, "Mul", (x, gate), node.outputs)]


def _quick(node: Node, parts: _Parts) -> list[Node]:
    """Return QuickGelu, x sigmoid(alpha x), as sigmoid and product."""
    alpha = node.attributes.get("alpha", QUICK)
    if alpha == 1:
        return _gated(node, node.inputs[0], node.inputs[0], parts)
    scaled = parts.name(f"{node.outputs[0]}.scaled")
    factor = parts.constant(f"{node.name}.alpha", torch.tensor(alpha))
    first = parts.node(node, "Mul", (node.inputs[0], factor), (scaled,))
    return [first, *_gated(node, node.inputs[0], scaled, parts)]


def _clipped(kernel: Node, numbers: list[float], parts: _Parts) -> list[Node]:
    between = parts.name(f"{kernel.outputs[0]}.sum")
    limits = dict(zip(("min", "max"), numbers, strict=True))
    first = replace(kernel, outputs=(between,))
    if parts.opset < CLIP_BY_INPUT:
        return [first, parts.node(kernel, "Clip", (between,), kernel.outputs, **limits)]
    ends = [parts.constant(f"{kernel.name}.{name}", torch.tensor(value)) for name, value in limits.items()]
    return [first, parts.node(kernel, "Clip", (between, *ends), kernel.outputs)]


def _biased(node: Node, parts: _Parts) -> list[Node]:
    """Return the sum and the activation of BiasGelu, or of FastGelu with a bias."""
    if len(node.inputs) < BIAS:
        return [node]
    total = parts.name(f"{node.outputs[0]}.sum")
    op = {"BiasGelu": "Gelu"}.get(node.op, node.op)
    return [
        parts.node(node, "Add", node.inputs, (total,)),
        replace(node, op=op, inputs=(total,)),
    ]


def _skipped(node: Node, parts: _Parts) -> list[Node]:
    """Return the sums and the normalization of SkipLayerNormalization or its simplified kind."""
    simple = node.op == "SkipSimplifiedLayerNormalization"
    if not simple and parts.opset < LAYER_NORMALIZATION:
        return [node]
    x, skip, *scales = node.inputs
    bias = scales[-1] if len(scales) > (1 if simple else BIAS) else ""
    outputs = (*node.outputs, "", "", "")
    total = outputs[3] or parts.name(f"{node.outputs[0]}.sum")
    first = parts.name(f"{total}.first") if bias else total
    nodes = [parts.node(node, "Add", (x, skip), (first,))]
    if bias:
        nodes.append(parts.node(node, "Add", (first, bias), (total,)))
    op, kept = ("SimplifiedLayerNormalization", scales[:1]) if simple else ("LayerNormalization", scales[:2])
    shown = (outputs[0], outputs[2]) if simple else outputs[:3]
    norm = replace(node, op=op, domain="", inputs=(total, *kept), outputs=_trimmed(shown))
    return [*nodes, replace(norm, attributes={"epsilon": 1e-12, **node.attributes})]


def _trimmed(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names without the absent ones at the end."""
    last = max((place for place, name in enumerate(names) if name), default=-1)
    return names[: last + 1]


def _attention(node: Node, parts: _Parts) -> list[Node]:
    """Return the projection of Attention, its bias, and MultiHeadAttention of its three parts."""
    x, weight, bias, mask, past, added = (*node.inputs, *[""] * 6)[:6]
    plain = {"mask_filter_value", "num_heads", "qkv_hidden_sizes", "scale", "unidirectional"}
    if weight not in parts.constants or past or any(node.outputs[1:]) or not plain >= node.attributes.keys():
        return [node]
    product, total = (parts.name(f"{node.outputs[0]}.{part}") for part in ("product", "projected"))
    nodes = [parts.node(node, "MatMul", (x, weight), (product if bias else total,))]
    if bias:
        nodes.append(parts.node(node, "Add", (product, bias), (total,)))
    names = tuple(parts.name(f"{node.outputs[0]}.{part}") for part in ("query", "key", "value"))
    columns = parts.constants[weight].shape[1] // 3
    sizes = node.attributes.get("qkv_hidden_sizes", (columns,) * 3)
    nodes.append(_split(node, total, names, sizes, parts))
    kept = _only(node, plain - {"qkv_hidden_sizes"})
    inputs = _trimmed((*names, "", mask, added))
    heads = replace(node, op="MultiHeadAttention", inputs=inputs, outputs=node.outputs[:1], attributes=kept)
    return [*nodes, heads]


def _split(node: Node, total: str, names: tuple[str, ...], sizes: Attribute, parts: _Parts) -> Node:
    if parts.opset < SPLIT_BY_INPUT:
        return parts.node(node, "Split", (total,), names, axis=-1, split=sizes)
    counts = parts.constant(f"{node.name}.sizes", torch.tensor(sizes, dtype=torch.int64))
    return parts.node(node, "Split", (total, counts), names, axis=-1)


APART: Mapping[str, Callable[[Node, _Parts], list[Node]]] = {
    "Attention": _attention,
    "BiasGelu": _biased,
    "FastGelu": _biased,
    "FusedConv": _conv,
    "FusedGemm": _gemm,
    "QuickGelu": _quick,
    "SkipLayerNormalization": _skipped,
    "SkipSimplifiedLayerNormalization": _skipped,
}
"""How each operator is taken apart."""
