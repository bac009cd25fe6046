"""What the draws of a model show, one by one and together."""

from collections.abc import Sequence
from math import isnan, nan
from statistics import median

from service.contract.redraws import Draw, Redraws, Spread
from worker.diagnose import shown, standard_error, verdict_of_draw
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.trial import figures

_LATE = "There was no time to measure it."
_SHORT = "The time box ended its training trial before the last step."


def redraws_section(seed: int, draws: int, evidences: Sequence[Evidence]) -> Redraws | None:
    """Tell each of `draws` draws, the first of which follows `seed`; the last may lack evidence.

    None where there is one draw.
    """
    if draws == 1:
        return None
    late = [Draw(seed=seed + draw, verdict=None, note=_LATE) for draw in range(len(evidences), draws)]
    told = [_draw(seed + draw, evidence) for draw, evidence in enumerate(evidences)]
    return Redraws(draws=(*told, *late), spread=_spread(told))


def same_weights(subject: Subject, draws: int) -> tuple[str, ...]:
    """Say what several draws differ in where the file gives the weights."""
    if draws == 1 or subject.drawn:
        return ()
    differ = "the order of samples, dropout and other random operators"
    return (f"The weights are the file's own in all {draws} draws, which differ in {differ} alone.",)


def _draw(seed: int, evidence: Evidence) -> Draw:
    codes = shown(evidence)
    cut_short = evidence.training is not None and not evidence.training.complete
    return Draw(
        seed=seed,
        verdict=verdict_of_draw(codes),
        codes=dict(codes),
        measures=figures(evidence),
        note=_SHORT if cut_short else "",
    )


def _spread(draws: Sequence[Draw]) -> dict[str, Spread]:
    names = sorted({name for draw in draws for name in draw.measures})
    values = {name: [given for draw in draws if not isnan(given := draw.measures.get(name, nan))] for name in names}
    return {
        name: Spread(lowest=min(given), median=median(given), highest=max(given), standard_error=standard_error(given))
        for name, given in values.items()
        if given
    }
