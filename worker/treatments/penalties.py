"""Penalties on the weights, which training adds to the loss."""

from dataclasses import replace
from typing import Final

from service.contract.words import TreatmentKind
from worker.network.graph import Penalty
from worker.network.layers import weight_layers
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

ABSOLUTE: Final = 1e-5
SQUARED: Final = 1e-4


@treatment(
    "l1",
    TreatmentKind.REGULARIZATION,
    cost=1,
    retrains=False,
    hints=Hints(
        torch="""
            penalty = sum(p.abs().sum() for p in model.parameters() if p.dim() > 1)
            (loss_fn(model(x), y) + $strength * penalty).backward()
            optimizer.step()
        """,
        keras="""
            for layer in model.layers:
                if hasattr(layer, "kernel"):
                    layer.kernel_regularizer = layer.kernel.regularizer = keras.regularizers.L1($strength)
        """,
    ),
)
def l1(subject: Subject, evidence: Evidence) -> Outcome:
    """Add an L1 penalty

    What it changes
        The kernel w of each weight layer adds 0.00001 · Σ|w| to the loss in training; biases and norms add nothing.

    Why it helps
        It keeps weights that nothing needs at zero, against fitting noise.

    When it is wrong
        It cures no vanishing and no exploding, though it is often advised so: it moves weights towards zero, whatever
        the gradient's size, and pulls hardest where the loss's own gradient has faded.  So it is tried on request.

    References
        Tibshirani 1996; Goodfellow, Bengio and Courville 2016, section 7.1.2.
    """
    return _penalized(subject, Penalty(l1=ABSOLUTE))


@treatment(
    "l2",
    TreatmentKind.REGULARIZATION,
    cost=1,
    retrains=False,
    hints=Hints(
        torch="""
            penalty = sum(p.square().sum() for p in model.parameters() if p.dim() > 1)
            (loss_fn(model(x), y) + $strength * penalty).backward()
            optimizer.step()
        """,
        keras="""
            for layer in model.layers:
                if hasattr(layer, "kernel"):
                    layer.kernel_regularizer = layer.kernel.regularizer = keras.regularizers.L2($strength)
        """,
    ),
)
def l2(subject: Subject, evidence: Evidence) -> Outcome:
    """Add an L2 penalty

    What it changes
        The kernel w of each weight layer adds 0.0001 · Σw² to the loss in training; biases and norms add nothing.

    Why it helps
        It keeps weights, and so logits and slopes, from growing without need in long training.

    When it is wrong
        It cures no vanishing: smaller weights pass still less of the gradient.  Too slow against exploding, which is
        there at the first step.  With Adam it is divided by the gradient's size, and AdamW's decay is the better form.
        So it is tried on request.

    References
        Krogh and Hertz 1991; Loshchilov and Hutter 2019 (arXiv 1711.05101).
    """
    if subject.settings.weight_decay > 0:
        return Inapplicable(f"A weight decay of {subject.settings.weight_decay:g} is declared already.")
    return _penalized(subject, Penalty(l2=SQUARED))


def _penalized(subject: Subject, penalty: Penalty) -> Outcome:
    """Return the subject with a penalty on every kernel that has none."""
    parameters = subject.graph.parameters
    layers = [layer for layer in weight_layers(subject.graph) if parameters[layer.kernel].penalty is None]
    if not layers:
        return Inapplicable("There is no weight layer whose kernel is trained and has no penalty.")
    held = {layer.kernel: replace(parameters[layer.kernel], penalty=penalty) for layer in layers}
    strength = penalty.l1 or penalty.l2
    what = "sum of magnitudes" if penalty.l1 else "sum of squares"
    count = f"{len(held)} kernel{'s' if len(held) > 1 else ''}"
    made = subject.replace(graph=subject.graph.replace(parameters={**parameters, **held}))
    first = layers[0].node.origin or layers[0].node.name
    said = f"Add {strength:g} times the {what} of {count} to the loss (first: {first})."
    return Change(made, (said,), {"strength": f"{strength:g}"})
