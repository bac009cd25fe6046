"""TheDeepChecker (Ben Braiek and Khomh, 2022): its checks before and during the overfitting of one batch."""

from collections.abc import Iterator
from itertools import pairwise
from math import isfinite, log, log10
from statistics import mean
from typing import Final

from benchmarks.diagnosis.peers.rule import Peer, broken, rule
from benchmarks.diagnosis.traces import Activation, Step, Trace, Weight

PERIOD: Final = 10
"""Steps from one check to the next; the first is at the tenth."""
F_INIT: Final = 2.70554
"""Critical F at α = .1: how far a variance may lie from its law's."""
F_ACTIVATION: Final = 5.0239
"""At α = .025."""
DEVIATIONS: Final = (0.5, 2.0)
UNITS: Final = 0.5
WEIGHTS: Final = 0.95
DIVERGED: Final = 1e8
VANISHED: Final = 1e-8
GROWTH: Final = 2.0
WINDOW: Final = 5
STAGNATION: Final = 0.05
SMOOTH: Final = 0.5
FLUCTUATION_WINDOW: Final = 50
MISLABELLED: Final = 0.05
REGRESSION_ERROR: Final = 1e-3
UPDATES: Final = (-4.0, -1.0)
_GAINS: Final = ("exploding_gradient", "vanishing_gradient")
_LAWS: Final = {"relu": "variance_by_he", "tanh": "variance_by_glorot", "sigmoid": "variance_by_lecun"}


def poor_initialization(trace: Trace) -> bool:
    """A weight is constant, or its variance is not that of the law for its activations (He, Glorot, LeCun)."""
    weights = [each for each in trace.steps[0].matrices if each.count > 1]
    return any(each.variance <= 1e-8 or not _lawful(each, trace.activation) for each in weights)  # noqa: PLR2004  rtol


def poor_initial_loss(trace: Trace) -> bool:
    """The first loss is twice ln K or more."""
    if trace.task != "classification" or trace.classes < 2:  # noqa: PLR2004  one class has no loss
        return False
    expected = log(trace.classes)
    return not abs(trace.losses[0] - expected) < expected


def underfitting_one_batch(trace: Trace) -> bool:
    """The batch is not learnt: over 5% of its targets are missed, or the mean error stays over 1e-3."""
    if trace.task == "classification":
        return 1 - max(step.accuracy for step in trace.steps) > MISLABELLED
    return not min(trace.losses) <= REGRESSION_ERROR


def constant_output(trace: Trace) -> bool:
    """Some output is the same for all samples, five checks on end."""
    return sum(step.output_constant for step in trace.steps[::PERIOD]) >= WINDOW


def unstable_activations(trace: Trace) -> bool:
    """The standard deviation of a layer's activations is far from .5 to 2, by an F-test."""
    return any(_strays(a.output_deviation) for a in _checked(trace))


def dead_activations(trace: Trace) -> bool:
    """Over half of a layer's units have a 95th percentile under 1e-5."""
    return any(a.quiet_units > UNITS for a in _checked(trace) if a.kind not in {"tanh", "sigmoid"})


def saturated_activations(trace: Trace) -> bool:
    """Over half of a layer's units have ρ_B over .85."""
    return any(a.saturated_units > UNITS for a in _checked(trace) if a.kind in {"tanh", "sigmoid"})


def bad_weights(trace: Trace) -> bool:
    """Over 95% of a weight is negative, or over 95% is under 1e-5."""
    return any(w.negative > WEIGHTS or w.tiny > WEIGHTS for step in _periodic(trace) for w in step.matrices)


def diverging_weights(trace: Trace) -> bool:
    """A weight's mean magnitude is over 1e8, or doubles four steps on end."""
    return any(_grows([each.size for each in course]) for course in _courses(trace))


def vanishing_gradient(trace: Trace) -> bool:
    """The mean magnitude of a weight's gradient is under 1e-8."""
    gradients = (w.gradient for step in _periodic(trace) for w in step.matrices)
    return any(gradient is not None and gradient < VANISHED for gradient in gradients)


def exploding_gradient(trace: Trace) -> bool:
    """The mean magnitude of a weight's gradient is over 1e8, or doubles four steps on end."""
    return any(_grows([each.gradient or 0.0 for each in course]) for course in _courses(trace))


def unstable_updates(trace: Trace) -> bool:
    """Over ten readings, the mean of log10 of update by weight is outside -4 to -1, or nothing moves."""
    for course in _courses(trace):
        for at in range(0, len(course) - PERIOD + 1, PERIOD):
            logs = [log10(w.update) if w.update > 0 else 0.0 for w in course[at : at + PERIOD] if w.size > 0]
            if logs and (mean(logs) == 0 or not UPDATES[0] <= mean(logs) <= UPDATES[1]):
                return True
    return False


