"""Finds first steps of the declared optimizer that are as large as the weights, or lost in their rounding."""

from statistics import median

from service.contract.report import Place
from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence, ParameterEvidence
from worker.rules import CLEAR, FAILED_RUN, SHOWN_PLACES, Answer, Observation, Silence, rule


@rule(
    "OPT01",
    Symptom.UNSTABLE_LEARNING_RATE,
    order=53,
    aliases=["WeightUpdateRatio"],
    told_by=[
        Symptom.UNSTABLE_LEARNING_RATE,
        Symptom.SLOW_LEARNING_RATE,
        Symptom.OVER_REGULARIZATION,
        Symptom.VANISHING_GRADIENT,
        Symptom.EXPLODING_GRADIENT,
    ],
)
def update_ratio(evidence: Evidence, *, large: float = 1.0, small: float = 6e-8) -> Answer:
    """The first step is out of proportion to the weights.

    What it measures
        The norm of the declared optimizer's first step, taken on a copy, by the norm of the weight, for each weight
        matrix.  Above 1 nothing is left of the initialization; under 2⁻²⁴ the step is lost in float32's rounding.  A
        note, but a warning where half of the matrices are above 1 and the run at the declared rate learns nothing.

    Why it matters
        What a good initialization gave is gone after one step; or hours of steps change nothing.

    When it is wrong
        Weights that start near zero on purpose, such as the last of a residual branch, are overtaken by any step, and
        Adam's first step is as long as its rate whatever the gradient.

    References
        Yang, Simon and Bernstein 2023 (arXiv 2310.17813): steps in proportion to the weights' spectral norm.
    """
    settings, training = evidence.declared, evidence.training
    if settings is None or settings.learning_rate is None:
        return Silence("not_applicable", "no learning rate was declared")
    matrices = [each for each in evidence.parameters if each.units and each.update_ratio is not None and each.rms > 0]
    if not matrices:
        return Silence("not_applicable", "no weight matrix is trained")
    high = [each for each in matrices if (each.update_ratio or 0) > large]
    low = [each for each in matrices if 0 < (each.update_ratio or 0) < small]
    if not high and not low:
        return CLEAR
    run = training.declared if training else None
    lost = 2 * len(high) > len(matrices) and run is not None and not run.beaten and not run.late
    shown, limit = (high, large) if high else (low, small)
    return Observation(
        _sentence(shown, len(matrices), settings.learning_rate, limit),
        Severity.WARNING if lost else Severity.INFO,
        tuple(_place(each, limit) for each in _worst(shown)[:SHOWN_PLACES]),
        {"largest": max(_ratio(each) for each in matrices), "median": median(_ratio(each) for each in matrices)},
        FAILED_RUN if lost else 1.0,
    )


def _sentence(shown: list[ParameterEvidence], matrices: int, rate: float, limit: float) -> str:
    worst = _worst(shown)[0]
    name, ratio = worst.origin or worst.name, _ratio(worst)
    count = f"{len(shown)} of {matrices} weight matrices" if matrices > 1 else "the weight matrix"
    if limit >= 1:
        return (
            f"At the declared rate of {rate:g} the first step is larger than the weight itself in {count}: "
            f"{ratio:.3g} times in {name}. Nothing is left of its initialization."
        )
    return (
        f"At the declared rate of {rate:g} the first step is lost in float32's rounding in {count}: "
        f"{ratio:.2g} of the weight in {name}."
    )


def _worst(shown: list[ParameterEvidence]) -> list[ParameterEvidence]:
    return sorted(shown, key=_ratio, reverse=_ratio(shown[0]) >= 1)


def _ratio(parameter: ParameterEvidence) -> float:
    return parameter.update_ratio or 0.0


def _place(parameter: ParameterEvidence, limit: float) -> Place:
    return Place(
        node=parameter.node,
        origin=parameter.origin,
        parameter=parameter.name,
        measured=_ratio(parameter),
        limit=limit,
    )
