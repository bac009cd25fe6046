"""Finds weight layers with nothing nonlinear between them."""

from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence, Structure
from worker.rules import CLEAR, Answer, Observation, Silence, among, places_at, rule, weigh


@rule("ARC01", Symptom.STRUCTURE_FAULT, order=10, aliases=["missing activation"])
def linear_network(evidence: Evidence, *, hidden: int = 2) -> Answer:
    """Weight layers follow each other with nothing nonlinear between them.

    What it measures
        Whether the network, up to the activation that it ends in, is affine in its input: a warning from 2 hidden
        layers on.  And, as a note, each weight layer that reads nothing but another one's output, perhaps normalized
        by the batch, pooled by averages or moved.

    Why it matters
        A product of matrices is a matrix: such layers cost what they cost and can say no more than a single one.

    When it is wrong
        Factorizations mean to be products: bottlenecks, depthwise and pointwise windows, rows and columns, upsampling,
        values and output of attention, low-rank adapters; these are left out, and so is a sum of branches.  Deep
        linear networks are built on purpose to study how depth trains.

    References
        Goodfellow et al. 2016, Deep Learning, section 6.1; Nikanjam et al. 2021 (NeuraLint); Saxe et al. 2014.
    """
    shown = evidence.structure
    if shown.layers < 2:  # noqa: PLR2004  one layer has nothing to follow
        return Silence("not_applicable", "there is one weight layer at most")
    if shown.linear and shown.layers > hidden and not shown.factored:
        return _linear(evidence, shown)
    if not shown.unbent:
        return CLEAR
    spot = shown.unbent[0]
    return Observation(
        f"{among(len(shown.unbent), shown.layers, 'weight layers', 'reads', 'read')} another one's output with no "
        "activation between: "
        f"{evidence.called(spot.also)} and {evidence.called(spot.node)} compute what one layer could.",
        Severity.INFO,
        places_at(shown.unbent),
        {"layers": len(shown.unbent)},
    )


def _linear(evidence: Evidence, shown: Structure) -> Observation:
    return Observation(
        f"No activation stands between any of the {shown.layers} weight layers, so the whole network computes what a "
        f"single layer could; its {shown.layers - 1} hidden layers add nothing.",
        weigh(evidence),
        places_at(shown.unbent),
        {"layers": shown.layers},
    )
