"""torch-audit 0.3: its rules about stability, data and architecture that warn or err."""

from math import fsum, sqrt
from typing import Final

from benchmarks.diagnosis.peers.rule import Peer, rule
from benchmarks.diagnosis.traces import Trace

LARGEST_NORM: Final = 100.0
DEAD: Final = 0.9
LARGEST_INPUT: Final = 50.0
FLAT: Final = 1e-5
TINY_BATCH: Final = 8
CHANNELS: Final = 32
WIDTH: Final = 4
_IMAGES: Final = 4


def not_finite(trace: Trace) -> bool:
    """A parameter or a gradient is not finite."""
    return any(not (w.finite and w.gradient_finite) for step in trace.steps for w in step.weights.values())


def gradient_explosion(trace: Trace) -> bool:
    """The norm of the whole gradient is over 100."""
    return any(sqrt(fsum(w.gradient_norm**2 for w in step.gradients)) > LARGEST_NORM for step in trace.steps)


def no_gradients(trace: Trace) -> bool:
    """No parameter has a gradient."""
    return any(step.weights and not step.gradients for step in trace.steps)


def activation_collapse(trace: Trace) -> bool:
    """Over 90% of an activation's outputs are exactly zero."""
    return any(a.zero > DEAD for step in trace.read() for a in step.activations.values())


def data_range(trace: Trace) -> bool:
    """An input reaches over 50."""
    return any(high > LARGEST_INPUT for _, high, _ in trace.inputs)


def flat_data(trace: Trace) -> bool:
    """An input's standard deviation is under 1e-5."""
    return any(deviation < FLAT for *_, deviation in trace.inputs)


def suspicious_layout(trace: Trace) -> bool:
    """Images with 32 channels or more are four wide or less."""
    return any(shape[1] >= CHANNELS and shape[3] <= WIDTH for shape in trace.image_shapes if len(shape) == _IMAGES)


def tiny_batch(trace: Trace) -> bool:
    """Under eight samples go through a batch normalization."""
    return trace.batch_norm and trace.batch < TINY_BATCH


def dead_filters(trace: Trace) -> bool:
    """A filter's norm is under 1e-6 at the start."""
    return any(w.empty_rows for w in trace.steps[0].weights.values())


PEER: Final = Peer(
    name="torch-audit",
    source="https://github.com/RMalkiv/torch-audit (RULES.md, validators/builtin), version 0.3.0",
    reading="Rules about devices and speed are left out, and those that only inform (TA103, TA404).",
    rules=(
        rule("TA100 NaN or Inf", not_finite, "non_finite", "exploding_gradient", "unstable_learning_rate"),
        rule("TA102 gradient explosion", gradient_explosion, "exploding_gradient", "unstable_learning_rate"),
        rule("TA104 no gradients", no_gradients, "no_gradient"),
        rule("TA105 activation collapse", activation_collapse, "dead_units"),
        rule("TA301 data range", data_range, "input_scale"),
        rule("TA302 flat data", flat_data, "input_scale"),
        rule("TA303 layout", suspicious_layout, "input_scale"),
        rule("TA304 tiny batch", tiny_batch, "normalization_misuse"),
        rule("TA305 invalid input", lambda trace: trace.negative_indices, "input_scale"),
        rule("TA400 bias before norm", lambda trace: trace.bias_before_norm > 0, "normalization_misuse"),
        rule(
            "TA401 Adam with L2",
            lambda trace: trace.optimizer == "adam" and trace.weight_decay > 0,
            "over_regularization",
        ),
        rule("TA402 decay of biases", lambda trace: trace.weight_decay > 0, "over_regularization"),
        rule("TA405 dead filters", dead_filters, "dead_units"),
        rule("TA500 unused layer", lambda trace: trace.unused > 0, "no_gradient", "structure_fault"),
    ),
)
