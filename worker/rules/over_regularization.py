"""Finds networks that are held back so hard that they learn nothing."""

from math import isfinite

from service.contract.report import Place
from service.contract.words import Severity, Symptom
from worker.course import Run
from worker.probe.evidence import Evidence, Regularization
from worker.rules import CLEAR, FAILED_RUN, SHORT_RUN, SHOWN_PLACES, Answer, Observation, Silence, place_at, rule, weigh

_BEATEN = 0.999
_HARDLY = 0.9
_WELL = 0.5


@rule("REG01", Symptom.OVER_REGULARIZATION, order=35, aliases=["over-regularisation", "weight decay too strong"])
def over_regularization(
    evidence: Evidence, *, pull: float = 1.0, shrunk: float = 0.5, drop: float = 0.8, passing: float = 0.1
) -> Answer:
    """Weight decay, penalties or dropout keep the network from learning.

    What it measures
        A run of the training trial as it stands, and the same run without weight decay, penalties and dropout.  It
        rejects where the first ends no lower than .999 of the best constant prediction's loss and the other learns,
        while decay and penalties pull harder at the start than the loss does, halve the weights or drive them away.  It
        warns where dropout does that, and where the run gets under .999 but not under .9 and the other under .5.  A
        note where the pull is the stronger one but the trial learns, or where dropouts in a row let a tenth pass.

    Why it matters
        The loss that is told does not contain the penalty, but the steps do: they then serve the penalty alone.

    When it is wrong
        Strong dropout asks for more steps than the trial has; so it only warns.  Targets that were drawn at random are
        what regularization is there to keep from being learnt.

    References
        Goodfellow, Bengio and Courville 2016, Deep Learning, section 7.1; Srivastava et al. 2014.
    """
    held, training = evidence.regularization, evidence.training
    if held is None:
        return Silence("not_applicable", "nothing holds the weights back")
    run = training.regularized if training else None
    free = training.unregularized if training else None
    if run is not None and free is not None and not run.late:
        pulled = run.diverged or run.shrinkage < shrunk or held.pull > pull
        chance = evidence.loss.chance
        stuck = (run.diverged or run.final >= _BEATEN * chance) and free.beaten and free.final < _HARDLY * chance
        hardly = pulled and run.final >= _HARDLY * chance and free.final < _WELL * chance
        if stuck or hardly:
            return _told(evidence, run, free, certain=stuck and pulled and _weighs(evidence, held))
    return _noted(evidence, held, pull, (drop, passing))


def _weighs(evidence: Evidence, held: Regularization) -> bool:
    """Whether something pulls at the weights, and not only drops signals."""
    return bool(held.penalized) or (evidence.declared is not None and evidence.declared.weight_decay > 0)


def _told(evidence: Evidence, run: Run, free: Run, *, certain: bool) -> Answer:
    fate = "diverges" if run.diverged else f"ends at {run.final:.3g}"
    kept = f", and its weight matrices keep {run.shrinkage:.2g} of their norm" if run.shrinkage < 1 else ""
    return Observation(
        f"As it stands the loss under {run.optimizer} at {run.learning_rate:g} {fate}, where the best constant "
        f"prediction costs {evidence.loss.chance:.3g}{kept}; without {_what(evidence)} it comes down to "
        f"{free.final:.3g} in {len(free.losses)} steps.",
        weigh(evidence, certain=certain),
        (Place(node="loss", measured=run.final, limit=_BEATEN * evidence.loss.chance),),
        _finite({"final_loss": run.final, "free_loss": free.final, "shrinkage": run.shrinkage}),
        FAILED_RUN if certain else SHORT_RUN,
    )


def _noted(evidence: Evidence, held: Regularization, pull: float, limits: tuple[float, float]) -> Answer:
    drop, passing = limits
    strong = [(node, share) for node, share in held.dropouts if share >= drop]
    said = []
    if held.pull > pull:
        said.append(f"At the start {_what(evidence)} moves the weights {held.pull:.3g} times as far as the loss does.")
    if strong or held.kept < passing:
        said.append(f"Of the signals {held.kept:.1%} pass the dropouts of half and more.")
    if not said:
        return CLEAR
    places = [place_at(evidence, node, part, drop) for node, part in strong]
    return Observation(
        " ".join(said),
        Severity.INFO,
        tuple(places[:SHOWN_PLACES]) or (Place(node="loss", measured=held.pull, limit=pull),),
        _finite({"pull": held.pull, "kept": held.kept}),
    )


def _what(evidence: Evidence) -> str:
    """Say what holds the weights back."""
    held, decay = evidence.regularization, evidence.declared.weight_decay if evidence.declared else 0.0
    parts = [
        f"the weight decay of {decay:g}" if decay else "",
        "the penalty on its weights" if held and held.penalized else "",
        "dropout" if held and held.dropouts else "",
    ]
    return " and ".join(part for part in parts if part)


def _finite(values: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if isfinite(value)}
