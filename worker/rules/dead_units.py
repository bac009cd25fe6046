"""Finds layers with units that are off for every sample, more of them than chance explains, and that stay off."""

from service.contract.report import Place
from service.contract.words import Symptom
from worker.probe.evidence import Evidence, PlaceEvidence, Units
from worker.rules import CLEAR, SHOWN_PLACES, Answer, Observation, Silence, rule, too_few, weigh


@rule("UNT01", Symptom.DEAD_UNITS, order=30, aliases=["DeadRelu", "dying ReLU"])
def dead_units(evidence: Evidence, *, excess: float = 0.2, adequate: int = 32) -> Answer:
    """Units are off for every sample.

    What it measures
        The share of units (channels over all positions) that no sample takes out of the flat part of their activation:
        at or under zero for a rectifier, where the slope is under a thousandth of its largest for smooth ones.  It
        counts where it exceeds, by a fifth of the layer and three standard errors, what correlated Gaussian
        pre-activations show by chance; and so does the share of those that will not come back: no gradient reaches
        them, and their mean lies four of their own standard deviations within the flat part.  A layer or branch that is
        off altogether on 32 samples or more is a certainty that rejects.

    Why it matters
        A unit that is off for every sample passes nothing on and receives no gradient; it does not come back by itself.

    When it is wrong
        Zeros are no fault: a unit that is off for most samples is sparse, not dead.  On few samples healthy units
        look dead.  What is off because its weights are all zero is told by GRD03.

    References
        Lu et al. 2019 (arXiv 1903.06733); Sokar et al. 2023 (arXiv 2302.12902) for the dormant score; the null is the
        Gaussian orthant probability of equicorrelated samples.
    """
    layers = [(place, place.units) for place in evidence.places if place.units is not None and not place.units.blank]
    if not layers:
        return Silence("not_applicable", "no activation is flat over a part of its inputs")
    if evidence.samples < adequate:
        return too_few(evidence, adequate, "tell dead from idle")
    found = [(place, units) for place, units in layers if _sick(units, excess)]
    if not found:
        return CLEAR
    found.sort(key=lambda pair: -pair[1].hopeless)
    _, units = found[0]
    return Observation(
        _sentence(evidence, found, len(layers)),
        weigh(evidence, certain=any(units.off for _, units in found)),
        tuple(
            Place(node=p.node, origin=p.origin, measured=u.dead, limit=min(u.expected + excess, 1))
            for p, u in found[:SHOWN_PLACES]
        ),
        {
            "dead": units.dead,
            "expected": units.expected,
            "excess": units.excess,
            "hopeless": units.hopeless,
            "dormant": units.dormant,
            "layers": len(found),
        },
    )


def _sick(units: Units, excess: float) -> bool:
    return units.off or min(units.excess, units.hopeless_excess) > excess


def _sentence(evidence: Evidence, found: list[tuple[PlaceEvidence, Units]], layers: int) -> str:
    worst, units = found[0]
    where = evidence.called(worst.node)
    if units.off:
        return (
            f"All {units.count} units of {where} are off for all {units.samples} samples, and nothing passes"
            f"{'' if len(found) == 1 else f'; so it is in {len(found)} of {layers} layers, wholly or in part'}."
        )
    return (
        f"In {len(found)} of {layers} layers with a flat activation more units are off for all {units.samples} samples "
        f"than chance explains; in {where} it is {units.dead:.0%} of {units.count} units, and {units.expected:.0%} by "
        f"chance."
    )
