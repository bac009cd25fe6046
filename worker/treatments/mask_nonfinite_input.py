"""Inputs that are no numbers, filled."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from service.contract.words import Symptom, TreatmentKind
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

_SHOWN: Final = 5
_MOSTLY: Final = 0.5
"""Share of an input beyond which filling it would make the data up."""


@treatment(
    "mask-nonfinite-input",
    TreatmentKind.DATA,
    {Symptom.NON_FINITE},
    cost=1,
    retrains=False,
    hints=Hints(
        torch="""
            def filled(part, given):  # better in the data: look at the samples first
                known = torch.where(given[0].isfinite(), given[0], torch.nan)
                return (torch.where(known.isnan(), known.nanmean(0).nan_to_num(), given[0]), *given[1:])
            model.register_forward_pre_hook(filled)
        """,
        keras="""
            def filled(x):  # 0 is the mean of standardized inputs; better in the data: look at the samples first
                return keras.ops.where(keras.ops.isfinite(x), x, 0)
            model = keras.Sequential([keras.Input(model.input_shape[1:]), keras.layers.Lambda(filled), model])
        """,
    ),
)
def mask_nonfinite_input(subject: Subject, evidence: Evidence) -> Outcome:
    """Fill what is no number in the inputs

    What it changes
        The data, and not the model: NaN and infinities in the inputs become the mean of the finite numbers at the same
        place of the other samples, or 0 where there is none.  The samples that this concerns are named.

    Why it helps
        One such number makes the loss NaN, and one step with it every weight.

    When it is wrong
        It hides what is wrong with the data: look at the samples named before filling or dropping them.  Where numbers
        are missing for a reason, a column that says so tells the network more than a mean.

    References
        Little and Rubin 2019, Statistical Analysis with Missing Data, section 4.2.
    """
    found = evidence.nonfinite
    if found is None or found.stage != "batch" or found.node not in subject.batch.inputs:
        return Inapplicable("The loss does not come to be NaN or infinite by what the inputs hold.")
    inputs, changes = dict(subject.batch.inputs), list[str]()
    for name, value in subject.batch.inputs.items():
        bad = ~value.isfinite() if value.is_floating_point() else torch.zeros(1, dtype=torch.bool)
        share = float(bad.double().mean())
        if share > _MOSTLY:
            return Inapplicable(f"{share:.0%} of the input {name!r} is not finite: filling it would make the data up.")
        if share:
            inputs[name] = _filled(value)
            changes.append(_said(name, bad))
    if not changes:
        return Inapplicable("The inputs are finite by now.")
    return Change(subject.replace(batch=replace(subject.batch, inputs=inputs)), tuple(changes))


def _filled(value: Tensor) -> Tensor:
    """Return a tensor with the mean over the samples in place of what is not finite."""
    known = value.isfinite()
    held = value.where(known, 0)
    if value.dim() < 2:  # noqa: PLR2004  one number per sample: their mean
        return value.where(known, held.sum() / known.sum().clamp_min(1))
    mean = held.sum(0) / known.sum(0).clamp_min(1)
    return value.where(known, mean.expand_as(value))


def _said(name: str, bad: Tensor) -> str:
    rows = [int(row) for row in bad.reshape(len(bad), -1).any(1).nonzero()[:, 0]] if bad.dim() else [0]
    count = int(bad.sum())
    numbers = f"{count} numbers of {name} that are" if count > 1 else f"1 number of {name} that is"
    return (
        f"In the data, put the mean of the other samples in place of {numbers} not finite ({_listed(rows)}); "
        "the model stays as it is."
    )


def _listed(rows: Sequence[int]) -> str:
    shown = ", ".join(map(str, rows[:_SHOWN]))
    if len(rows) == 1:
        return f"sample {shown}"
    return f"samples {shown}" + (f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else "")
