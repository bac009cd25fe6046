"""Nodes of this project's own as the operators of ONNX that compute the same in evaluation, which files are for."""

from dataclasses import replace

from worker.network.graph import Node
from worker.network.ops.noise import OWN

NOISES = frozenset({"Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise"})
"""What passes its input on in evaluation."""
COPIES = NOISES | {"StopGradient"}
STATISTICS = 5
"""How many inputs a BatchNormalization of ONNX has; the mask stands behind them."""


def evaluated(node: Node) -> Node:
    """Return the node as ONNX has it; itself where it is ONNX's already."""
    if node.domain != OWN:
        return node
    if node.op in COPIES:
        return replace(node, op="Identity", domain="", attributes={})
    if node.op == "BatchNormalization":
        return replace(node, inputs=node.inputs[:STATISTICS], domain="")
    if node.op == "RandomRelu":
        lower, upper = (float(node.attributes[name]) for name in ("lower", "upper"))  # type: ignore[arg-type]
        return replace(node, op="LeakyRelu", domain="", attributes={"alpha": (lower + upper) / 2})
    return node
