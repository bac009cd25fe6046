"""The head's bias set to what is known before any sample is seen."""

from dataclasses import replace
from typing import Final, NamedTuple

import torch
from scipy import stats
from torch import Tensor

from service.contract.words import LossName, Symptom, TreatmentKind
from worker.head import LAYOUT, source
from worker.loss import BINARY, CLASSES, class_axis, counted
from worker.network.graph import Graph, Parameter
from worker.network.laws import Constant
from worker.network.layers import Layer, weight_layers
from worker.network.run import Program
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

_SURE: Final = 0.999
"""How sure it must be that the targets are uneven, and not by luck."""
_SHOWN: Final = 4
_LISTED: Final = 8
"""Most numbers that a hint lists."""
_BEHIND: Final = {
    LossName.PROBABILITY_CROSS_ENTROPY: {"Softmax"},
    LossName.NLL: {"LogSoftmax"},
    LossName.BCE: {"Sigmoid"},
}
"""What stands between the head's logits and a loss that reads no logits."""


class _Prior(NamedTuple):
    """The best constant answer, one number for each unit of the head."""

    bias: Tensor
    evidence: float
    """Twice the gain in log likelihood over the bias that stands there, over all samples: χ² where there is none."""
    said: str


@treatment(
    "log-prior-bias",
    TreatmentKind.LOSS,
    {Symptom.POOR_INIT_SCALE, Symptom.SLOW_LEARNING_RATE, Symptom.TARGET_PROBLEM},
    cost=2,
    retrains=False,
    hints=Hints(
        torch="""
            *_, last = [part for part in model.modules() if getattr(part, "bias", None) is not None]
            with torch.no_grad():
                last.bias.copy_($prior)
        """,
        keras="""
            model.layers[-1].bias.assign($keras_prior)
        """,
    ),
)
def log_prior_bias(subject: Subject, evidence: Evidence) -> Outcome:
    """Start the head at what the targets say on average

    What it changes
        The bias of the head becomes the logarithm of each class's share of the targets; for yes or no the logit of the
        share of yes; for numbers their mean (for absolute errors, the median).  Where a class is missing, half a sample
        is added to each.

    Why it helps
        The best constant answer is where training goes first.  A head that starts there has the loss of that answer
        wherever the features say nothing yet, and its first steps tell samples apart instead.

    When it is wrong
        Shares of one batch stand for those of the data set; take them from the data set.  Where training sees other
        shares than the task (oversampling, weighted classes), they are those of training.

    References
        Karpathy 2019, A Recipe for Training Neural Networks ("init well"); Lin et al. 2017 (arXiv 1708.02002), 4.1.
    """
    if subject.batch.drawn_target:
        return Inapplicable("The target was drawn: it has no shares of its own.")
    if evidence.loss.informed:
        return Inapplicable(
            f"The head knows more than shares: its loss of {evidence.loss.value:.3g} is below the "
            f"{evidence.loss.chance:.3g} of the best constant."
        )
    layer = _head(subject)
    if isinstance(layer, Inapplicable):
        return layer
    bias, values = subject.graph.parameters[str(layer.bias)], _values(subject, layer.output)
    prior = _prior(subject, bias.value.flatten(), values)
    if prior is None:
        return Inapplicable("The head does not have one number for each unit that the target speaks of.")
    if prior.evidence < stats.chi2.ppf(_SURE, prior.bias.numel()):
        return Inapplicable("The targets are as even as the head's bias: what differs may be luck.")
    changed = replace(bias, value=prior.bias.reshape(bias.value.shape).to(bias.value), law=_law(bias, prior.bias))
    graph = subject.graph.replace(parameters={**subject.graph.parameters, str(layer.bias): changed})
    torch_said, keras_said = _formulas(subject, prior.bias)
    said = f"Set the bias of {layer.node.origin or layer.node.name} to {prior.said}: {_numbers(prior.bias)}."
    return Change(subject.replace(graph=graph), (said,), {"prior": torch_said, "keras_prior": keras_said})


def _head(subject: Subject) -> Layer | Inapplicable:
    """Return the weight layer whose bias the loss reads, or why there is none."""
    graph, value = subject.graph, subject.output
    node = source(graph, value, LAYOUT)
    behind = _BEHIND.get(subject.loss.name)
    if behind is not None:
        if node is None or node.op not in behind:
            return Inapplicable(f"The loss {subject.loss.name} does not read a {' or '.join(behind)} here.")
        node = source(graph, node.inputs[0], LAYOUT)
    made = node.outputs[0] if node is not None else value
    layer = next((each for each in weight_layers(graph) if each.output == made), None)
    if layer is None:
        return Inapplicable("The loss does not read what a weight layer gives.")
    if layer.bias is None or not graph.parameters[layer.bias].trainable:
        return Inapplicable("The head has no bias that is trained.")
    if sum(layer.bias in each.inputs for each in graph.nodes) > 1:
        return Inapplicable("The head's bias serves elsewhere, too.")
    return layer


