"""Norms taken out: batch norms without skips, and those whose output cannot vary."""

from dataclasses import replace
from math import prod
from typing import Final

import torch
from torch import Tensor

from service.contract.words import Mode, Symptom, TreatmentKind
from worker.criticality import redraw
from worker.network.found_norms import batch_norms, spliced, taken_out, without_unread
from worker.network.graph import Graph, Node
from worker.network.layers import weight_layers
from worker.network.norming import BROADCASTS, Norming
from worker.probe.evidence import Evidence
from worker.probe.sweep import sweep
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

_TABLE: Final = 2
"""Axes of a table: samples and features."""
_LASTING: Final = frozenset({"LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"})
"""Norms over all axes from one of them on."""


@treatment(
    "remove-norm",
    TreatmentKind.NORMALIZATION,
    {Symptom.NORMALIZATION_MISUSE, Symptom.EXPLODING_GRADIENT, Symptom.SHATTERED_GRADIENT, Symptom.GRADIENT_NOISE},
    cost=4,
    retrains=True,
    hints=Hints(
        torch="""
        for place, layer in [each for each in model.named_modules() if hasattr(each[1], "running_var")]:
            model.set_submodule(place, nn.Identity())
        for weight in [each for each in model.parameters() if each.dim() > 1]:
            nn.init.kaiming_normal_(weight)
        """,
        keras="""
        def bare(it, k=keras.layers):
            return k.Identity() if isinstance(it, k.BatchNormalization) else it
        model = keras.models.clone_model(model, clone_function=bare)  # with kernel_initializer="he_normal" before ReLU
        """,
    ),
)
def remove_norm(subject: Subject, evidence: Evidence) -> Outcome:
    """Take the batch norms out, and draw the weights before them at criticality

    What it changes
        Batch norms are left out.  The weights right before them are drawn with the variance at which the activation
        keeps gradients, He's before ReLU.  Weights that look trained stay; there, what the norm did to this batch is
        kept as a gain and a bias per channel, so that training starts from the same function.

    Why it helps
        Batch norm without skips makes the squared gradient 1.47 times as large per layer of ReLU, whatever the weights.
        Critical weights alone keep it, and samples no longer depend on each other.

    When it is wrong
        Residual networks rely on their norms: without them branches must be scaled.  Large learning rates are borne no
        more.  A layer behind whose norm there is no known activation is drawn as a linear one.

    References
        Yang et al. 2019 (arXiv 1902.08129); He et al. 2015 (arXiv 1502.01852).
    """
    norms = list(batch_norms(subject.graph))
    if not norms:
        return Inapplicable("There is no batch norm that training may change.")
    if evidence.structure.trained:
        return _kept(subject, norms)
    names = {norm.name for norm in norms}
    kernels = {layer.kernel for layer in weight_layers(subject.graph) if layer.norm and layer.norm.name in names}
    graph = taken_out(subject.graph, norms)
    layers = tuple(layer for layer in weight_layers(graph) if layer.kernel in kernels)
    graph = redraw(graph, layers, subject.seed)
    drawn = f"draw the weights of {_some(len(layers), 'layer')} before them" if layers else "keep all weights"
    return Change(
        subject.replace(graph=graph),
        (
            f"Take {_some(len(norms), 'batch norm')} out (first: {_called(norms[0])}).",
            f"{drawn[0].upper()}{drawn[1:]}.",
        ),
    )


def _kept(subject: Subject, norms: list[Node]) -> Outcome:
    """Give what each norm does to the batch to its gain and bias."""
    graph, found = subject.graph, sweep(subject)
    uses = [name for norm in norms for name in norm.inputs[1:3]]
    alone = [norm for norm in norms if all(uses.count(name) == 1 for name in norm.inputs[1:3])]
    alone = [norm for norm in alone if found.values[norm.inputs[0]].dim() >= _TABLE]
    if not alone or graph.opsets.get("", 0) < BROADCASTS:
        return Inapplicable("The batch norms of these trained weights share their gains, or the opset is under 7.")
    for norm in alone:
        value = found.values[norm.inputs[0]].detach()
        graph = _fixed(graph, norm, value, by_batch=subject.mode is Mode.TRAIN)
    count = _some(len(alone), "batch norm")
    return Change(
        subject.replace(graph=graph),
        (f"Keep what {count} (first: {_called(alone[0])}) made of this batch as gains and biases.",),
    )


