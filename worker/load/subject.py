"""Uploads to a subject: whatever format the model and the batch came in."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from service.contract.architecture import Architecture, parse
from service.contract.options import Options
from service.contract.problem import BatchMismatch
from service.contract.words import Mode
from worker.budget import pass_seconds
from worker.head import choose
from worker.load import batch as batches
from worker.load import onnx
from worker.load.architecture import lower
from worker.load.classical import unmapped
from worker.load.rebatch import FREED, rebatchable
from worker.network.export import fits, to_onnx
from worker.network.graph import Graph, Parameter
from worker.network.run import Program
from worker.subject import Batch, Settings, Subject

Format = Literal["onnx", "gradgate", "keras"]
_SMALL_SAMPLE = 2**14
"""Numbers per sample up to which a file with a fixed batch is freed of it although no batch came."""
_REDRAWS = 3
"""Seeds under which a description without weights is examined."""


@dataclass(frozen=True)
class Loaded:
    """A subject, and what the report says of where it came from."""

    subject: Subject
    graph: Graph
    """The model as it came, with all its outputs."""
    format: Format
    sha256: str
    onnx: bytes | Path
    """The model as an independent runtime takes it."""
    seeds: int
    outputs: Mapping[str, Tensor]
    """Every output on the batch."""
    notes: tuple[str, ...] = ()


def load(
    model: Path, batch: Path | None, options: Options, external: Mapping[str, Path], device: torch.device
) -> Loaded:
    """Return the subject of two uploads.  Unfit where they cannot be read or do not fit each other."""
    graph, declared = _model(model, batch, options, external)
    samples = batches.read(batch, graph, seed=options.seed)
    graph, samples = _on(graph, device), samples.to(device)
    values = _values(graph, samples, options)
    outputs = {name: values[name] for name in graph.outputs}
    subject = _subject(graph, samples, outputs, options, declared)
    return Loaded(
        subject=subject.replace(pass_s=pass_seconds(graph, values)),
        graph=graph,
        format="onnx" if declared is None else "gradgate",
        sha256=_sha256(model),
        onnx=_for_reference(model, graph, written=declared is None and not external),
        seeds=options.seeds or (1 if declared is None else _REDRAWS),
        outputs=outputs,
        notes=graph.notes,
    )


def _for_reference(model: Path, graph: Graph, *, written: bool) -> bytes | Path:
    """Return the file as it came where it is ONNX in one piece with a batch of this size, else the graph as ONNX."""
    as_it_came = written and FREED not in graph.notes and not unmapped(graph)
    return model if as_it_came or not fits(graph) else to_onnx(graph).SerializeToString()


def _small(graph: Graph) -> bool:
    """Whether a sample has few enough numbers for a batch of many to be drawn."""
    sizes = [math.prod(size for size in given.shape[1:] if isinstance(size, int)) for given in graph.inputs]
    return sum(sizes) <= _SMALL_SAMPLE


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _model(
    path: Path, batch: Path | None, options: Options, external: Mapping[str, Path]
) -> tuple[Graph, Architecture | None]:
    with path.open("rb") as file:
        start = file.read(64).lstrip()
    if start[:1] != b"{":
        graph = onnx.read(path, external)
        return rebatchable(graph) if batch or _small(graph) else graph, None
    architecture = parse(path.read_bytes())
    return lower(architecture, seed=options.seed), architecture


def _values(graph: Graph, batch: Batch, options: Options) -> Mapping[str, Tensor]:
    generator = torch.Generator(batch.device).manual_seed(options.seed)
    with torch.no_grad():
        training = options.mode is Mode.TRAIN
        return Program(graph, batch.device).trace(batch.inputs, training=training, generator=generator).values


def _subject(
    graph: Graph, batch: Batch, outputs: Mapping[str, Tensor], options: Options, declared: Architecture | None
) -> Subject:
    real = (name for name in graph.outputs if outputs[name].is_floating_point())
    output = options.output or next(real, graph.outputs[0])
    if output not in graph.outputs:
        msg = f"The model has no output {output!r}; its outputs are {', '.join(map(repr, graph.outputs))}."
        raise BatchMismatch(msg)
    name = options.loss if "loss" in options.model_fields_set else (declared and declared.loss) or options.loss
    sample = outputs[output]
    if not sample.is_floating_point():
        msg = f"The loss needs a float output; {output!r} holds {sample.dtype}. Choose another with options.output."
        raise BatchMismatch(msg)
    head = choose(graph, sample, batch.target, name, output=output, seed=options.seed)
    return Subject(
        graph=graph.replace(outputs=(head.output,)),
        batch=Batch(batch.inputs, head.target, batch.synthetic, batch.sha256, batch.notes),
        loss=head.loss,
        settings=_settings(options, declared),
        output=head.output,
        declared_loss=head.declared,
        mode=options.mode,
        seed=options.seed,
    )


def _settings(options: Options, declared: Architecture | None) -> Settings:
    """Take each setting from the options, else from the model's file."""
    given = options.model_fields_set

    def pick(name: str) -> object:
        own = getattr(options, name)
        return own if name in given or declared is None else getattr(declared, name)

    return Settings(
        optimizer=pick("optimizer"),  # type: ignore[arg-type]
        learning_rate=pick("learning_rate"),  # type: ignore[arg-type]
        momentum=pick("momentum"),  # type: ignore[arg-type]
        weight_decay=pick("weight_decay") or 0.0,  # type: ignore[arg-type]
        clipping=pick("clipping"),  # type: ignore[arg-type]
    )


def _on(graph: Graph, device: torch.device) -> Graph:
    moved = {
        name: Parameter(given.value.to(device), given.law, given.trainable, given.origin)
        for name, given in graph.parameters.items()
    }
    return graph.replace(parameters=moved)
