"""What a file's look suggests about how it was exported."""

import re
from collections.abc import Iterator

from worker.network.graph import Graph, Node, names

FEW_CONVOLUTIONS = 3
FOLDED = re.compile(r"^onnx::Conv_\d+$|weight_bias$|fused_bn")
"""Names of folded biases: torch's older exporter's, its newer one's, and tf2onnx's."""


def notes(graph: Graph) -> Iterator[str]:
    """Yield what the file's look suggests about how it was exported."""
    if _folds_normalization(graph):
        yield (
            "Every convolution has a bias and nothing normalizes: the export may have folded BatchNormalization "
            "into the weights. To examine it, export with torch.onnx.export(…, dynamo=True, optimize=False), or with "
            "dynamo=False, training=TrainingMode.TRAINING, do_constant_folding=False."
        )
    values = [each.value for each in graph.parameters.values() if each.value.numel() > 1]
    if values and all(bool((value == value.reshape(-1)[0]).all()) for value in values):
        yield "Every weight tensor is constant: the file seems to hold no trained or random weights."
    if not graph.parameters:
        yield "The file holds no parameters that a gradient could reach."


def _folds_normalization(graph: Graph) -> bool:
    """Whether convolutions have biases that no module seems to own, and nothing normalizes."""
    convolutions = [node for node in graph.nodes if node.op == "Conv"]
    normalized = any("Normalization" in node.op for node in graph.nodes)
    return len(convolutions) >= FEW_CONVOLUTIONS and not normalized and all(map(_strange_bias, convolutions))


def _strange_bias(node: Node) -> bool:
    """Whether a convolution has a bias with a name that exporters give to what they folded."""
    _, _, *bias = names(node.inputs)
    return bool(bias) and FOLDED.search(bias[0]) is not None
