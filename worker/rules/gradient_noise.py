"""Tells where a batch's gradient is mostly chance."""

from math import isfinite

from service.contract.report import Place
from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence, Noise
from worker.rules import CLEAR, Answer, Observation, Silence, absent, rule


@rule("NOI01", Symptom.GRADIENT_NOISE, order=50, aliases=["gradient noise scale", "critical batch size"])
def gradient_noise(evidence: Evidence, *, signal: float = 0.1, tail: float = 5.0, wild: float = 10.0) -> Answer:
    """The gradient of this batch is mostly chance.

    What it measures
        The gradient noise scale B_simple, the number of samples at which a gradient's chance and its signal weigh the
        same: a batch of less than a tenth of what B_simple is at least counts.  And the gradients of the batch's parts:
        one of ten times the median's norm, and five robust standard deviations above it, counts.  Measured in deep
        examinations.

    Why it matters
        Steps on such a batch go mostly at random: training is slow for want of samples, which no change to the network
        helps.  One wild sample moves the weights more than all others.

    When it is wrong
        Noise is ordinary late in training and in reinforcement learning, and smaller rates average it away.  The batch
        that was uploaded may be smaller than the one that training will take.  It is a note, never more.

    References
        McCandlish et al. 2018 (arXiv 1812.06162); Simsekli et al. 2019 (arXiv 1901.06053).
    """
    if evidence.deep is None:
        return absent(evidence, "the gradient's noise is measured in deep examinations only")
    noise = evidence.deep.noise
    if noise is None:
        return Silence("could_not_judge", evidence.unmeasured.get("noise", "it was not measured"))
    noisy = noise.samples < signal * noise.lowest
    heavy = noise.tail > tail and noise.largest_by_median > wild
    if not (noisy or heavy):
        return CLEAR
    return Observation(
        " ".join([*([_noisy(noise, signal)] if noisy else ()), *([_heavy(noise)] if heavy else ())]),
        Severity.INFO,
        (Place(node="batch", measured=noise.samples, limit=signal * noise.lowest),)
        if noisy
        else (Place(node="batch", measured=noise.largest_by_median, limit=wild),),
        {
            "noise_scale": noise.scale,
            "noise_scale_at_least": noise.lowest,
            "samples": float(noise.samples),
            "largest_norm_by_median": noise.largest_by_median,
            "tail": noise.tail,
            "hill_index": noise.hill,
        },
    )


def _noisy(noise: Noise, signal: float) -> str:
    found = f"{noise.scale:.3g}" if isfinite(noise.scale) else "beyond what the batch can show"
    return (
        f"Chance outweighs signal {noise.lowest / noise.samples:.3g} times in the gradient of {noise.samples} samples "
        f"({1 / signal:g} times is the limit): the noise scale is {found}, and at least {noise.lowest:.3g} samples."
    )


def _heavy(noise: Noise) -> str:
    return (
        f"Of {noise.parts} parts of the batch, one has a gradient of {noise.largest_by_median:.3g} times the median: "
        "look at its samples."
    )
