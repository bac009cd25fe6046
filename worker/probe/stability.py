"""Stability: the end-to-end gain, measured on each half of the batch alone; G as `gain` has it, in nats.

Two halves that disagree by more than their standard error say that the batch is too small, or too varied, for the gain
to be one number.  Cost: two sweeps and two gains on half of the batch, about one probe.
"""

import math

import torch

from worker.network.graph import torch_stream
from worker.probe.evidence import Halves
from worker.probe.gain import measure_gain
from worker.probe.sweep import sweep
from worker.subject import Subject

FEWEST = 8
"""Samples of a batch that is parted: norms over samples need some in each half."""


def measure_halves(subject: Subject) -> Halves | str:
    """Return the gain on two random halves; in words why not, where the batch or the network does not allow it."""
    if not subject.divisible or subject.batch.size < FEWEST:
        return f"the batch cannot be parted, or has fewer than {FEWEST} samples"
    order = torch.randperm(subject.batch.size, generator=torch_stream(subject.seed, "halves")).to(subject.device)
    half = len(order) // 2
    gains = [measure_gain(sweep(subject.part(rows))) for rows in (order[:half], order[half : 2 * half])]
    first, second = gains
    if first is None or second is None:
        return "there is no gain to measure: fewer than two hidden layers"
    return Halves(first.total, second.total, math.hypot(first.standard_error, second.standard_error))
