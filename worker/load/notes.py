"""What a file's look suggests about how it was exported, and what that means for the diagnosis."""

import re
from collections.abc import Iterator, Sequence

from worker.load.provenance import UNKNOWN, Provenance
from worker.network.graph import Graph, Node, names

NAMED = 3
"""Most names that a note gives."""
FEW_CONVOLUTIONS = 3
FOLDED = re.compile(r"weight_bias$|fused_bn")
"""Names of biases that tf2onnx folded."""
MADE_UP = re.compile(r"^(?:onnx::\w+?_)?(\d+)$")
"""Names that torch's older exporter gives to what it folded; older versions of it gave numbers only."""
FOLDS_INTO = frozenset({"Conv", "ConvTranspose", "Gemm"})
TRAINING_MODE = (
    "export the model in training mode: torch.onnx.export(model.train(), …, dynamo=True, optimize=False), or "
    "dynamo=False, training=TrainingMode.TRAINING, do_constant_folding=False"
)


_GONE = (
    ": how it trains cannot be examined, and the weights are not those that training starts from. "
    f"To examine it, {TRAINING_MODE}."
)


def notes(graph: Graph, known: Provenance = UNKNOWN) -> Iterator[str]:
    """Yield what the file's look suggests about how it was exported."""
    yield from _folded_normalization(graph, known)
    yield from _for_inference(graph)
    yield from _left_out(graph, known)
    yield from _folded_weights(graph, known)
    values = [each.value for each in graph.parameters.values() if each.value.numel() > 1]
    if values and all(bool((value == value.reshape(-1)[0]).all()) for value in values):
        yield "Every weight tensor is constant: the file seems to hold no trained or random weights."
    if not graph.parameters:
        yield "The file holds no parameters that a gradient could reach."


def _folded_normalization(graph: Graph, known: Provenance) -> Iterator[str]:
    """Say which BatchNormalization is gone, as far as can be told."""
    certain = [known.modules[node.outputs[0]].path for node in graph.nodes if _by_metadata(node, known)]
    likely = [node.name for node in graph.nodes if known.torch and _by_names(node)]
    if certain:
        yield f"The export folded BatchNormalization ({_some(certain)}) into the weights before it{_GONE}"
    elif likely:
        yield f"The export folded BatchNormalization into the weights of {_some(likely)}{_GONE}"
    elif _looks_folded(graph):
        yield (
            "Every convolution has a bias and nothing normalizes: the export may have folded BatchNormalization into "
            f"the weights{_GONE}"
        )


def _by_metadata(node: Node, known: Provenance) -> bool:
    """Whether a layer was written for a BatchNorm, as torch's newer exporter notes."""
    module = known.modules.get(node.outputs[0]) if node.op in FOLDS_INTO else None
    return module is not None and "BatchNorm" in module.kind


def _by_names(node: Node) -> bool:
    """Whether a convolution's weight and bias were made up one after the other, as folding into a convolution does."""
    found = [match for match in map(MADE_UP.match, names(node.inputs)[1:]) if match]
    return node.op == "Conv" and len(found) == 2 and int(found[1][1]) == int(found[0][1]) + 1  # noqa: PLR2004


def _looks_folded(graph: Graph) -> bool:
    """Whether convolutions have biases that no module seems to own, and nothing normalizes."""
    convolutions = [node for node in graph.nodes if node.op == "Conv"]
    normalized = any("Normalization" in node.op for node in graph.nodes)
    return len(convolutions) >= FEW_CONVOLUTIONS and not normalized and all(map(_strange_bias, convolutions))


def _strange_bias(node: Node) -> bool:
    """Whether a convolution has a bias with a name that exporters give to what they folded."""
    bias = names(node.inputs)[2:]
    return bool(bias) and FOLDED.search(bias[0]) is not None


def _for_inference(graph: Graph) -> Iterator[str]:
    """Say that BatchNormalization stands in the file as for inference."""
    found = [node for node in graph.nodes if node.op == "BatchNormalization"]
    if found and not any(node.attributes.get("training_mode") or len(names(node.outputs)) > 1 for node in found):
        yield (
            "The file was exported for inference. Its BatchNormalization runs here as in training, with the batch's "
            f"own statistics, but Dropout is gone if the model has any: to examine that too, {TRAINING_MODE}."
        )


def _left_out(graph: Graph, known: Provenance) -> Iterator[str]:
    """Say which Dropout does nothing in the file."""
    idle = [known.modules[node.outputs[0]] for node in graph.nodes if node.op == "Identity" and _of(node, known)]
    gone = [module.path for module in idle if "Dropout" in module.kind]
    if gone:
        yield f"The file was exported for inference, without Dropout ({_some(gone)}). To examine it, {TRAINING_MODE}."


def _of(node: Node, known: Provenance) -> bool:
    return node.outputs[0] in known.modules


def _folded_weights(graph: Graph, known: Provenance) -> Iterator[str]:
    """Say that weights have lost their names."""
    strange = [name for name in graph.parameters if known.torch and name not in known.named]
    if strange:
        held = "weight is" if len(strange) == 1 else "weights are"
        yield (
            f"{len(strange)} {held} held in a form, and under a name, that the exporter made up ({_some(strange)}): "
            f"findings show that name beside the node's. To see the model's own, {TRAINING_MODE}."
        )


def _some(found: Sequence[str]) -> str:
    shown = ", ".join(each or "the model itself" for each in found[:NAMED])
    return f"{shown} and {len(found) - NAMED} more" if len(found) > NAMED else shown
