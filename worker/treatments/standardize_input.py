"""Inputs brought to unit scale."""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from service.contract.words import Symptom, TreatmentKind
from worker.network.run import Program
from worker.network.standardizing import columns, standardized
from worker.probe.evidence import Evidence, InputEvidence
from worker.probe.inputs import prepared
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

_TABLE: Final = 2
"""Axes of a table, whose columns can have scales of their own."""
_UNEVEN: Final = 10.0
"""Deviation of the widest column by the median one from which each column is brought to unit scale by itself."""
_ADEQUATE: Final = 16
"""Samples that tell a column's spread."""
_ALREADY: Final = 1e-3
"""By how much mean and deviation may miss 0 and 1."""


@dataclass(frozen=True)
class _Scale:
    """What is subtracted and divided by: a number, or one for each column."""

    mean: Tensor
    std: Tensor

    @property
    def unit(self) -> bool:
        """Whether it changes nothing to speak of."""
        return bool((self.mean.abs() < _ALREADY).all()) and bool(((self.std - 1).abs() < _ALREADY).all())


@treatment(
    "standardize-input",
    TreatmentKind.DATA,
    {Symptom.INPUT_SCALE, Symptom.SATURATED_UNITS, Symptom.DEAD_UNITS},
    cost=1,
    retrains=False,
    hints=Hints(
        torch="""
            mean, std = x.mean($axes), x.std($axes, correction=0).clamp_min(1e-12)  # of the training data, if at hand
            model.register_forward_pre_hook(lambda part, given: ((given[0] - mean) / std, *given[1:]))
        """,
        keras="""
            scale = keras.layers.Normalization(axis=$axis)  # a number for each input, or one for each column
            scale.adapt(x)  # the training data
            model = keras.Sequential([keras.Input(model.input_shape[1:]), scale, model])
        """,
    ),
)
def standardize_input(subject: Subject, evidence: Evidence) -> Outcome:
    """Standardize the inputs

    What it changes
        From each input of numbers its mean over the batch is subtracted, and the rest divided by its deviation:
        one of each for an input, but for a table's columns each its own where one lies or reaches ten times as far as
        the median one varies.  What holds zeros and ones alone stays, and so do times that only sines and cosines read.

    Why it helps
        Initializations and learning rates assume inputs of zero mean and unit scale.

    When it is wrong
        Mean and scale of one batch stand for those of the data set; take them from the data set.  Trained weights
        expect the inputs that they were trained on.

    References
        LeCun et al. 1998, Efficient BackProp, section 4.3.
    """
    if not evidence.drawn and evidence.loss.informed:
        return Inapplicable("The weights were trained on inputs as they are.")
    graph, changes, blanks = subject.graph, list[str](), dict[str, str]()
    measured = {given.name: given for given in evidence.inputs}
    for name in subject.batch.inputs:
        place = prepared(graph, name)
        value = _value(subject, name, place)
        scale = _scale(value, measured.get(name))
        if scale is None:
            continue
        what = name if place == name else f"what {name} is rescaled to"
        graph = standardized(graph, place, scale.mean.to(value), scale.std.to(value))
        changes.append(_said(what, scale))
        blanks = blanks or _blanks(scale)
    if not changes:
        return Inapplicable("No input of numbers varies and is off zero mean and unit scale.")
    return Change(subject.replace(graph=graph), tuple(changes), blanks)


def _value(subject: Subject, name: str, place: str) -> Tensor:
    """Return an input as it stands behind the arithmetic with constants that the network begins with."""
    if place == name:
        return subject.batch.inputs[name]
    graph = subject.graph.replace(outputs=(place,))
    with torch.no_grad():
        return Program(graph, subject.device).run(subject.batch.inputs)[place]


def _scale(value: Tensor, given: InputEvidence | None) -> _Scale | None:
    """Return what brings a value to unit scale; None where it needs none, or is no quantity."""
    if not value.is_floating_point() or (given is not None and given.positions):
        return None
    finite = value[value.isfinite()].double()
    if not finite.numel() or bool(((finite == 0) | (finite == 1)).all()):
        return None
    whole = _Scale(finite.mean(), finite.std(correction=0))
    each = _columns(value) if value.dim() == _TABLE and len(value) >= _ADEQUATE else None
    found = each if each is not None and _uneven(each) else whole
    return found if bool((found.std > 0).all()) and not found.unit else None


def _columns(value: Tensor) -> _Scale:
    """Return each column's own scale; a deviation of 1 where it is constant."""
    mean, deviation = columns(value)
    return _Scale(mean, deviation.where(deviation > 0, 1.0))


def _uneven(scale: _Scale) -> bool:
    """Whether a column lies, or reaches, so far that one scale for all would drown the others."""
    reach = torch.maximum((scale.mean - scale.mean.median()).abs(), scale.std)
    return bool(reach.max() > _UNEVEN * scale.std.median())


def _said(what: str, scale: _Scale) -> str:
    if not scale.std.dim():
        return f"Subtract {float(scale.mean):.3g} from {what} and divide by {float(scale.std):.3g}."
    low, high = (f"{float(end):.3g}" for end in (scale.std.min(), scale.std.max()))
    return (
        f"Subtract from each of the {len(scale.std)} columns of {what} its mean, and divide by its deviation, "
        f"{low} to {high}."
    )


def _blanks(scale: _Scale) -> dict[str, str]:
    return {"axes": "0", "axis": "-1"} if scale.std.dim() else {"axes": "()", "axis": "None"}
