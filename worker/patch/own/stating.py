"""Operators as layers of the project's own format."""

from typing import Any, Final, get_args

from service.contract.architecture import Layer
from service.contract.architecture.activation import Activations
from service.contract.architecture.base import LayerBase
from worker.network.graph import Graph, Node
from worker.patch.difference import Inserted
from worker.patch.normal import AFFINE, normal
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
}
_NUMBERED: Final = {"LeakyRelu": ("leaky_relu", 0.01), "Elu": ("elu", 1.0)}
_NORMS: Final[dict[str, dict[str, Any]]] = {
    "BatchNormalization": {"kind": "batch_norm"},
    "LayerNormalization": {"kind": "layer_norm"},
    "GroupNormalization": {"kind": "group_norm", "groups": 1},
}


def activation(node: Node) -> dict[str, Any]:
    """Return an operator as a layer; NoWay where there is none."""
    if node.op in _PLAIN:
        return {"kind": _PLAIN[node.op]}
    if node.op in _NUMBERED:
        kind, alpha = _NUMBERED[node.op]
        return {"kind": kind, "alpha": node.attributes.get("alpha", alpha)}
    message = f"No layer of the file's format is the operator {node.op}."
    raise NoWay(message)


def added(graph: Graph, inserted: Inserted) -> dict[str, Any]:
    """Return nodes inserted behind a layer as one: a norm, or a rescaling; NoWay where they are neither."""
    nodes = _in_normal_form(graph, inserted)
    if nodes[-1].op == AFFINE:
        return rescale(graph, inserted)
    if len(nodes) != 1 or nodes[0].op not in _NORMS:
        message = f"No layer of the file's format is {', '.join(node.op for node in inserted.nodes)}."
        raise NoWay(message)
    epsilon = float(f"{nodes[0].attributes['epsilon']:.6g}")
    layer = _NORMS[nodes[0].op]
    default = KINDS[layer["kind"]].model_fields["epsilon"].default
    return dict(layer) if epsilon == default else {**layer, "epsilon": epsilon}


def rescale(graph: Graph, inserted: Inserted) -> dict[str, Any]:
    """Return inserted nodes as a layer that rescales; NoWay where they do more than multiply and add a number."""
    *_, node = _in_normal_form(graph, inserted)
    if node.op != AFFINE or node.inputs[0] != inserted.behind:
        message = f"No layer of the file's format is what stands behind {inserted.behind}."
        raise NoWay(message)
    return {"kind": "rescale", "scale": node.attributes["scale"], "offset": node.attributes["offset"]}


def _in_normal_form(graph: Graph, inserted: Inserted) -> tuple[Node, ...]:
    outputs = (inserted.nodes[-1].outputs[0],)
    return normal(graph.replace(nodes=inserted.nodes, outputs=outputs)).nodes
