"""Tells where a declared learning rate is larger than the loss's curvature bears."""

from math import isfinite

from service.contract.report import Place
from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence, Sharpness
from worker.rules import CLEAR, Answer, Observation, Silence, absent, rule


@rule("TRN08", Symptom.UNSTABLE_LEARNING_RATE, order=50, aliases=["sharpness", "edge of stability"])
def sharpness_against_rate(evidence: Evidence, *, times: float = 2.0) -> Answer:
    """The learning rate is larger than the curvature of the loss bears.

    What it measures
        The declared learning rate by the critical one: 2/λ for gradient descent, λ being the Hessian's largest
        eigenvalue; 2(1+β)/λ with momentum; 38/λ(P⁻¹H) for Adam, whose steps are divided by P.  From twice that on it
        counts.

    Why it matters
        On a quadratic, steps beyond the critical rate grow without end; networks escape to flatter places, up to about
        twice the rate.  It explains why training at this rate spikes or diverges, where it does.

    When it is wrong
        Often: rectified networks under cross entropy have trained at thirty times the critical rate.  Whether this
        network trains at this rate is what the training trial says.  It is a note, never more.

    References
        Lewkowycz et al. 2020 (arXiv 2003.02218); Cohen et al. 2021 (arXiv 2103.00065) and 2022 (arXiv 2207.14484).
    """
    sharp = evidence.sharpness
    if sharp is None:
        return _unmeasured(evidence)
    if not sharp.declared:
        return Silence("not_applicable", "no learning rate was declared")
    if not isfinite(sharp.critical_rate) or sharp.ratio <= times:
        return CLEAR
    return Observation(
        f"The rate of {sharp.learning_rate:g} with {sharp.optimizer} is {sharp.ratio:.3g} times the critical one of "
        f"{sharp.critical_rate:.2g} that the sharpest direction bears (curvature {sharp.preconditioned:.3g}; "
        f"{times:g} times is what networks come back from). {_tried(evidence, sharp)}",
        Severity.INFO,
        (Place(node="optimizer", measured=sharp.learning_rate, limit=times * sharp.critical_rate),),
        {
            "sharpness": sharp.value,
            "preconditioned_sharpness": sharp.preconditioned,
            "critical_rate": sharp.critical_rate,
            "times_critical": sharp.ratio,
        },
    )


def _unmeasured(evidence: Evidence) -> Silence:
    """Return why the curvature was not measured."""
    reason = evidence.unmeasured.get("sharpness")
    if reason is not None:
        return Silence("could_not_judge", reason)
    if evidence.declared is None or evidence.declared.learning_rate is None:
        return Silence("not_applicable", "no learning rate was declared")
    return absent(evidence, "the curvature of a network of this size is measured in deep examinations only")


def _tried(evidence: Evidence, sharp: Sharpness) -> str:
    """Say what the training trial came to at this rate."""
    run = evidence.training.declared if evidence.training else None
    if run is None:
        return "It was not tried."
    if run.beaten:
        return "Tried, it learns the batch all the same."
    return f"Tried, it {'diverges' if run.diverged else 'does not learn the batch'}."
