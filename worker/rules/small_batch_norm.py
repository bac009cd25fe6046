"""Finds batch norms whose statistics are of too few numbers."""

from service.contract.report import Place
from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, SHOWN_PLACES, Answer, Observation, Silence, among, rule, several, weigh


@rule("NRM04", Symptom.NORMALIZATION_MISUSE, order=11, aliases=["batch norm with a small batch"])
def small_batch_norm(evidence: Evidence, *, numbers: int = 4, samples: int = 8) -> Answer:
    """Batch norms take their statistics of too few samples.

    What it measures
        How many numbers the mean and variance of a channel are of, samples times positions: fewer than 4 is a warning,
        fewer than 8 samples is a note.

    Why it matters
        Of one number the variance is zero and the output constant; of four, a layer of batch norm and ReLU makes the
        squared gradient 2.9 times as large, where it is 1.47 for large batches.  Noise of the statistics becomes noise
        of the gradient, and evaluation computes something else.

    When it is wrong
        The batch may be smaller than the one that training will use.  Many positions per sample make up for few
        samples in part, though not where they are alike.

    References
        Wu and He 2018 (arXiv 1803.08494: group normalization); Yang et al. 2019 (arXiv 1902.08129).
    """
    norms = evidence.structure.norms
    if not norms:
        return Silence("not_applicable", "no batch norm normalizes by the batch")
    if evidence.synthetic:
        return Silence("could_not_judge", "the batch was drawn, so its size says nothing of training's")
    few = [norm for norm in norms if norm.numbers < numbers]
    found = few or [norm for norm in norms if norm.samples < samples]
    if not found:
        return CLEAR
    first = min(found, key=lambda norm: norm.numbers)
    measured, limit = (first.numbers, numbers) if few else (first.samples, samples)
    of = f"{several(measured, 'number')}" if few else f"{several(measured, 'sample')} ({first.numbers} numbers)"
    return Observation(
        f"{among(len(found), len(norms), 'batch norms', 'takes', 'take')} statistics of {of} per channel, "
        f"{evidence.called(first.node)} among them; {limit} is the limit.",
        weigh(evidence) if few else Severity.INFO,
        tuple(
            Place(node=each.node, origin=each.origin, measured=measured, limit=limit) for each in found[:SHOWN_PLACES]
        ),
        {"norms": len(found), "samples": first.samples, "numbers": first.numbers},
    )
