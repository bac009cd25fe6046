"""Finds residual branches that outweigh their skips until the signal grows exponentially."""

from math import exp, log1p

from service.contract.report import Place
from service.contract.words import Severity, Symptom
from worker.gain_in_words import branches
from worker.probe.evidence import Evidence
from worker.rules import SHOWN_PLACES, Answer, Observation, Silence, rule, weigh


@rule(
    "RES01",
    Symptom.RESIDUAL_SCALE,
    order=42,
    aliases=["unscaled residual", "ResidualScale"],
    told_by=[Symptom.EXPLODING_GRADIENT],
)
def residual_scale(evidence: Evidence, *, risk: float = 6.0) -> Answer:
    """Residual branches are added to their skips unscaled.

    What it measures
        ρ, the second moment of each branch by that of its skip, where no norm stands in the branch or behind the sum;
        Σ ln(1 + ρ), by which theory has the squared signal grow, and by how much it does grow.  Where both exceed 6
        nats, a factor of 20 in the signal, it counts.

    Why it matters
        With He's initialization every block doubles or triples the signal's variance, and the gradient's, so that a
        network of fifty blocks starts 10⁷ to 10¹² out of scale; or one branch drowns its skip, which then carries
        nothing.

    When it is wrong
        Branches behind a norm grow as a power of depth, which is harmless: they are not counted.  Trained networks
        may have learnt strong branches; of those it is only a note.  Where the gradient explodes, that finding says the
        same.

    References
        De and Smith 2020 (arXiv 2002.10444); Zhang, Dauphin and Ma 2019 (Fixup, arXiv 1901.09321); Hanin and Rolnick
        2018 (arXiv 1803.01719).
    """
    free = [join for join in evidence.joins if not join.normalized]
    if not free:
        return Silence("not_applicable", "no branch is added to a skip without a norm")
    size = min(sum(log1p(join.ratio) for join in free), sum(join.growth for join in free))
    if size <= risk:
        shut = sum(not join.ratio for join in free)
        return Silence("clear", f"{shut} of {len(free)} branches start at zero, by design" if shut else "")
    worst = max(free, key=lambda join: join.ratio)
    said = branches(len(free))
    return Observation(
        f"{said[0].upper()}{said[1:]} unscaled and without a norm: the signal grows by a factor of "
        f"{exp(size / 2):.3g} (ln of its square {size:+.1f}; {risk:g} is the limit). At "
        f"{evidence.called(worst.node)} the branch has {worst.ratio:.3g} times the power of its skip.",
        Severity.INFO if evidence.converged else weigh(evidence),
        tuple(
            Place(node=join.node, origin=join.origin, measured=join.ratio, limit=exp(risk / len(free)) - 1)
            for join in sorted(free, key=lambda join: -join.ratio)[:SHOWN_PLACES]
        ),
        {"growth": size, "branches": len(free), "ratio": worst.ratio},
    )
