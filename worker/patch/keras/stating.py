"""Operators and laws as Keras writes layers and initializers."""

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor

from worker.network.graph import Graph, Node, Penalty
from worker.network.layers import NORMS
from worker.patch.difference import Inserted
from worker.patch.insertion import chain, number
from worker.patch.normal import AFFINE, NO_EPSILON
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
    "Swish": "silu",
    "HardSwish": "hard_silu",
}
_NAMED: Final[Mapping[str, tuple[str, str, Any]]] = {
    "Elu": ("elu", "alpha", 1.0),
    "Gelu": ("gelu", "approximate", "none"),
}
"""Activations that Keras has by name for these numbers alone."""
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
    name, key, default = _NAMED.get(node.op, ("", "", None))
    if name and node.attributes.get(key, default) == default:
        return name
    message = f"Keras has no activation by name that is {node.op} with these numbers."
    raise NoWay(message)


def activation(node: Node) -> tuple[str, Json]:
    """Return an operator as a layer: its class, and the fields of its config."""
    if node.op == "LeakyRelu":
        return "LeakyReLU", {"negative_slope": node.attributes.get("alpha", 0.01)}
    if node.op == "Elu" and node.attributes.get("alpha", 1.0) != 1:
        return "ELU", {"alpha": node.attributes["alpha"]}
    return "Activation", {"activation": plain(node)}


def added(graph: Graph, inserted: Inserted) -> list[tuple[str, Json]]:
    """Return nodes inserted behind a layer as layers, their classes and fields; NoWay where no layer is one of them."""
    return [_layer(graph, node) for node in chain(graph, inserted)]


def _layer(graph: Graph, node: Node) -> tuple[str, Json]:
    if node.op in NORMS:
        return norm(node)
    if node.op == AFFINE:
        return _affine(node)
    if node.op == "Dropout" and not node.domain:
        return "Dropout", {"rate": number(graph, node, 1), "seed": None}
    if node.op == "Clip":
        low, high = (number(graph, node, place) for place in (1, 2))
        if low == 0:
            return "ReLU", {"max_value": high, "negative_slope": 0.0, "threshold": 0.0}
        message = f"Keras has no layer that bounds numbers by {low:g} and {high:g}."
        raise NoWay(message)
    return activation(node)


def norm(node: Node) -> tuple[str, Json]:
    """Return a norm as a layer; NoWay where Keras has none."""
    if node.op not in _NORMS:
        message = f"No norm of Keras is {node.op}."
        raise NoWay(message)
    epsilon = max(_number(node.attributes.get("epsilon", 1e-5)), NO_EPSILON)
    fields: Json = {"axis": -1, "epsilon": epsilon}
    if node.op == "GroupNormalization":
        fields = {"groups": node.attributes["num_groups"], **fields}
    if node.op == "BatchNormalization":
        fields["momentum"] = _number(node.attributes.get("momentum", 0.9))
    return _NORMS[node.op], fields


def _affine(node: Node) -> tuple[str, Json]:
    """Return a product and a sum: `Rescaling` by two numbers, `Normalization` by those of each column."""
    scale, offset = node.attributes["scale"], node.attributes["offset"]
    if not isinstance(scale, Tensor) and not isinstance(offset, Tensor):
        return "Rescaling", {"scale": scale, "offset": offset}
    widest = max((each for each in (scale, offset) if isinstance(each, Tensor)), key=Tensor.dim)
    scale, offset = (torch.as_tensor(each).double().expand(widest.shape) for each in (scale, offset))
    if widest.dim() > 1 or not all(each > 0 for each in scale.tolist()):
        message = "No layer of Keras multiplies and adds numbers of several axes, or negative ones."
        raise NoWay(message)
    mean, variance = -offset / scale, scale**-2
    lists = {"mean": mean.tolist(), "variance": variance.tolist()}
    return "Normalization", {"axis": -1, "invert": False, **lists}


def _number(value: Any) -> float:  # noqa: ANN401  a float attribute
    return float(f"{value:.6g}")


def regularizer(penalty: Penalty | None, *, older: bool) -> Json | None:
    """Return what a weight adds to the loss as a regularizer; NoWay for what Keras has none for."""
    if penalty is None:
        return None
    if penalty.rows or penalty.columns:
        message = "A penalty on rows or columns is not one of sums."
        raise NoWay(message)
    given = {name: value for name, value in (("l1", penalty.l1), ("l2", penalty.l2)) if value}
    kind = "L1L2" if len(given) != 1 else next(iter(given)).upper()
    return written("regularizers", kind, given or {"l1": 0.0, "l2": 0.0}, older)


def initializer(found: Recipe, *, older: bool) -> Json:
    """Return a law as an initializer; NoWay for one that Keras has none for."""
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
        case Gained(kind="delta_orthogonal"):
            message = "Keras has no initializer that is orthogonal in the middle of a window."
            raise NoWay(message)
        case Gained():
            drawn = {"seed": None} if found.kind == "orthogonal" else {}
            return written("initializers", found.kind.capitalize(), {"gain": found.gain, **drawn}, older)


def written(package: str, kind: str, config: Mapping[str, Any], older: bool) -> Json:  # noqa: FBT001  a format
    """Return an object as Keras 3 writes it, or as tf.keras 2 did."""
    if older:
        return {"class_name": kind, "config": dict(config)}
    return {"module": f"keras.{package}", "class_name": kind, "config": dict(config), "registered_name": None}
