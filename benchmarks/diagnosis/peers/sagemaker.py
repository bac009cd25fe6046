"""Amazon SageMaker Debugger's built-in rules with their documented defaults."""

from itertools import pairwise
from math import isclose
from typing import Final

from benchmarks.diagnosis.peers.rule import Peer, broken, rule
from benchmarks.diagnosis.traces import Trace

VANISHED: Final = 1e-7
LARGEST_VARIANCE: Final = 10.0
SMALLEST_VARIANCE: Final = 1e-5
LARGEST_UPDATE: Final = 10.0
SMALLEST_UPDATE: Final = 1e-8
DEAD_LAYER: Final = 0.5
VARIANCE_RATIO: Final = 10.0
DISTRIBUTION_RANGE: Final = 1e-3
FIRST_STEPS: Final = 10
PATIENCE: Final = 5
LOSS_STEPS: Final = 10
DECREASE: Final = 1e-3
"""diff_percent: .1%."""
SAME_LOSSES: Final = 3


def vanishing_gradient(trace: Trace) -> bool:
    """The mean magnitude of some gradient is under 1e-7 at some step."""
    return any(each.gradient < VANISHED for step in trace.steps for each in step.gradients if each.gradient is not None)


def dead_relu(trace: Trace) -> bool:
    """More than half of a layer's rectifiers are active for under 1% of what they see."""
    return any(a.inactive_units > DEAD_LAYER for step in trace.read() for a in step.activations.values() if _relu(a))


def saturated_activation(trace: Trace) -> bool:
    """More than half of a layer's units have inputs beyond ±9.4999 (tanh), or -23 and 17 (sigmoid)."""
    return any(a.extreme_units > DEAD_LAYER for step in trace.read() for a in step.activations.values())


def poor_weight_initialization(trace: Trace) -> bool:
    """In the first ten steps: variances of rectifiers' inputs ten times apart, a narrow gradient, or no progress."""
    return _uneven(trace) or _narrow(trace) or _stuck(trace)


def weight_update_ratio(trace: Trace) -> bool:
    """A step moves some weight by over ten times its size, or by less than 1e-8 of it."""
    ratios = [each.update for step in trace.steps for each in step.matrices]
    return any(ratio > LARGEST_UPDATE or ratio < SMALLEST_UPDATE for ratio in ratios)


def all_zero(trace: Trace) -> bool:
    """Some weight, gradient of a weight, or output of an activation is zero throughout."""
    tensors = any(each.zero == 1 or each.gradient_zero == 1 for step in trace.steps for each in step.matrices)
    return tensors or any(a.zero == 1 for step in trace.read() for a in step.activations.values())


def tensor_variance(trace: Trace) -> bool:
    """The variance of some weight is over 10 or under 1e-5."""
    variances = [each.variance for step in trace.steps for each in step.matrices]
    return any(v > LARGEST_VARIANCE or v < SMALLEST_VARIANCE for v in variances)


def unchanged_tensor(trace: Trace) -> bool:
    """Three losses in a row are numpy's `allclose` (rtol 1e-5, atol 1e-8)."""
    same = [isclose(a, b, rel_tol=1e-5, abs_tol=1e-8) for a, b in pairwise(trace.losses)]
    return any(all(same[at : at + SAME_LOSSES - 1]) for at in range(len(same) - SAME_LOSSES + 2))


def loss_not_decreasing(trace: Trace) -> bool:
    """The loss has not fallen by .1% within ten steps."""
    checked = trace.losses[::LOSS_STEPS]
    return any(not after < before - DECREASE * abs(before) for before, after in pairwise(checked))


def _relu(activation: object) -> bool:
    return getattr(activation, "kind", "") == "relu"


def _uneven(trace: Trace) -> bool:
    for step in trace.steps[:FIRST_STEPS]:
        variances = [a.input_variance for a in step.activations.values() if _relu(a)]
        if variances and max(variances) > VARIANCE_RATIO * min(variances):
            return True
    return False


def _narrow(trace: Trace) -> bool:
    first = trace.steps[:FIRST_STEPS]
    return any(each.gradient_spread < DISTRIBUTION_RANGE for step in first for each in step.gradients if each.matrix)


def _stuck(trace: Trace) -> bool:
    losses = trace.losses[:FIRST_STEPS]
    return any(min(losses[at + 1 : at + 1 + PATIENCE]) >= losses[at] for at in range(len(losses) - PATIENCE))


PEER: Final = Peer(
    name="SageMaker Debugger",
    source="https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html",
    reading=(
        "The loss of every step is saved, all else of every fifth; tensors are those of the documentation's examples: "
        "gradients for VanishingGradient, weights for TensorVariance and WeightUpdateRatio, losses for UnchangedTensor "
        "and all but biases for AllZero."
    ),
    rules=(
        rule("VanishingGradient", vanishing_gradient, "vanishing_gradient", "no_gradient"),
        rule("ExplodingTensor", broken, "exploding_gradient", "non_finite", "unstable_learning_rate"),
        rule("DeadRelu", dead_relu, "dead_units"),
        rule("SaturatedActivation", saturated_activation, "saturated_units"),
        rule(
            "PoorWeightInitialization",
            poor_weight_initialization,
            *("poor_init_scale", "symmetric_init", "vanishing_gradient", "exploding_gradient"),
        ),
        rule("WeightUpdateRatio", weight_update_ratio, "unstable_learning_rate", "slow_learning_rate"),
        rule("AllZero", all_zero, "no_gradient", "dead_units"),
        rule("TensorVariance", tensor_variance, "poor_init_scale", "symmetric_init"),
        rule("UnchangedTensor", unchanged_tensor, "stalled_training"),
        rule("LossNotDecreasing", loss_not_decreasing, "stalled_training", "slow_learning_rate"),
    ),
)
