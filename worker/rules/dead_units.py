"""Finds rectifying layers whose units are off for every sample, more of them than chance explains."""

from service.contract.report import Place
from service.contract.words import Symptom
from worker.probe.evidence import Evidence, Units
from worker.rules import CLEAR, SHOWN_PLACES, Answer, Observation, Silence, rule, weigh


@rule("UNT01", Symptom.DEAD_UNITS, order=30, aliases=["DeadRelu", "dying ReLU"])
def dead_units(evidence: Evidence, *, excess: float = 0.2, adequate: int = 32) -> Answer:
    """Units are off for every sample.

    What it measures
        The share of a rectifying layer's units (channels over all positions) with no positive pre-activation on the
        batch, above the share that correlated Gaussian pre-activations show by chance, less three standard errors.
        A layer that is off altogether on 32 samples or more is a certainty that rejects.

    Why it matters
        A unit that is off for every sample passes nothing on and receives no gradient; it does not come back by itself.

    When it is wrong
        Zeros are no fault: a unit that is off for most samples is sparse, not dead.  On few samples healthy units
        look dead.

    References
        Lu et al. 2019 (arXiv 1903.06733); the null is the Gaussian orthant probability of equicorrelated samples.
    """
    layers = [(place, place.units) for place in evidence.places if place.units is not None]
    if not layers:
        return Silence("not_applicable", "no activation is flat for negative inputs")
    if evidence.samples < adequate:
        return Silence("could_not_judge", f"{evidence.samples} samples are too few; {adequate} tell dead from idle")
    found = [(place, units) for place, units in layers if units.excess > excess or units.dead == 1]
    if not found:
        return CLEAR
    found.sort(key=lambda pair: -pair[1].dead)
    worst, units = found[0]
    return Observation(
        _sentence(len(found), len(layers), evidence.called(worst.node), units),
        weigh(evidence, certain=units.dead == 1 and units.count > 1),
        tuple(
            Place(node=p.node, origin=p.origin, measured=u.dead, limit=u.expected + excess)
            for p, u in found[:SHOWN_PLACES]
        ),
        {"dead": units.dead, "expected": units.expected, "excess": units.excess, "layers": len(found)},
    )


def _sentence(found: int, layers: int, where: str, units: Units) -> str:
    return (
        f"In {found} of {layers} rectifying layers more units are off for all {units.samples} samples than chance "
        f"explains; in {where} it is {units.dead:.0%} of {units.count} units, and {units.expected:.0%} by chance."
    )