def stagnated_loss(trace: Trace) -> bool:
    """The loss of ten steps falls by under 5% from one ten to the next, four times on end."""
    losses = _averaged(trace)
    falls = [(before - after) / before < STAGNATION if before else True for before, after in pairwise(losses)]
    return any(all(falls[at : at + WINDOW - 1]) for at in range(len(falls) - WINDOW + 2))


def diverging_loss(trace: Trace) -> bool:
    """The loss of ten steps doubles from one ten to the next, four times on end."""
    losses = _averaged(trace)
    rises = [after >= GROWTH * before > 0 for before, after in pairwise(losses)]
    return any(all(rises[at : at + WINDOW - 1]) for at in range(len(rises) - WINDOW + 2))


def fluctuating_loss(trace: Trace) -> bool:
    """The loss turns at half of the steps or more."""
    losses = _averaged(trace)[-FLUCTUATION_WINDOW:]
    rising = [after > before for before, after in pairwise(losses)]
    turns = sum(a is not b for a, b in pairwise(rising))
    return bool(losses) and (len(losses) - turns) / len(losses) < SMOOTH


def _lawful(weight: Weight, activation: str) -> bool:
    laws = [_LAWS[activation]] if activation in _LAWS else list(_LAWS.values())
    return any(1 / F_INIT <= getattr(weight, law) <= F_INIT for law in laws)


def _strays(deviation: float) -> bool:
    low, high = (limit**2 for limit in DEVIATIONS)
    return deviation**2 * F_ACTIVATION < low or deviation**2 > F_ACTIVATION * high


def _periodic(trace: Trace) -> tuple[Step, ...]:
    return trace.steps[PERIOD::PERIOD]


def _checked(trace: Trace) -> Iterator[Activation]:
    return (a for step in _periodic(trace) for a in step.activations.values())


def _courses(trace: Trace) -> Iterator[list[Weight]]:
    """Yield each weight's course."""
    for name, first in trace.steps[0].weights.items():
        if first.matrix:
            yield [step.weights[name] for step in trace.steps if name in step.weights]


def _grows(sizes: list[float]) -> bool:
    doubled = [before > 0 and after >= GROWTH * before for before, after in pairwise(sizes)]
    checks = range(PERIOD, len(sizes), PERIOD)
    return any(sizes[at] > DIVERGED or all(doubled[at - WINDOW + 1 : at]) for at in checks)


def _averaged(trace: Trace) -> list[float]:
    tens = [trace.losses[at : at + PERIOD] for at in range(0, len(trace.losses) - PERIOD + 1, PERIOD)]
    return [mean(ten) for ten in tens if all(map(isfinite, ten))]


PEER: Final = Peer(
    name="TheDeepChecker",
    source="https://github.com/thedeepchecker/thedeepchecker (deep_checker/checkers.py, hooks.py); arXiv:2204.00694",
    reading=(
        "We did not find its settings file: limits are those of the same authors' port to PyTorch, and for gradients "
        "(1e-8, 1e8) and updates (1e-4 to 1e-1) what we take the article to mean.  Left out, in its favour: normalized "
        "features and targets (a batch is not the data set), non-zero biases, augmentation, modes."
    ),
    rules=(
        rule("numerical instability", broken, "non_finite", "exploding_gradient", "unstable_learning_rate"),
        rule("poor weight initialization", poor_initialization, "poor_init_scale", "symmetric_init"),
        rule("poor initial loss", poor_initial_loss, "loss_mismatch", "poor_init_scale", "input_scale"),
        rule("underfitting single batch", underfitting_one_batch, "stalled_training", "slow_learning_rate"),
        rule("constant features", lambda trace: trace.constant_features > 0, "input_scale"),
        rule("constant output", constant_output, "rank_collapse", "stalled_training"),
        rule(
            "unstable activations", unstable_activations, "poor_init_scale", "exploding_gradient", "vanishing_gradient"
        ),
        rule("dead activations", dead_activations, "dead_units"),
        rule("saturated activations", saturated_activations, "saturated_units"),
        rule("dead or negative weights", bad_weights, "poor_init_scale", "symmetric_init"),
        rule("diverging weights", diverging_weights, "unstable_learning_rate", "exploding_gradient"),
        rule("vanishing gradient", vanishing_gradient, "vanishing_gradient", "no_gradient"),
        rule("exploding gradient", exploding_gradient, "exploding_gradient"),
        rule("unstable updates", unstable_updates, "unstable_learning_rate", "slow_learning_rate"),
        rule("stagnated loss", stagnated_loss, "stalled_training", "slow_learning_rate"),
        rule("diverging loss", diverging_loss, "unstable_learning_rate"),
        rule("fluctuating loss", fluctuating_loss, "unstable_learning_rate", "gradient_spikes"),
    ),
)
