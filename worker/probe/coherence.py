"""Coherence: the mean cosine between the gradients of two samples, without unit.

With uᵢ = gᵢ/‖gᵢ‖ over n samples, (‖Σ uᵢ‖² − n) / (n (n − 1)): 1 where all samples pull one way, 0 where each pulls its
own, −1/(n − 1) where they cancel.  Cost: forward and backward for each of at most 16 samples.
Sources: Fort et al. 2019 (arXiv 1901.09491, stiffness); Chatterjee 2020 (arXiv 2002.10657).
"""

from typing import Final

import torch

from worker.passes import count
from worker.probe.landscape import Landscape
from worker.probe.noise import over_samples
from worker.subject import Subject

MOST: Final = 16


def measure_coherence(subject: Subject) -> float | str:
    """Return the coherence of samples spread over the batch; in words why not, where it cannot be measured."""
    if over_samples(subject):
        return "samples are normalized together, so that none has a gradient of its own"
    if not subject.divisible or subject.batch.size < 2:  # noqa: PLR2004  a pair takes two
        return "the batch cannot be parted into samples"
    landscape = Landscape(subject)
    samples = min(MOST, subject.batch.size)
    count(forward=1, backward=1)
    total = torch.zeros_like(landscape.weights, dtype=torch.float64)
    for row in torch.linspace(0, subject.batch.size - 1, samples).round().long().tolist():
        gradient = landscape.gradient(torch.tensor([row], device=subject.device)).double()
        norm = gradient.norm()
        if not bool(norm.isfinite() & (norm > 0)):
            return f"sample {row} has no finite gradient but zero"
        total += gradient / norm
    return (float(total @ total) - samples) / (samples * (samples - 1))
