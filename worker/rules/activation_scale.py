"""Finds signals whose scale drifts on their way forward, or jumps at one layer."""

from math import exp, log

from service.contract.words import Symptom
from worker.probe.evidence import Evidence, Segment
from worker.robust import centre_and_spread
from worker.rules import CLEAR, Answer, Observation, note, place_at, rule, ungained


@rule(
    "INI03",
    Symptom.POOR_INIT_SCALE,
    order=46,
    aliases=["activation scale drift", "ExplodingTensor"],
    told_by=[
        Symptom.VANISHING_GRADIENT,
        Symptom.EXPLODING_GRADIENT,
        Symptom.RESIDUAL_SCALE,
        Symptom.RANK_COLLAPSE,
        Symptom.POOR_INIT_SCALE,
    ],
)
def activation_scale(
    evidence: Evidence, *, drift: float = 6.0, jump: float = log(100), deviations: float = 5.0
) -> Answer:
    """The signal's scale drifts, or jumps at one layer.

    What it measures
        F, ln of the last hidden cut's second moment by the first's; beyond 6 either way it counts (of 8 layers without
        a norm NRM02 tells it).  And the layer, of those without a norm or a branch, whose own part of F lies farthest
        from the median's: beyond ln 100, and five robust standard deviations, it counts too.

    Why it matters
        Layers behind a signal that is far from one saturate, or overflow in half precision, and one learning rate
        fits only part of the network.

    When it is wrong
        A signal that grows is harmless where the last layers are scaled for it, as in trained networks: it is
        a note unless the training trial fails.  Norms set the scale on purpose and are left out.

    References
        He et al. 2015 (arXiv 1502.01852); Mishkin and Matas 2016 (LSUV, arXiv 1511.06422).
    """
    gain = evidence.gain
    if gain is None:
        return ungained(evidence)
    plain = [segment for segment in gain.segments if segment.slopes is not None and not segment.normed]
    odd = _odd(plain, jump, deviations)
    bare = sum(segment.layers for segment in gain.segments) > 6 and not any(segment.normed for segment in gain.segments)  # noqa: PLR2004
    if odd is None and (abs(gain.forward) <= drift or bare):
        return CLEAR
    end = (odd or gain.segments[-1]).end
    size = odd.forward if odd else gain.forward
    verb = "grows" if size > 0 else "shrinks"
    where = f"At {evidence.called(end)}" if odd else f"Up to {evidence.called(end)}"
    return Observation(
        f"{where} the signal {verb} by a factor of {exp(abs(size) / 2):.3g} (ln of its square {size:+.1f}; "
        f"{jump if odd else drift:.1f} is the limit).",
        note(evidence),
        (place_at(evidence, end, size, jump if odd else drift),),
        {"forward_gain": gain.forward, "farthest": gain.forward_dip, "jump": size},
    )


def _odd(plain: list[Segment], jump: float, deviations: float) -> Segment | None:
    """Return the segment that is far out of the others' scale; None where there is none, or too few to compare."""
    if len(plain) < 3:  # noqa: PLR2004  of two neither is the odd one
        return None
    middle, spread = centre_and_spread([segment.forward for segment in plain])
    worst = max(plain, key=lambda segment: abs(segment.forward - middle))
    return worst if abs(worst.forward - middle) > max(jump, deviations * spread) else None
