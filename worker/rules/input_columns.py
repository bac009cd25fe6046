"""Finds tables whose columns are constant, or drown one another."""

from service.contract.report import Place
from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence, InputEvidence
from worker.rules import CLEAR, SHOWN_PLACES, Answer, Observation, Silence, rule, too_few, weigh


@rule("INP02", Symptom.INPUT_SCALE, order=26, aliases=["feature scaling", "constant feature"])
def input_columns(evidence: Evidence, *, decades: float = 3.0, adequate: int = 32, sparse: float = 0.5) -> Answer:
    """Columns of an input are constant, or one drowns the others.

    What it measures
        For a table or a sequence: the largest standard deviation of a column by the median of those that vary, in
        decades; beyond 3 it counts.  And the share of columns that are the same in all samples, which is only noted,
        unless every sample is the same.

    Why it matters
        The curvature along the first weights goes with the square of a column's deviation: beside a column a thousand
        times as wide, gradient descent needs a million steps for the others.  A constant column teaches nothing.

    When it is wrong
        Adam levels gradients weight by weight, and learns all the same if the network passes its training trial; then
        this only warns.  BatchNormalization right behind the input levels columns: then it does not apply.  Tables of
        mostly zeros have columns that a batch does not reach: there constant columns are no news.

    References
        LeCun et al. 1998, Efficient BackProp, sections 4.3 and 5.1.
    """
    unjudged = _unjudged(evidence, adequate)
    if unjudged is not None:
        return unjudged
    if evidence.target is not None and evidence.target.distinct == 1:
        return _same(evidence)
    tables = [given for given in evidence.inputs if given.columns > 1 and not given.by_column]
    if not tables:
        return Silence("not_applicable", "no input is a table of numbers whose columns keep their scale")
    drowned = [given for given in tables if given.contrast > 10**decades]
    if drowned:
        return _drowned(evidence, drowned, 10**decades)
    constant = [given for given in tables if given.constant > 0 and given.zero < sparse]
    return _constant(constant) if constant else CLEAR


def _unjudged(evidence: Evidence, adequate: int) -> Silence | None:
    """Return why the columns of this batch say nothing; None where they do."""
    if evidence.synthetic:
        return Silence("not_applicable", "the batch was drawn")
    if any(given.nonfinite for given in evidence.inputs):
        return Silence("could_not_judge", "the batch holds numbers that are not finite; see NUM01")
    return too_few(evidence, adequate, "tell a column's spread") if evidence.samples < adequate else None


def _same(evidence: Evidence) -> Observation:
    return Observation(
        f"All {evidence.samples} samples of the batch have the same inputs: there is nothing to tell apart.",
        weigh(evidence),
        tuple(Place(node=given.name, measured=1, limit=1) for given in evidence.inputs[:SHOWN_PLACES]),
        {"distinct_samples": 1.0},
    )


def _drowned(evidence: Evidence, found: list[InputEvidence], limit: float) -> Observation:
    worst = max(found, key=lambda given: given.contrast)
    return Observation(
        f"The widest of the {worst.columns} columns of {worst.name} varies {worst.contrast:.3g} times as much as the "
        f"median one; beyond {limit:g} the others hardly count. Standardize each column.",
        weigh(evidence),
        tuple(Place(node=given.name, measured=given.contrast, limit=limit) for given in found[:SHOWN_PLACES]),
        {"contrast": worst.contrast},
    )


def _constant(found: list[InputEvidence]) -> Observation:
    worst = max(found, key=lambda given: given.constant)
    return Observation(
        f"{worst.constant:.0%} of the features of {worst.name} are the same in every sample, and teach nothing.",
        Severity.INFO,
        tuple(Place(node=given.name, measured=given.constant, limit=0) for given in found[:SHOWN_PLACES]),
        {"constant": worst.constant},
    )
