"""Targets brought to unit scale, by a head that undoes it."""

from dataclasses import replace
from math import isfinite
from typing import Final

from torch import Tensor

from service.contract.words import LossName, OptimizerName, Symptom, TreatmentKind
from worker.head import LAYOUT, source
from worker.network.graph import Graph, Node
from worker.probe.evidence import Evidence
from worker.probe.reach import reach
from worker.subject import Settings, Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

_NUMBERS: Final = frozenset({LossName.MSE, LossName.MAE, LossName.HUBER})
_GRADIENT: Final = frozenset({OptimizerName.SGD, OptimizerName.MOMENTUM, OptimizerName.NESTEROV})
"""Optimizers whose steps grow with the gradient."""
_ARITHMETIC: Final = frozenset({"Add", "Sub", "Mul", "Div"})
_NEAR: Final = (0.5, 2.0)
"""Deviations of targets that a network starts near, and a mean within the first."""
_UNEVEN: Final = 3.0
"""Deviation of one of several targets by that of another from which each is scaled by itself."""


@treatment(
    "standardize-target",
    TreatmentKind.DATA,
    {Symptom.TARGET_PROBLEM, Symptom.SLOW_LEARNING_RATE, Symptom.STALLED_TRAINING, Symptom.EXPLODING_GRADIENT},
    cost=1,
    retrains=False,
    hints=Hints(
        torch="""
            mean, std = $mean, $std  # of the training targets, which stay as they are
            model.register_forward_hook(lambda part, given, output: mean + std * output)
        """,
        keras="""
            undo = keras.layers.Rescaling($std, $mean)  # the model predicts in the targets' own units
            model = keras.Sequential([keras.Input(model.input_shape[1:]), model, undo])
        """,
    ),
)
def standardize_target(subject: Subject, evidence: Evidence) -> Outcome:
    """Let the head learn targets of zero mean and unit scale

    What it changes
        What the network gives is multiplied by the standard deviation of the targets, and their mean added: the weights
        learn (y − mean) / deviation, and the model predicts y as before.  A declared rate of gradient descent is
        divided by what this multiplies the gradient's effect by, the deviation squared under squared errors.

    Why it helps
        An initialized network answers with numbers around one.  Far targets take thousands of steps before anything
        else is learnt, and make gradients as large; near ones must be unlearnt first.

    When it is wrong
        Mean and deviation of one batch stand for those of the data set; take them from the data set.  Targets that run
        over decades want a logarithm instead.  A head with a bound (sigmoid, tanh) reaches other numbers then.

    References
        LeCun et al. 1998, Efficient BackProp, section 4.5, on the choice of target values.
    """
    refused = _refused(subject, evidence)
    if refused:
        return Inapplicable(refused)
    mean, std = _scale(subject.target, evidence.loss.output_rank)
    graph = _rescaled(subject.graph, subject.output, mean, std)
    settings = _with_rate(subject.settings, subject.loss.name, float(std.mean()))
    changes = [
        f"Multiply what the network gives by {_numbers(std)} and add {_numbers(mean)}, {_what(std)} of the targets."
    ]
    if settings is not subject.settings:
        changes.append(f"Divide the learning rate by what that multiplies its effect by: {settings.learning_rate:.3g}.")
    blanks = {"mean": _literal(mean), "std": _literal(std)}
    return Change(subject.replace(graph=graph, settings=settings), tuple(changes), blanks)


def _refused(subject: Subject, evidence: Evidence) -> str:
    """Return why there is nothing to standardize; "" where there is."""
    target = subject.target.double()
    if subject.loss.name not in _NUMBERS:
        return f"The loss {subject.loss.name} takes classes or shares, which have no scale of their own."
    if subject.batch.drawn_target or not bool(target.isfinite().all()):
        return "The target was drawn, or is not finite."
    mean, std = float(target.mean()), float(target.std(correction=0))
    if not std or (abs(mean) < _NEAR[0] and _NEAR[0] < std < _NEAR[1]):
        return f"The targets have a mean of {mean:.3g} and a deviation of {std:.3g}: they need no scale."
    if evidence.loss.informed:
        return "The head knows the targets' scale already."
    return _bound(subject)


def _bound(subject: Subject) -> str:
    """Return why a head takes no scale; "" where it does."""
    if any(map(isfinite, reach(subject.graph, subject.output))):
        return "The head has a bound, which a scale behind it would move."
    node = source(subject.graph, subject.output, LAYOUT)
    if node is None or (node.op in _ARITHMETIC and any(name in subject.graph.constants for name in node.inputs)):
        return "The network scales what it gives by itself."
    return ""


def _scale(target: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of a target, or of each column of a table where these differ much."""
    numbers = target.detach().double()
    if numbers.dim() == rank == 2:  # noqa: PLR2004  samples and columns
        means, stds = numbers.mean(0), numbers.std(0, correction=0)
        least = float(stds.min())
        apart = float((means - means.mean()).abs().max()) > _UNEVEN * least
        if least > 0 and (apart or float(stds.max()) > _UNEVEN * least):
            return means, stds
    return numbers.mean(), numbers.std(correction=0)


def _rescaled(graph: Graph, output: str, mean: Tensor, std: Tensor) -> Graph:
    """Return the graph with a rescaling at its end; what it gives keeps its name, and other readers what they read."""
    plain, times, plus = (graph.fresh(f"{output}.{part}") for part in ("plain", "times", "plus"))
    like = next((each.value for each in graph.parameters.values() if each.value.is_floating_point()), std.float())
    producer = graph.producers()[output]
    made = tuple(plain if name == output else name for name in producer.outputs)
    scaled = graph.fresh(f"{output}.scaled")
    added = (
        Node("Mul", (plain, times), (scaled,), scaled),
        Node("Add", (scaled, plus), (output,), graph.fresh(f"{output}.shifted")),
    )
    nodes = []
    for node in graph.nodes:
        inputs = tuple(plain if name == output else name for name in node.inputs)
        read = replace(node, inputs=inputs)
        nodes.extend([replace(read, outputs=made), *added] if node is producer else [read])
    constants = {**graph.constants, times: std.to(like), plus: mean.to(like)}
    return graph.replace(nodes=tuple(nodes), constants=constants)


def _with_rate(settings: Settings, loss: LossName, std: float) -> Settings:
    """Return the settings with the rate at which gradient descent takes the same steps as on standardized targets."""
    if settings.learning_rate is None or settings.optimizer not in _GRADIENT or loss is LossName.HUBER:
        return settings
    factor = std**2 if loss is LossName.MSE else std
    return replace(settings, learning_rate=settings.learning_rate / factor)


def _what(std: Tensor) -> str:
    return "the deviation and the mean of each column" if std.dim() else "the deviation and the mean"


def _numbers(value: Tensor) -> str:
    if not value.dim():
        return f"{float(value):.4g}"
    return f"{float(value.min()):.4g} to {float(value.max()):.4g}"


def _literal(value: Tensor) -> str:
    """Return the number, or the mean of several: a hint is no place for a table."""
    return f"{float(value.mean()):.6g}"
