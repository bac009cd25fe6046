"""Regularization: what holds the weights back, against what the loss asks of them.

Formula: pull = ‖∇penalty + λ·w‖ / ‖∇loss‖ over all trained weights at the start; at any minimum of both together the
two are equal, so a pull far above 1 ends near zero weights.  No unit.  Cost: one backward pass where there is weight
decay or a penalty, none elsewhere.  Source: the stationarity condition of a penalized loss.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from service.contract.words import OptimizerName
from worker.network.graph import Graph, Node
from worker.probe.dropouts import dropped_share
from worker.probe.evidence import Declared, Regularization
from worker.probe.sweep import Sweep
from worker.subject import Subject


def declared(subject: Subject) -> Declared:
    """Return what the caller said about training."""
    settings = subject.settings
    clip = settings.clipping.limit if settings.clipping is not None else None
    return Declared(settings.optimizer, settings.learning_rate, settings.momentum, settings.weight_decay, clip)


def measure_regularization(sweep: Sweep) -> Regularization | None:
    """Return what holds the weights back; None where nothing does."""
    subject = sweep.subject
    penalized = tuple(n for n, p in subject.graph.parameters.items() if p.penalty is not None and p.trainable)
    dropouts = tuple((node.name, share) for node, share in _dropouts(subject.graph) if share > 0)
    if not penalized and not dropouts and subject.settings.weight_decay == 0:
        return None
    return Regularization(_pull(sweep) if penalized or subject.settings.weight_decay else 0.0, penalized, dropouts)


def unregularized(subject: Subject) -> Subject | None:
    """Return the subject without weight decay, penalties and dropout; None where it has none of them."""
    graph = subject.graph
    dropping = {node.name for node, share in _dropouts(graph) if share > 0}
    held = [name for name, parameter in graph.parameters.items() if parameter.penalty is not None]
    if not dropping and not held and subject.settings.weight_decay == 0:
        return None
    nodes = tuple(_open(node) if node.name in dropping else node for node in graph.nodes)
    free = {name: replace(parameter, penalty=None) for name, parameter in graph.parameters.items()}
    settings = replace(subject.settings, weight_decay=0.0)
    return subject.replace(graph=graph.replace(nodes=nodes, parameters=free), settings=settings)


def _dropouts(graph: Graph) -> Iterator[tuple[Node, float]]:
    """Yield the nodes that drop numbers at random in training, with the share that they drop."""
    for node in graph.nodes:
        if node.op == "Dropout":
            yield node, dropped_share(node, graph.constants)


def _open(node: Node) -> Node:
    """Return a node that lets everything pass in a dropout's place."""
    return replace(node, op="Identity", domain="", inputs=node.inputs[:1], outputs=node.outputs[:1], attributes={})


def _pull(sweep: Sweep) -> float:
    """Return how much harder than the loss the regularizers pull at the start; infinity where the loss does not."""
    subject = sweep.subject
    gradients = sweep.gradients([name for name, p in subject.graph.parameters.items() if p.trainable])
    asked = math.sqrt(sum(float(each.detach().double().square().sum()) for each in gradients.values()))
    held = math.sqrt(sum(float(each.double().square().sum()) for each in _pulls(sweep)))
    return held / asked if asked > 0 else (math.inf if held > 0 else 0.0)


def _pulls(sweep: Sweep) -> Iterator[Tensor]:
    """Yield what penalties and weight decay add to each gradient; a decay apart from the gradient adds none."""
    settings = sweep.subject.settings
    decay = 0.0 if settings.optimizer is OptimizerName.ADAMW else settings.weight_decay
    for name, parameter in sweep.subject.graph.parameters.items():
        if not parameter.trainable:
            continue
        leaf = sweep.parameters[name].detach().clone().requires_grad_()
        added = decay * leaf.detach()
        if parameter.penalty is not None:
            added = added + torch.autograd.grad(parameter.penalty(leaf), leaf)[0]
        yield added
