"""Finds weight decay on the scales and shifts of normalizations."""

from service.contract.report import Place
from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, SHOWN_PLACES, Answer, Observation, Silence, rule, several

_NORMS = frozenset(
    {
        "BatchNormalization",
        "LayerNormalization",
        "InstanceNormalization",
        "GroupNormalization",
        "RMSNormalization",
        "SimplifiedLayerNormalization",
        "SkipLayerNormalization",
    }
)


@rule("NRM05", Symptom.NORMALIZATION_MISUSE, order=62, aliases=["weight decay on norms"])
def norm_decay(evidence: Evidence) -> Answer:
    """Weight decay also pulls at the scales of normalizations.

    What it measures
        Which normalizations hold trained scales and shifts, where a weight decay is declared, or which of these carry a
        penalty of their own.

    Why it matters
        The scale behind a normalization is the size of what it gives: decay pulls it to zero and takes capacity, where
        decay of the weights before it changes nothing but their step size.

    When it is wrong
        Small decays on scales do little harm, and some recipes keep them on purpose.  It is a note, never more.

    References
        Jia et al. 2018 (arXiv 1807.11205); van Laarhoven 2017 (arXiv 1706.05350).
    """
    settings, held = evidence.declared, evidence.regularization
    norms = [each for each in evidence.parameters if each.op in _NORMS]
    decay = settings.weight_decay if settings else 0.0
    if held is None or not (decay or held.penalized):
        return Silence("not_applicable", "there is no weight decay and no penalty")
    pulled = norms if decay else [each for each in norms if each.name in held.penalized]
    if not pulled:
        return CLEAR
    layers = {each.node: each for each in pulled}
    what = f"The weight decay of {decay:g}" if decay else "A penalty"
    return Observation(
        f"{what} also pulls at the scales and shifts of {several(len(layers), 'normalization')}; leave them out of it.",
        Severity.INFO,
        tuple(
            Place(node=each.node, origin=each.origin, parameter=each.name, measured=decay, limit=0)
            for each in list(layers.values())[:SHOWN_PLACES]
        ),
        {"weight_decay": decay, "normalizations": len(layers)},
    )
