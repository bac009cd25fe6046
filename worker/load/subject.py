"""Uploads to a subject: whatever format the model and the batch came in."""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from service.contract.architecture import Architecture
from service.contract.options import Options
from service.contract.problem import BatchMismatch
from service.contract.words import Mode
from service.descriptions import Description, parse
from service.keras.compiling import Training
from worker.budget import pass_seconds
from worker.head import choose
from worker.load import architecture, keras_model, onnx
from worker.load import batch as batches
from worker.load.classical import unmapped
from worker.load.rebatch import FREED, rebatchable
from worker.load.widening import widened
from worker.network.export import fits, to_onnx
from worker.network.flow import flow
from worker.network.graph import Graph
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
    document: Any | None = None
    """The uploaded JSON, where the model came as JSON."""


def load(
    model: Path, batch: Path | None, options: Options, external: Mapping[str, Path], device: torch.device
) -> Loaded:
    """Return the subject of two uploads.  Unfit where they cannot be read or do not fit each other."""
    graph, declared = _model(model, options, external)
    graph, samples = _with_batch(graph, batch, options, fixed=declared is None)
    graph, samples = _on(graph, device), samples.to(device)
    values = _values(graph, samples, options)
    outputs = {name: values[name] for name in graph.outputs}
    output = _chosen(graph, outputs, options)
    subject = _subject(graph, samples, outputs[output], output, options, declared)
    document = None if declared is None else json.loads(model.read_bytes().decode("utf-8-sig"))
    return Loaded(
        subject=subject.replace(pass_s=pass_seconds(graph, values), widened=_widened(declared, document, options)),
        graph=graph,
        format=_format(declared),
        sha256=_sha256(model),
        onnx=_for_reference(model, graph, written=declared is None and not external),
        seeds=options.seeds or (1 if declared is None else _REDRAWS),
        outputs=outputs,
        notes=(*graph.notes, *_said(output, graph, options)),
        document=document,
    )


def _widened(
    declared: Description | None,
    document: Mapping[str, Any] | None,
    options: Options,
) -> Callable[[int], Graph | None] | None:
    """Return what draws a network of the project's own description at other widths; None of other models."""
    if document is None or not isinstance(declared, Architecture):
        return None
    return partial(widened, document, seed=options.seed)


def _format(declared: Description | None) -> Format:
    if declared is None:
        return "onnx"
    return "gradgate" if isinstance(declared, Architecture) else "keras"


def _training(declared: Description) -> Architecture | Training:
    """Return what the file says of training."""
    return declared if isinstance(declared, Architecture) else declared.training


def _with_batch(graph: Graph, batch: Path | None, options: Options, *, fixed: bool) -> tuple[Graph, Batch]:
    """Return the batch, and the graph, freed of a size that its file fixes where the batch has another."""
    if batch is None:
        graph = rebatchable(graph) if fixed and _small(graph) else graph
        return graph, batches.read(None, graph, seed=options.seed)
    given, sha256 = batches.opened(batch)
    graph = batches.ranked(given, graph)
    graph = rebatchable(graph, batches.shapes(given, graph)) if fixed else graph
    return graph, batches.fit(given, sha256, graph)


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


def _model(path: Path, options: Options, external: Mapping[str, Path]) -> tuple[Graph, Description | None]:
    with path.open("rb") as file:
        start = file.read(512).removeprefix(b"\xef\xbb\xbf").lstrip()
    if start[:1] != b"{":
        return onnx.read(path, external), None
    described = parse(path.read_bytes())
    if isinstance(described, Architecture):
        return architecture.lower(described, seed=options.seed), described
    return keras_model.lower(described, seed=options.seed), described


def _values(graph: Graph, batch: Batch, options: Options) -> Mapping[str, Tensor]:
    generator = torch.Generator(batch.device).manual_seed(options.seed)
    with torch.no_grad():
        training = options.mode is Mode.TRAIN
        return Program(graph, batch.device).trace(batch.inputs, training=training, generator=generator).values


def _chosen(graph: Graph, outputs: Mapping[str, Tensor], options: Options) -> str:
    """Return the output that the loss reads: the caller's choice, or the first float one that a parameter moves."""
    output = options.output or _default_output(graph, outputs)
    if output not in graph.outputs:
        msg = f"The model has no output {output!r}; its outputs are {', '.join(map(repr, graph.outputs))}."
        raise BatchMismatch(msg)
    if not outputs[output].is_floating_point():
        kind = outputs[output].dtype
        msg = f"The loss needs a float output; {output!r} holds {kind}. Choose another with options.output."
        raise BatchMismatch(msg)
    return output


def _subject(  # noqa: PLR0917  all that was loaded
    graph: Graph, batch: Batch, sample: Tensor, output: str, options: Options, declared: Description | None
) -> Subject:
    name = (
        options.loss if "loss" in options.model_fields_set else (declared and _training(declared).loss) or options.loss
    )
    head = choose(graph, sample, batch.target, name, output=output, seed=options.seed)
    return Subject(
        graph=graph.replace(outputs=(head.output,)),
        batch=replace(batch, target=head.target, drawn_target=batch.target is None),
        loss=head.loss,
        settings=_settings(options, declared),
        output=head.output,
        declared_loss=head.declared,
        mode=options.mode,
        seed=options.seed,
    )


def _said(output: str, graph: Graph, options: Options) -> Iterator[str]:
    """Yield which of several outputs the loss reads, where the caller did not say."""
    if options.output is None and len(graph.outputs) > 1:
        others = ", ".join(repr(name) for name in graph.outputs if name != output)
        yield f"The loss reads the output {output!r}; another ({others}) can be chosen with options.output."


def _default_output(graph: Graph, outputs: Mapping[str, Tensor]) -> str:
    """Return the first float output that a gradient passes from to a parameter; else the first of floats, else any."""
    real = [name for name in graph.outputs if outputs[name].is_floating_point()]
    reached = flow(graph, graph.parameters).reached if len(real) > 1 else frozenset()
    return next((name for name in real if name in reached), next(iter(real), graph.outputs[0]))


def _settings(options: Options, declared: Description | None) -> Settings:
    """Take each setting from the options, else from the model's file."""
    given = options.model_fields_set

    def pick(name: str) -> object:
        own = getattr(options, name)
        return own if name in given or declared is None else getattr(_training(declared), name)

    return Settings(
        optimizer=pick("optimizer"),  # type: ignore[arg-type]
        learning_rate=pick("learning_rate"),  # type: ignore[arg-type]
        momentum=pick("momentum"),  # type: ignore[arg-type]
        weight_decay=pick("weight_decay") or 0.0,  # type: ignore[arg-type]
        clipping=pick("clipping"),  # type: ignore[arg-type]
        warmup=(declared and _training(declared).warmup) or 0,
        precision=options.precision,
    )


def _on(graph: Graph, device: torch.device) -> Graph:
    moved = {name: replace(given, value=given.value.to(device)) for name, given in graph.parameters.items()}
    return graph.replace(parameters=moved)
