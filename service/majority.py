"""What several draws of one model say together: most of them decide, and a tie goes to the milder."""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from service.contract.words import Severity

Shown: TypeAlias = Mapping[str, Severity]
"""The rules that fire on one draw, by their code, and how gravely."""

RANK: Final = {Severity.INFO: 0, Severity.WARNING: 1, Severity.ERROR: 2}
_GRAVEST_FIRST: Final = (Severity.ERROR, Severity.WARNING)


def decided(draws: Sequence[Shown]) -> dict[str, Severity]:
    """Return how much each rule weighs over the draws; one that says too little in too few of them is left out.

    A rule weighs what most draws say, and at least a step less than the gravest draw says, so that a draw that fails
    is never silent.  Where most draws fail, but by no rule that most of them share, every rule by which one fails is
    an error; and likewise where most of them warn.
    """
    codes = sorted({code for draw in draws for code in draw})
    found = {code: _alone([draw.get(code) for draw in draws]) for code in codes}
    weights = {code: severity for code, severity in found.items() if severity is not None}
    for level in _GRAVEST_FIRST:
        if mostly(draws, level) and not any(_reaches(each, level) for each in weights.values()):
            weights |= dict.fromkeys(reaching(draws, level), level)
    return weights


def failing(draws: Sequence[Shown], level: Severity = Severity.ERROR) -> int:
    """Return how many draws show something that is at least this grave."""
    return sum(any(_reaches(severity, level) for severity in draw.values()) for draw in draws)


def mostly(draws: Sequence[Shown], level: Severity) -> bool:
    """Whether more than half of the draws show something that is at least this grave."""
    return 2 * failing(draws, level) > len(draws)


def reaching(draws: Sequence[Shown], level: Severity) -> tuple[str, ...]:
    """Return the rules that are at least this grave in some draw."""
    return tuple(sorted({code for draw in draws for code, severity in draw.items() if _reaches(severity, level)}))


def _alone(shown: Sequence[Severity | None]) -> Severity | None:
    """Return what one rule weighs by itself."""
    ranks = sorted((-1 if severity is None else RANK[severity] for severity in shown), reverse=True)
    rank = max(ranks[len(ranks) // 2], ranks[0] - 1)
    return next((severity for severity, of in RANK.items() if of == rank), None)


def _reaches(severity: Severity, level: Severity) -> bool:
    return RANK[severity] >= RANK[level]