def _fixed(graph: Graph, norm: Node, value: Tensor, *, by_batch: bool) -> Graph:
    names = norm.inputs[1:3]
    gain, bias, mean, variance = (_held(graph, name) for name in norm.inputs[1:5])
    if by_batch:
        axes = [axis for axis in range(value.dim()) if axis != 1]
        mean, variance = value.double().mean(axes), value.double().var(axes, correction=0)
    epsilon = norm.attributes.get("epsilon", 1e-5)
    scale = gain.double() / torch.sqrt(variance.double() + (epsilon if isinstance(epsilon, float) else 1e-5))
    new = dict(zip(names, (scale, bias.double() - mean.double() * scale), strict=True))
    parameters, constants = dict(graph.parameters), dict(graph.constants)
    for name, number in new.items():
        if name in parameters:
            parameters[name] = replace(parameters[name], value=number.to(gain.dtype), law=None)
        else:
            constants[name] = number.to(gain.dtype)
    norming = Norming(graph, norm.inputs[0], norm.outputs[0], gain, norm.name, norm.origin)
    norming.affine(names[0], names[1], value.dim())
    return without_unread(
        spliced(graph.replace(parameters=parameters, constants=constants), norm.name, norming), norm.inputs[3:]
    )


def _held(graph: Graph, name: str) -> Tensor:
    return graph.parameters[name].value if name in graph.parameters else graph.constants[name]


@treatment(
    "remove-constant-norm",
    TreatmentKind.NORMALIZATION,
    {
        Symptom.NORMALIZATION_MISUSE,
        Symptom.NO_GRADIENT,
        Symptom.RANK_COLLAPSE,
        Symptom.STRUCTURE_FAULT,
        Symptom.STALLED_TRAINING,
        Symptom.VANISHING_GRADIENT,
    },
    cost=4,
    retrains=False,
    hints=Hints(
        torch="""
        for place, norm in [each for each in model.named_modules() if isinstance(each[1], nn.LayerNorm)]:
            if norm.weight.numel() == 1:
                model.set_submodule(place, nn.Identity())
        """,
        keras="""
        def bare(it, k=keras.layers):
            return k.Identity() if isinstance(it, k.LayerNormalization) and it.input.shape[-1] == 1 else it
        model = keras.models.clone_model(model, clone_function=bare)
        """,
    ),
)
def remove_constant_norm(subject: Subject, evidence: Evidence) -> Outcome:
    """Take out norms whose output cannot vary

    What it changes
        Norms over a single number are left out: a layer norm of one feature, an instance norm of one position, a group
        norm of one number per group, a batch norm of one sample and position.

    Why it helps
        One number less its own mean is zero, and divided by its own size is a sign: such a norm gives the same for
        every sample, and no gradient comes back through it.

    When it is wrong
        The norm was meant to run over another axis: then name that one instead.

    References
        Ba et al. 2016 (arXiv 1607.06450), section 3; Wu and He 2018 (arXiv 1803.08494), section 3.1.
    """
    shapes = {place.node: place.shape for place in evidence.places}
    by_batch = subject.mode is Mode.TRAIN
    found = [
        node
        for node in subject.graph.nodes
        if len(shapes.get(node.name, ())) >= _TABLE and _numbers(node, shapes[node.name], by_batch=by_batch) == 1
    ]
    if not found:
        return Inapplicable("Every norm runs over several numbers, or there is none.")
    graph = taken_out(subject.graph, found)
    norms = _some(len(found), "norm")
    return Change(
        subject.replace(graph=graph), (f"Take out {norms} over a single number (first: {_called(found[0])}).",)
    )


def _numbers(norm: Node, shape: tuple[int, ...], *, by_batch: bool) -> int:
    """Return of how many numbers a norm takes its statistics; 0 for what is none, or is frozen."""
    if norm.op in _LASTING:
        axis = norm.attributes.get("axis", -1)
        return prod(shape[axis if isinstance(axis, int) else -1 :])
    if norm.op == "BatchNormalization" and by_batch:
        return prod(shape) // max(shape[1], 1)
    number = norm.attributes.get("num_groups", 1)
    if norm.op == "GroupNormalization" and isinstance(number, int):
        return prod(shape[1:]) // number
    return prod(shape[2:]) if norm.op == "InstanceNormalization" else 0


def _some(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}"


def _called(node: Node) -> str:
    return node.origin or node.name
