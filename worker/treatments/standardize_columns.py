"""Inputs standardized column by column."""

from typing import Final

from torch import Tensor

from service.contract.words import Symptom, TreatmentKind
from worker.network.norming import BROADCASTS
from worker.network.standardizing import columns, standardized
from worker.probe.evidence import Evidence, InputEvidence
from worker.probe.inputs import prepared
from worker.probe.sweep import sweep
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

_EVEN: Final = 3.0
"""Factor between columns' deviations up to which one number serves them all."""


@treatment(
    "standardize-columns",
    TreatmentKind.DATA,
    {Symptom.INPUT_SCALE, Symptom.SATURATED_UNITS, Symptom.DEAD_UNITS, Symptom.STALLED_TRAINING},
    cost=1,
    retrains=False,
    hints=Hints(
        torch="""
        axes = tuple(range(x.dim() - 1))  # of all training data, not of one batch
        mean, deviation = x.mean(axes), x.std(axes)
        x = (x - mean) / deviation.where(deviation > 0, 1)
        """,
        keras="""
        columns = keras.layers.Normalization(axis=-1)
        columns.adapt(x)  # of all training data, not of one batch
        x = keras.ops.convert_to_numpy(columns(x))
        """,
    ),
)
def standardize_columns(subject: Subject, evidence: Evidence) -> Outcome:
    """Standardize each column of the inputs

    What it changes
        From each column of a table, or feature of a sequence, its mean over the batch is subtracted, and the rest is
        divided by its standard deviation.  A column that does not vary is only shifted to zero.

    Why it helps
        The curvature along a first weight goes with the square of its column's deviation; with all columns alike one
        learning rate fits them all, and no column drowns another.

    When it is wrong
        Mean and deviation of one batch stand for those of the data set; take them from the data set.  Columns that are
        hardly ever other than zero (counts, one-hot codes) come out large where they are.  Where columns are alike one
        number for all does.

    References
        LeCun et al. 1998, Efficient BackProp, section 4.3.
    """
    uneven = [given for given in evidence.inputs if given.columns > 1 and not given.by_column]
    if not uneven or subject.graph.opsets.get("", 0) < BROADCASTS:
        return Inapplicable("No float table or sequence of several columns goes in without a batch norm in front.")
    graph, values, changes = subject.graph, sweep(subject).values, []
    for given in uneven:
        place = prepared(graph, given.name)
        value = values[place].detach()
        mean, deviation = columns(value)
        varying = deviation[deviation > 0]
        if len(varying) and float(varying.max()) > _EVEN * float(varying.min()):
            unit = deviation.where(deviation > 0, 1.0)
            graph = standardized(graph, place, mean.to(value), unit.to(value))
            changes.append(_said(given, varying))
    if not changes:
        return Inapplicable(f"The columns' standard deviations are within a factor of {_EVEN:g} of each other.")
    return Change(subject.replace(graph=graph), tuple(changes))


def _said(given: InputEvidence, varying: Tensor) -> str:
    return (
        f"Subtract from each of the {given.columns} columns of {given.name} its mean, and divide by its standard "
        f"deviation, {float(varying.min()):.3g} to {float(varying.max()):.3g}."
    )
