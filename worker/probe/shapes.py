"""The shapes that values have on the batch."""

from collections.abc import Sequence

import torch

from service.contract.words import Mode
from worker.network.run import Program
from worker.subject import Subject


def shapes(subject: Subject, values: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of these values of the subject's graph."""
    if not values:
        return {}
    program = Program(subject.graph.replace(outputs=tuple(values)), subject.device)
    generator = torch.Generator(subject.device).manual_seed(subject.seed)
    with torch.no_grad():
        found = program.run(subject.batch.inputs, training=subject.mode is Mode.TRAIN, generator=generator)
    return {name: tuple(found[name].shape) for name in values}
