"""Operators as layers of the project's own format."""

from math import isclose
from typing import Any, Final, get_args

from torch import Tensor

from service.contract.architecture import Layer
from service.contract.architecture.activation import Activations
from service.contract.architecture.base import LayerBase
from worker.network.graph import Graph, Node
from worker.patch.difference import Inserted
from worker.patch.insertion import chain, number
from worker.patch.normal import AFFINE, NO_EPSILON
from worker.patch.places import NoWay

KINDS: Final[dict[str, type[LayerBase]]] = {
    kind: each for each in get_args(get_args(Layer)[0]) for kind in get_args(each.model_fields["kind"].annotation)
}
"""The class of each kind of layer."""
ACTIVATIONS: Final = frozenset(kind for kind, each in KINDS.items() if each in get_args(Activations))
_PLAIN: Final = {
    "Relu": "relu",
    "Selu": "selu",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Mish": "mish",
    "HardSwish": "hard_swish",
    "Swish": "silu",
}
_NUMBERED: Final = {"LeakyRelu": ("leaky_relu", 0.01), "Elu": ("elu", 1.0)}
_NORMS: Final[dict[str, str]] = {
    "BatchNormalization": "batch_norm",
    "LayerNormalization": "layer_norm",
    "GroupNormalization": "group_norm",
    "InstanceNormalization": "instance_norm",
    "RMSNormalization": "rms_norm",
}


def activation(node: Node) -> dict[str, Any]:
    """Return an operator as a layer; NoWay where there is none."""
    if node.op in _PLAIN:
        return {"kind": _PLAIN[node.op]}
    if node.op in _NUMBERED:
        kind, alpha = _NUMBERED[node.op]
        return {"kind": kind, "alpha": node.attributes.get("alpha", alpha)}
    if node.op == "Gelu":
        tanh = node.attributes.get("approximate", "none") == "tanh"
        return {"kind": "gelu", "approximate": "tanh"} if tanh else {"kind": "gelu"}
    message = f"No layer of the file's format is the operator {node.op}."
    raise NoWay(message)


def added(graph: Graph, inserted: Inserted) -> list[dict[str, Any]]:
    """Return nodes inserted behind a value as layers, one behind the other; NoWay where no layer is one of them."""
    return [_layer(graph, node, wide=_wide(graph, inserted)) for node in chain(graph, inserted)]


def _layer(graph: Graph, node: Node, *, wide: bool) -> dict[str, Any]:
    if node.op in _NORMS:
        return {**norm(node), **({"axes": [0]} if wide and node.op == "RMSNormalization" else {})}
    if node.op == AFFINE:
        return {"kind": "rescale", **{name: _stated(node.attributes[name]) for name in ("scale", "offset")}}
    if node.op == "Dropout" and not node.domain:
        return {"kind": "dropout", "rate": number(graph, node, 1)}
    if node.op == "Clip":
        return {"kind": "hard_tanh", "low": number(graph, node, 1), "high": number(graph, node, 2)}
    return activation(node)


def norm(node: Node) -> dict[str, Any]:
    """Return a norm as a layer; NoWay where the node is none."""
    if node.op not in _NORMS:
        message = f"No norm of the file's format is {node.op}."
        raise NoWay(message)
    layer: dict[str, Any] = {"kind": _NORMS[node.op]}
    if node.op == "GroupNormalization":
        layer["groups"] = node.attributes["num_groups"]
    if node.op == "BatchNormalization" and not _near(node.attributes.get("momentum", 0.9), 0.9):
        layer["momentum"] = _short(node.attributes["momentum"])
    epsilon = max(_short(node.attributes.get("epsilon", 1e-5)), NO_EPSILON)
    default = KINDS[layer["kind"]].model_fields["epsilon"].default
    return layer if epsilon == default else {**layer, "epsilon": epsilon}


def _wide(graph: Graph, inserted: Inserted) -> bool:
    """Whether the nodes stand among the channels of images, which come before the places."""
    read = {name for node in inserted.nodes for name in node.inputs} & graph.parameters.keys()
    return any(graph.parameters[name].value.dim() > 2 for name in read)  # noqa: PLR2004  height and width


def _stated(numbers: Any) -> Any:  # noqa: ANN401  a number or a tensor
    return [float(f"{float(each):.9g}") for each in numbers.flatten()] if isinstance(numbers, Tensor) else numbers


def _short(number: Any) -> float:  # noqa: ANN401  a float attribute
    return float(f"{number:.6g}")


def _near(one: Any, two: float) -> bool:  # noqa: ANN401  a float attribute
    return isclose(one, two, rel_tol=1e-6)
