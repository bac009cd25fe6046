"""Subjects for tests: described ones, and graphs made by hand."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from service.contract.architecture import parse
from service.contract.words import LossName
from worker.load.architecture import lower
from worker.loss import Loss
from worker.network.graph import Graph, Input, Node, Parameter
from worker.network.run import Program
from worker.subject import Batch, Settings, Subject

Layers = Sequence[Mapping[str, Any]]


def dense(units: int, init: object = "he_normal", **more: object) -> dict[str, Any]:
    """Return a dense layer."""
    return {"kind": "dense", "units": units, "init": init, **more}


def chain(depth: int, *layers: Mapping[str, Any], head: int = 4) -> list[dict[str, Any]]:
    """Return the layers `depth` times over, and a dense head."""
    return [*[dict(layer) for layer in layers] * depth, {"kind": "dense", "units": head}]


def described(
    layers: Layers,
    shape: tuple[int, ...] = (16,),
    *,
    size: int = 64,
    loss: LossName = LossName.MSE,
    seed: int = 0,
    settings: Settings = Settings(),  # noqa: B008  frozen
) -> Subject:
    """Return a described network with normal inputs, and normal targets (or classes, where the loss takes those)."""
    document = {"gradgate": "1", "input": {"shape": list(shape)}, "layers": list(layers)}
    graph = lower(parse(json.dumps(document).encode()), seed=seed)
    return with_target(graph, {"input": normal(size, *shape, seed=seed)}, loss=loss, seed=seed, settings=settings)


def with_target(
    graph: Graph,
    inputs: Mapping[str, Tensor],
    *,
    loss: LossName = LossName.MSE,
    seed: int = 0,
    settings: Settings = Settings(),  # noqa: B008  frozen
) -> Subject:
    """Return a subject whose target is drawn in the shape of the output."""
    output = Program(graph).run(inputs, training=True)[graph.outputs[0]].detach()
    if loss is LossName.CROSS_ENTROPY:
        target = torch.randint(output.shape[-1], output.shape[:-1], generator=torch.Generator().manual_seed(seed))
    else:
        target = normal(*output.shape, seed=seed + 1)
    return Subject(graph, Batch(inputs, target), Loss(loss), settings, graph.outputs[0], seed=seed)


def by_hand(
    nodes: Sequence[Node],
    parameters: Mapping[str, Tensor],
    inputs: Mapping[str, Tensor],
    *,
    constants: Mapping[str, Tensor] | None = None,
    output: str = "y",
) -> Subject:
    """Return a subject of these nodes; its squared error is taken against normal targets."""
    graph = Graph(
        nodes=tuple(nodes),
        inputs=tuple(Input(name, value.dtype, ("batch", *value.shape[1:])) for name, value in inputs.items()),
        outputs=(output,),
        parameters={name: Parameter(value) for name, value in parameters.items()},
        constants=constants or {},
    )
    return with_target(graph, inputs)


def node(op: str, inputs: str, output: str, **attributes: Any) -> Node:  # noqa: ANN401
    """Return a node named for what it writes; `inputs` are names with spaces between."""
    return Node(op, tuple(inputs.split()), (output,), output, attributes)


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Return numbers from the standard normal law."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def tensors(subject: Subject) -> dict[str, Tensor]:
    """Return copies of every tensor that a subject holds."""
    held = {**{name: each.value for name, each in subject.graph.parameters.items()}, **subject.graph.constants}
    held |= {f"input {name}": value for name, value in subject.batch.inputs.items()}
    return {name: value.clone() for name, value in {**held, "target": subject.target}.items()}
