"""What evaluation makes of the batch, beside training; and what an exporter folded that only evaluation has.

Cost: one forward pass, where the network holds batch norms or noise and its loss is under that of a guess: what has not
learnt has nothing that evaluation could lose.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from service.contract.words import Mode
from worker.network.evaluated import NOISES
from worker.network.graph import Graph, Node
from worker.network.layers import NORMS
from worker.passes import count
from worker.probe.evidence import Evaluation, Spot
from worker.probe.structure.batch_norms import NORM
from worker.probe.sweep import Sweep

_LEFT: Final = re.compile(r"getitem(_\d+)?|.*(batch_?norm|fusedbatchnorm|(^|[._/])bn\d*[._/]).*", re.IGNORECASE)
"""Names that folding leaves on a convolution's weights, or on what it writes: torch's exporter's, and tf2onnx's."""
_MADE: Final = re.compile(r"onnx::Conv_\d+")
"""What torch's older exporter calls a weight that it worked out; of a weight norm it works out the kernel alone."""


def evaluated(sweep: Sweep) -> Evaluation | None:
    """Return the loss in evaluation mode; None where that computes the same, or the model is no better than a guess."""
    subject, path = sweep.subject, sweep.path
    if not two_modes(sweep) or not float(sweep.loss.detach()) < subject.loss.chance(subject.target):
        return None
    count(forward=1)
    with torch.no_grad():
        values = sweep.program.run(subject.batch.inputs, training=False)
        loss = float(subject.loss(values[subject.output].float(), subject.target))
    norms = [node for node in path.nodes if node.op == NORM]
    held = {**subject.graph.constants, **{name: each.value for name, each in subject.graph.parameters.items()}}
    distances = [spot for node in norms if (spot := _distance(node, sweep.values, held)) is not None]
    return Evaluation(
        loss=loss,
        training=float(sweep.loss.detach()),
        norms=len(norms),
        fresh=sum(_fresh(node, held) for node in norms),
        farthest=max(distances, key=lambda spot: spot.measured, default=None),
    )


def two_modes(sweep: Sweep) -> bool:
    """Whether evaluation computes something else than the training that the subject is examined in."""
    differs = any(node.op in NOISES or node.op == NORM for node in sweep.path.nodes)
    return differs and sweep.subject.mode is Mode.TRAIN


def folded(graph: Graph) -> tuple[Spot, ...]:
    """Return the convolutions of a file whose names say that a batch norm was folded into them; none if norms stay."""
    if graph.header is None or any(node.op in NORMS for node in graph.nodes):
        return ()
    found = (node for node in graph.nodes if node.op == "Conv" and _left(graph, node))
    return tuple(Spot(node.name, node.op, node.origin) for node in found)


def _left(graph: Graph, node: Node) -> bool:
    """Whether a convolution's kernel and bias were both made by an exporter, or its names tell of a norm."""
    held = graph.parameters.keys() | graph.constants.keys()
    weights = [name for name in node.inputs[1:] if name in held]
    made = len(weights) > 1 and all(map(_MADE.fullmatch, weights))
    return made or any(map(_LEFT.fullmatch, (*weights, node.outputs[0])))


def _fresh(node: Node, held: Mapping[str, Tensor]) -> bool:
    mean, variance = (held.get(name) for name in node.inputs[3:5])
    return mean is not None and variance is not None and not bool(mean.any()) and bool((variance == 1).all())


def _distance(node: Node, values: Mapping[str, Tensor], held: Mapping[str, Tensor]) -> Spot | None:
    """Return how far a norm's running means are from the batch's, in its standard deviations, by their median."""
    mean, value = held.get(node.inputs[3]), values[node.inputs[0]].detach()
    if mean is None or value.dim() < 2 or value.shape[1] != mean.numel():  # noqa: PLR2004  samples and channels
        return None
    rest = [axis for axis in range(value.dim()) if axis != 1]
    middle = value.mean(rest)
    spread = (value - middle.reshape(-1, *[1] * (value.dim() - 2))).square_().mean(rest).sqrt()
    apart = (middle - mean.to(value)).abs() / spread.clamp(min=torch.finfo(torch.float32).tiny)
    return replace(Spot(node.name, node.op, node.origin), measured=float(apart.median()))
