"""Operators and laws as Keras writes layers and initializers."""

from collections.abc import Mapping
from typing import Any, Final

from worker.network.graph import Graph, Node
from worker.patch.difference import Inserted
from worker.patch.normal import AFFINE, normal
from worker.patch.places import NoWay
from worker.patch.recipe import Absolute, Fixed, Gained, Recipe, Scaling

Json = dict[str, Any]

ACTIVATION_LAYERS: Final = frozenset({"Activation", "ReLU", "LeakyReLU", "ELU", "PReLU", "Softmax"})
_PLAIN: Final = {
    "Relu": "relu",
    "Selu": "selu",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Mish": "mish",
}
_DISTRIBUTIONS: Final = {
    "normal": "untruncated_normal",
    "truncated_normal": "truncated_normal",
    "uniform": "uniform",
}
_NORMS: Final = {
    "BatchNormalization": "BatchNormalization",
    "LayerNormalization": "LayerNormalization",
    "GroupNormalization": "GroupNormalization",
    "RMSNormalization": "RMSNormalization",
}


def plain(node: Node) -> str:
    """Return an operator as the name of an activation; NoWay where it has none."""
    if node.op in _PLAIN:
        return _PLAIN[node.op]
    message = f"Keras has no activation by name that is {node.op} with these numbers."
    raise NoWay(message)


def activation(node: Node) -> tuple[str, Json]:
    """Return an operator as a layer: its class, and the fields of its config."""
    if node.op == "LeakyRelu":
        return "LeakyReLU", {"negative_slope": node.attributes.get("alpha", 0.01)}
    return "Activation", {"activation": plain(node)}


def added(graph: Graph, inserted: Inserted) -> tuple[str, Json]:
    """Return nodes inserted behind a layer as one: a norm, or a rescaling; NoWay where they are neither."""
    nodes = _in_normal_form(graph, inserted)
    if nodes[-1].op == AFFINE:
        return rescaling(graph, inserted)
    if len(nodes) != 1 or nodes[0].op not in _NORMS:
        message = f"No layer of Keras is {', '.join(node.op for node in inserted.nodes)}."
        raise NoWay(message)
    (node,) = nodes
    fields: Json = {"axis": -1, "epsilon": _number(node, "epsilon")}
    if node.op == "GroupNormalization":
        fields = {"groups": node.attributes["num_groups"], **fields}
    if node.op == "BatchNormalization":
        fields["momentum"] = _number(node, "momentum")
    return _NORMS[node.op], fields


def rescaling(graph: Graph, inserted: Inserted) -> tuple[str, Json]:
    """Return inserted nodes as a layer that rescales; NoWay where they do more than multiply and add a number."""
    *_, node = _in_normal_form(graph, inserted)
    if node.op != AFFINE or node.inputs[0] != inserted.behind:
        message = f"No layer of Keras is what stands behind {inserted.behind}."
        raise NoWay(message)
    return "Rescaling", {"scale": node.attributes["scale"], "offset": node.attributes["offset"]}


def _number(node: Node, name: str) -> float:
    value = node.attributes[name]
    return float(f"{value:.6g}")


def _in_normal_form(graph: Graph, inserted: Inserted) -> tuple[Node, ...]:
    outputs = (inserted.nodes[-1].outputs[0],)
    return normal(graph.replace(nodes=inserted.nodes, outputs=outputs)).nodes


def initializer(found: Recipe, *, older: bool) -> Json:
    """Return a law as an initializer."""
    match found:
        case Scaling():
            form = {"distribution": _DISTRIBUTIONS[found.distribution], "seed": None}
            return written("initializers", "VarianceScaling", {"scale": found.scale, "mode": found.mode, **form}, older)
        case Absolute(distribution="uniform"):
            spread = {"minval": found.first, "maxval": found.second, "seed": None}
            return written("initializers", "RandomUniform", spread, older)
        case Absolute():
            kind = "RandomNormal" if found.distribution == "normal" else "TruncatedNormal"
            return written("initializers", kind, {"mean": found.first, "stddev": found.second, "seed": None}, older)
        case Fixed():
            kind = {0.0: "Zeros", 1.0: "Ones"}.get(found.value, "Constant")
            return written("initializers", kind, {"value": found.value} if kind == "Constant" else {}, older)
        case Gained():
            drawn = {"seed": None} if found.kind == "orthogonal" else {}
            return written("initializers", found.kind.capitalize(), {"gain": found.gain, **drawn}, older)


def written(package: str, kind: str, config: Mapping[str, Any], older: bool) -> Json:  # noqa: FBT001  a format
    """Return an object as Keras 3 writes it, or as tf.keras 2 did."""
    if older:
        return {"class_name": kind, "config": dict(config)}
    return {"module": f"keras.{package}", "class_name": kind, "config": dict(config), "registered_name": None}
