"""A loss that is scaled up before the way back."""

from dataclasses import replace
from math import floor, log2
from typing import Final

import torch

from service.contract.words import Precision, Symptom, TreatmentKind
from worker.probe.evidence import Evidence
from worker.probe.sweep import sweep
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

_ROOM: Final = 4.0
"""How far below float16's largest number the largest gradient stays: it may grow before anybody notices."""
_MOST: Final = 2**24


@treatment(
    "loss-scaling",
    TreatmentKind.PRECISION,
    {Symptom.PRECISION_RANGE},
    cost=1,
    retrains=False,
    hints=Hints(
        torch="""
            scaler = torch.amp.GradScaler(x.device.type, init_scale=$scale)
            scaler.scale(loss_fn(model(x), y)).backward()
            scaler.step(optimizer)
            scaler.update()
        """,
        keras="""
            optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(), initial_scale=$scale)
            model.compile(optimizer=optimizer, loss=model.loss)
        """,
    ),
)
def loss_scaling(subject: Subject, evidence: Evidence) -> Outcome:
    """Scale the loss up before the way back

    What it changes
        The loss is multiplied by a power of two before the way back, and gradients are divided by it in float32 before
        the step.  The scale brings the largest gradient of the batch to a quarter of 65504 at most.

    Why it helps
        float16 has 40 powers of two, down to 6e-8.  Gradients mostly lie far below 1: a scale moves them to where the
        format has numbers, and a power of two rounds none of them.

    When it is wrong
        It helps no value that overflows on the way forward, and no weight that is itself kept in float16.  One scale
        does not stay right: let it rise, and fall where a gradient overflows, as frameworks do.

    References
        Micikevicius et al. 2018 (arXiv 1710.03740), section 3.2.
    """
    settings = subject.settings
    if settings.precision is not Precision.FLOAT16:
        return Inapplicable(f"Training is meant to run in {settings.precision}, whose range is float32's.")
    largest = _largest(subject)
    if not 0 < largest < float("inf"):
        return Inapplicable("No gradient that is finite reaches the weights.")
    limit = torch.finfo(torch.float16).max / _ROOM
    scale = float(min(2 ** floor(log2(limit / largest)), _MOST))
    if scale <= settings.loss_scale:
        return Inapplicable(f"The largest gradient is {largest:.3g}: no larger scale leaves it room in float16.")
    said = f"Multiply the loss by {scale:.0f} before the way back, and divide gradients by it before the step"
    after = f"the largest gradient, {largest:.3g}, becomes {largest * scale:.3g} of float16's 65504."
    changed = replace(settings, loss_scale=scale)
    return Change(subject.replace(settings=changed), (f"{said}: {after}",), {"scale": f"{scale:.1f}"})


def _largest(subject: Subject) -> float:
    """Return the largest gradient at any value on the way, or at a weight."""
    found = sweep(subject)
    trainable = [name for name, each in subject.graph.parameters.items() if each.trainable]
    gradients = found.gradients([*found.path.values, *trainable])
    return max((float(each.abs().max()) for each in gradients.values() if each.numel()), default=0.0)
