"""What the owner takes away: a patch per remedy, and the treated model in the format in which it came.

An ONNX file keeps its names, metadata and opset.  What was changed stands in `metadata_props` under keys that start
with `gradgate.`: the version of this service, the uploaded file's SHA-256, the treatments, and each change as a
sentence; and in `doc_string`.  A JSON document keeps its fields in their order; nothing but the change is added.
"""

import json
from collections.abc import Iterator, Sequence
from operator import is_
from typing import Final, NamedTuple

import structlog
from onnx import ModelProto

from service import __version__
from service.contract.report import Remedy
from service.contract.words import RemedyStatus
from worker.budget import Deadline
from worker.load.precision import is_widened
from worker.load.subject import Loaded
from worker.network.export import LARGEST, fits, size, to_onnx
from worker.network.graph import Graph
from worker.patch import Patch, Unsaid, dialects, patch
from worker.treatments import Change, treatments
from worker.trial import Examined, applied_to

log = structlog.get_logger(__name__)

KEY: Final = "gradgate."
EARLIER: Final = "gradgate.before."
"""What is put before the keys of a file that was treated before."""
_GIB: Final = 2**30
_MOST_WEIGHTS: Final = 5_000_000
_MOST_NODES: Final = 1000
"""Sizes up to which a patch takes a fraction of a second."""


class Treated(NamedTuple):
    """The treated model, or why there is none."""

    model: bytes | None
    notes: tuple[str, ...] = ()


def treated_model(loaded: Loaded, change: Change, names: Sequence[str]) -> Treated:
    """Return the model with the prescribed changes in the format in which it came; an ONNX file lists them.

    None where the changes are not the file's to make (a learning rate in ONNX), or where one file cannot hold them.
    """
    try:
        return _treated(loaded, change, names)
    except Exception as error:  # a report is not lost over a file
        log.exception("a treated model could not be written")
        fault = f"A fault of ours keeps a treated model from being handed back ({type(error).__name__})."
        return Treated(None, (fault,))


def _treated(loaded: Loaded, change: Change, names: Sequence[str]) -> Treated:
    if loaded.document is not None:
        return _document(loaded, change)
    graph = change.subject.graph
    if _same(graph, loaded.subject.graph):
        return Treated(None)
    if not fits(graph):
        return Treated(None, _too_large(graph))
    model = to_onnx(graph.replace(outputs=loaded.graph.outputs))
    _label(model, dict(_said(loaded, change, names)), change.changes)
    return Treated(bytes(model.SerializeToString()))


def patched(loaded: Loaded, before: Examined, remedies: Sequence[Remedy], deadline: Deadline) -> tuple[Remedy, ...]:
    """Return the remedies with a patch of the uploaded JSON each, or the reason why there is none.

    However late it is, what is recommended gets one, and so do networks for which that takes no time.
    """
    if loaded.document is None:
        return tuple(remedies)
    return tuple(_patched(loaded, before, remedy, deadline) if remedy.changes else remedy for remedy in remedies)


def _patched(loaded: Loaded, before: Examined, remedy: Remedy, deadline: Deadline) -> Remedy:
    late = deadline.passed and remedy.status is not RemedyStatus.RECOMMENDED and _heavy(loaded.graph)
    made = Unsaid("There was no time left to write a patch.") if late else _tried(loaded, before, remedy)
    if isinstance(made, Unsaid):
        return remedy.model_copy(update={"patch_note": made.reason})
    return remedy.model_copy(update={"patch": made.operations, "patch_note": made.note})


def _heavy(graph: Graph) -> bool:
    """Whether a patch takes longer than a moment: weights are drawn, and nodes compared."""
    weights = sum(each.value.numel() for each in graph.parameters.values())
    return weights > _MOST_WEIGHTS or len(graph.nodes) > _MOST_NODES


def _tried(loaded: Loaded, before: Examined, remedy: Remedy) -> Patch | Unsaid:
    change = applied_to((treatments[remedy.treatment],), before.subjects[0], before.evidences[0])
    return _patch(loaded, change) if isinstance(change, Change) else Unsaid(change.reason)


def _patch(loaded: Loaded, change: Change) -> Patch | Unsaid:
    dialect = dialects[loaded.format]
    return patch(loaded.document, dialect, loaded.graph, loaded.subject, change.subject)


def _document(loaded: Loaded, change: Change) -> Treated:
    made = _patch(loaded, change)
    if isinstance(made, Unsaid):
        return Treated(None, (f"A treated model is not handed back.  {made.reason}",))
    text = json.dumps(made.document, indent=2, ensure_ascii=False)
    return Treated(f"{text}\n".encode(), (made.note,) if made.note else ())


def _too_large(graph: Graph) -> tuple[str, ...]:
    """Say why no treated model can be handed back, where it is too large for one file."""
    held, most = size(graph) / _GIB, LARGEST / _GIB
    said = (
        f"A treated model is not handed back: its numbers take {held:.1f} GiB, and one ONNX file holds {most:.0f} GiB."
    )
    return (f"{said}  The remedies say what to change.",)


def _said(loaded: Loaded, change: Change, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield f"{KEY}version", __version__
    yield f"{KEY}model.sha256", loaded.sha256
    yield f"{KEY}treatments", ",".join(names)
    for number, sentence in enumerate(change.changes, 1):
        yield f"{KEY}change.{number}", sentence
    if is_widened(loaded.graph):
        yield f"{KEY}precision", "float32: the uploaded file computes in another precision."


def _label(model: ModelProto, said: dict[str, str], changes: Sequence[str]) -> None:
    for entry in model.metadata_props:
        if entry.key.startswith(KEY):
            entry.key = EARLIER + entry.key.removeprefix(KEY)
    for key, value in said.items():
        model.metadata_props.add(key=key, value=value)
    sentence = f"Changed by Gradgate {__version__}: {' '.join(changes)}"
    model.doc_string = f"{model.doc_string}\n\n{sentence}" if model.doc_string else sentence


def _same(graph: Graph, before: Graph) -> bool:
    """Whether a treatment left every node and every parameter alone."""
    nodes = len(graph.nodes) == len(before.nodes) and all(map(is_, graph.nodes, before.nodes))
    return nodes and all(before.parameters.get(name) is each for name, each in graph.parameters.items())