def _values(subject: Subject, name: str) -> Tensor:
    graph: Graph = subject.graph.replace(outputs=(name,))
    with torch.no_grad():
        return Program(graph, subject.device).run(subject.batch.inputs)[name]


def _prior(subject: Subject, bias: Tensor, values: Tensor) -> _Prior | None:
    """Return the best constant in the head's own units; None where the head has not one unit for each."""
    name, target, samples = subject.loss.name, subject.target, subject.batch.size
    bias = bias.detach().double()
    if name in CLASSES:
        return _of_classes(target, bias, samples, values, subject.loss.axis)
    rows = _by_unit(target, values, len(bias))
    if rows is None or not bool(rows.isfinite().all()):
        return None
    if name in BINARY:
        return _of_bits(rows, bias, samples)
    middle = rows.median(0).values if name is LossName.MAE else rows.mean(0)
    variance = rows.var(0, correction=0).clamp_min(1e-12)
    gain = samples * ((middle - bias).square() / variance).sum()
    return _Prior(middle, float(gain), f"the targets' {'median' if name is LossName.MAE else 'mean'}")


def _of_classes(target: Tensor, bias: Tensor, samples: int, values: Tensor, axis: int | None) -> _Prior | None:
    if target.is_floating_point():
        place = class_axis(target) if axis is None else axis
        counts = target.double().movedim(place, -1).flatten(0, -2).sum(0)
    else:
        counts = torch.bincount(counted(target), minlength=len(bias)).double()
    if len(counts) != len(bias) or values.dim() < 2 or len(bias) < 2:  # noqa: PLR2004  samples and classes
        return None
    counts = counts if bool((counts > 0).all()) else counts + 0.5
    share = (counts / counts.sum()).cpu()
    lost = (share * (share.log() - bias.cpu().log_softmax(0))).sum()
    return _Prior(share.log(), 2 * samples * float(lost), "the logarithm of the shares of the classes")


def _of_bits(rows: Tensor, bias: Tensor, samples: int) -> _Prior:
    mean = rows.mean(0)
    certain = (mean <= 0) | (mean >= 1)
    share = mean.where(~certain, (rows.sum(0) + 0.5) / (len(rows) + 1))
    there = bias.sigmoid().clamp(1e-12, 1 - 1e-12)
    lost = share * (share / there).log() + (1 - share) * ((1 - share) / (1 - there)).log()
    return _Prior(share.logit(), 2 * samples * float(lost.sum()), "the logit of the share of ones")


def _by_unit(target: Tensor, values: Tensor, units: int) -> Tensor | None:
    """Return the target as [positions, units]; None where its shape has no axis for the head's units."""
    if target.numel() != values.numel():
        return None
    if units == 1:
        return target.double().reshape(-1, 1)
    axis = 1 if values.dim() > 1 and values.shape[1] == units and values.dim() != 3 else values.dim() - 1  # noqa: PLR2004
    if values.shape[axis] != units:
        return None
    return target.double().reshape(values.shape).movedim(axis, -1).flatten(0, -2)


def _law(was: Parameter, bias: Tensor) -> Constant | None:
    """Return the law of a bias that is the same everywhere; none where it is not, so that no draw changes it."""
    return Constant(tuple(was.value.shape), float(bias[0])) if bool((bias == bias[0]).all()) else None


def _numbers(bias: Tensor) -> str:
    shown = ", ".join(f"{float(each):.3g}" for each in bias[:_SHOWN])
    return shown if len(bias) <= _SHOWN else f"{shown} and {len(bias) - _SHOWN} more"


def _formulas(subject: Subject, bias: Tensor) -> tuple[str, str]:
    """Return how torch says the same of targets `y`, and the numbers for Keras where they are few."""
    listed = f"[{', '.join(f'{float(each):.4g}' for each in bias)}]" if len(bias) <= _LISTED else ""
    if subject.loss.name in CLASSES:
        return (
            "torch.bincount(y, minlength=last.bias.numel()).add(0.5).div(len(y)).log()",
            listed or "keras.ops.log(keras.ops.mean(keras.utils.to_categorical(y), 0) + 1e-6)",
        )
    if subject.loss.name in BINARY:
        share = "keras.ops.mean(y, 0)"
        return "y.float().mean(0).logit()", listed or f"keras.ops.log({share} / (1 - {share}))"
    return "y.float().mean(0)", listed or "keras.ops.mean(y, 0)"
