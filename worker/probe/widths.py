"""Width check: how far the first steps move each hidden layer's output, as the network grows wider.

The described network is drawn at one, two and four times its hidden widths and takes five steps of its optimizer on the
batch; the slope of ln rms(Δx) against ln width is fitted for each hidden weight layer, without unit.  Within ±0.15 a
learning rate fits all widths; at +1 it is twice too large at twice the width, and below 0 the layer moves less and
less.  One hidden layer under gradient descent has −½, as its gradient comes back through weights of 1/√n; a hidden
kernel between two wide layers under Adam +1, as n numbers move by the rate each.
Cost: per width two sweeps and five steps: some 21 steps' worth at twice the width and 80 at four times.
Sources: Yang and Hu 2021 (arXiv 2011.14522), Yang et al. 2022 (arXiv 2203.03466, coordinate checks).
"""

import math
from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from worker.network.graph import Graph
from worker.optimizers import Optimizer
from worker.passes import count
from worker.probe.evidence import WidthTrend
from worker.probe.landscape import Landscape
from worker.probe.sweep import sweep
from worker.subject import Subject

TIMES: Final = (1, 2, 4)
STEPS: Final = 5


def measure_widths(subject: Subject, optimizer: Optimizer) -> tuple[WidthTrend, ...] | str:
    """Return the trend of every hidden weight layer; in words why not, where the width cannot be changed."""
    if subject.widened is None:
        return "only a chain of layers that is described, not stored, can be drawn at other widths"
    moved = []
    for times in TIMES:
        graph = subject.widened(times)
        if graph is None:
            return "no hidden layer has a width to change"
        moved.append(_moved(subject, graph.redrawn(subject.seed), optimizer))
    first = moved[0]
    if not all(math.isfinite(each) and each > 0 for shown in moved for each in shown.values()):
        return f"some layer does not move, or not finitely, within {STEPS} steps at one of the widths"
    origins = {node.name: node.origin for node in subject.graph.nodes}
    return tuple(
        WidthTrend(name, _slope([shown[name] for shown in moved]), origins.get(name))
        for name in first
        if all(name in shown for shown in moved)
    )


def _moved(subject: Subject, graph: Graph, optimizer: Optimizer) -> dict[str, float]:
    """Return how far each hidden weight layer's output moves, as a root mean square."""
    start = subject.replace(graph=graph.replace(outputs=subject.graph.outputs))
    trained = start.replace(graph=start.graph.with_parameters(_trained(start, optimizer)))
    before, after = sweep(start), sweep(trained)
    depth = before.path.depth
    hidden = [(node, value) for node, value in before.path.layers() if depth[value] < depth[subject.output]]
    return {node.name: _rms(after.values[value] - before.values[value]) for node, value in hidden}


def _trained(subject: Subject, optimizer: Optimizer) -> Mapping[str, Tensor]:
    landscape = Landscape(subject)
    leaves = [part.clone().requires_grad_() for part in landscape.split(landscape.weights)]
    stepper = optimizer.build(leaves)
    for _ in range(STEPS):
        with torch.no_grad():
            here = torch.cat([leaf.reshape(-1) for leaf in leaves])
        for leaf, part in zip(leaves, landscape.split(landscape.gradient(at=here)), strict=True):
            leaf.grad = part.clone()
        optimizer.clip(leaves)
        stepper.step()
    count(steps=STEPS)
    return dict(zip(landscape.names, [leaf.detach() for leaf in leaves], strict=True))


def _slope(moves: list[float]) -> float:
    """Return the least squares' slope of ln of the moves against ln of the width."""
    widths = [math.log(times) for times in TIMES]
    middle = sum(widths) / len(widths)
    logs = [math.log(move) for move in moves]
    return sum((width - middle) * log for width, log in zip(widths, logs, strict=True)) / sum(
        (width - middle) ** 2 for width in widths
    )


def _rms(value: Tensor) -> float:
    return float(value.detach().double().square().mean().sqrt())
