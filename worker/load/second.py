"""The second batch: other samples for the same network and loss, by which no treatment was chosen."""

from dataclasses import replace
from pathlib import Path

import torch

from service.contract.problem import BatchMismatch, Unfit
from service.contract.words import Mode
from worker.head import choose
from worker.load import batch as batches
from worker.load.subject import Loaded
from worker.network.run import Program
from worker.subject import Batch, Subject


def on_second(loaded: Loaded, path: Path) -> Subject:
    """Return the subject on the batch in a file.

    Raises what a first batch raises, and says that it is the second; BatchMismatch also where it is the first once
    more, or has no target though the first has one.
    """
    try:
        return _on(loaded.subject, _read(loaded, path))
    except Unfit as trouble:
        detail = f"In the second batch: {trouble.detail}"
        raise type(trouble)(detail, pointer=trouble.pointer) from trouble


def _read(loaded: Loaded, path: Path) -> Batch:
    given, sha256 = batches.opened(path)
    first = loaded.subject.batch
    if sha256 == first.sha256:
        msg = "It is the first batch once more; other samples are needed."
        raise BatchMismatch(msg)
    batch = batches.fit(given, sha256, loaded.graph).to(first.device)
    if batch.target is None and not first.drawn_target:
        msg = "There is no target, and the first batch has one."
        raise BatchMismatch(msg)
    return batch


def _on(subject: Subject, batch: Batch) -> Subject:
    generator = torch.Generator(batch.device).manual_seed(subject.seed)
    with torch.no_grad():
        program, training = Program(subject.graph, batch.device), subject.mode is Mode.TRAIN
        sample = program.trace(batch.inputs, training=training, generator=generator).values[subject.output]
    name = subject.loss.name
    head = choose(subject.graph, sample, batch.target, name, output=subject.output, seed=subject.seed)
    subject.loss(sample.float(), head.target)
    return subject.replace(
        batch=replace(batch, target=head.target, drawn_target=batch.target is None),
        pass_s=subject.pass_s * batch.size / subject.batch.size,
    )
