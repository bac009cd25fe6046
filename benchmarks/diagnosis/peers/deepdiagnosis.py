"""DeepDiagnosis (Wardat et al., ICSE 2022) with the limits of its repository's callback."""

from itertools import pairwise
from math import inf, isfinite
from typing import Final

from benchmarks.diagnosis.peers.rule import Peer, rule
from benchmarks.diagnosis.traces import Trace

VANISHED: Final = 1e-7
DEAD: Final = 0.7
SATURATED: Final = 0.5
SAME: Final = 5
SAME_ACCURACY: Final = 20
WIDER: Final = 10.0
_RANGES: Final = {"Sigmoid": (0.0, 1.0), "Tanh": (-1.0, 1.0), "Relu": (0.0, inf), "Elu": (-1.0, inf)}


def out_of_range(trace: Trace) -> bool:
    """The last activation cannot give the targets, or a linear output's range is ten times the targets'."""
    if trace.head in {"Softmax", "LogSoftmax"} or (trace.head not in _RANGES and trace.task == "classification"):
        return False
    first, (low, high) = trace.steps[0], _RANGES.get(trace.head, (-inf, inf))
    wide = first.output_high - first.output_low > WIDER * (trace.target_high - trace.target_low)
    return trace.target_low < low or trace.target_high > high or (trace.head not in _RANGES and wide)


def numerical(trace: Trace) -> bool:
    """The mean of an activation or a weight is not finite, or zero; so is a weight's gradient."""
    means = [a.output_mean for step in trace.read() for a in step.activations.values()]
    means += [each.mean for step in trace.steps for each in step.matrices]
    broken = any(not w.gradient_finite or w.gradient_zero == 1 for step in trace.steps for w in step.matrices)
    return broken or any(not isfinite(value) or value == 0 for value in means)


def dead_node(trace: Trace) -> bool:
    """At the last step, 70% of a rectifier's outputs are not above zero."""
    return any(a.at_most_zero >= DEAD for a in trace.steps[-1].activations.values() if a.kind == "relu")


def saturated_activation(trace: Trace) -> bool:
    """Over half of the inputs of a tanh or a sigmoid are beyond ±5."""
    layers = (a for step in trace.read() for a in step.activations.values() if a.kind in {"tanh", "sigmoid"})
    return any(a.saturated > SATURATED for a in layers)


def unchanged_tensor(trace: Trace) -> bool:
    """A weight's mean, or its gradient's, is the same five readings on end."""
    for name, first in trace.steps[0].weights.items():
        course = [step.weights[name] for step in trace.steps if name in step.weights]
        if first.matrix and (_same([w.mean for w in course], SAME) or _same([w.gradient_mean for w in course], SAME)):
            return True
    return False


def invalid_loss(trace: Trace) -> bool:
    """The loss is not finite."""
    return not all(map(isfinite, trace.losses))


def loss_not_decreasing(trace: Trace) -> bool:
    """The loss is the same five steps on end."""
    return _same(trace.losses, SAME)


def accuracy(trace: Trace) -> bool:
    """The accuracy is zero, or the same twenty steps on end while targets are missed."""
    accuracies = [step.accuracy for step in trace.steps]
    if trace.task == "regression":
        return False
    return 0 in accuracies or _same([each for each in accuracies if each < 1], SAME_ACCURACY)


def vanishing_gradient(trace: Trace) -> bool:
    """The mean magnitude of a weight's gradient is under 1e-7."""
    gradients = (each.gradient for step in trace.steps for each in step.matrices)
    return any(gradient is not None and gradient < VANISHED for gradient in gradients)


def _same(values: list[float], length: int) -> bool:
    """Whether consecutive windows of this length hold one whose values are all equal."""
    equal = [a == b for a, b in pairwise(values)]
    return any(all(equal[at : at + length - 1]) for at in range(0, len(values) - length + 1, length))


PEER: Final = Peer(
    name="DeepDiagnosis",
    source="https://github.com/DeepDiagnosis/ICSE2022 (callback/callbacks.py)",
    reading=(
        "A step on the whole batch is an epoch, every weight with two axes is a dense layer, logits under a loss that "
        "takes them pass for a softmax, accuracies are those of classifiers, and one of 1 may stay.  A gradient is "
        "zero where all of it is: over the classes of a softmax its mean always is, up to rounding."
    ),
    rules=(
        rule("out of range", out_of_range, "loss_mismatch", "target_problem"),
        rule("numerical error", numerical, "non_finite", "no_gradient", "exploding_gradient"),
        rule("dead node", dead_node, "dead_units"),
        rule("saturated activation", saturated_activation, "saturated_units"),
        rule("unchanged tensor", unchanged_tensor, "no_gradient", "stalled_training"),
        rule("invalid loss", invalid_loss, "non_finite", "exploding_gradient", "unstable_learning_rate"),
        rule("loss not decreasing", loss_not_decreasing, "stalled_training"),
        rule("accuracy not increasing", accuracy, "stalled_training", "slow_learning_rate"),
        rule("vanishing gradient", vanishing_gradient, "vanishing_gradient", "no_gradient"),
    ),
)
