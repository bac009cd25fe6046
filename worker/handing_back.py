"""The treated model, in the format in which it came.

It keeps the file's names, metadata and opset.  What was changed stands in `metadata_props` under keys that start with
`gradgate.`: the version of this service, the uploaded file's SHA-256, the treatments, and each change as a sentence;
and in `doc_string`.
"""

from collections.abc import Iterator, Sequence
from operator import is_
from typing import Final

from onnx import ModelProto

from service import __version__
from worker.load.precision import is_widened
from worker.load.subject import Loaded
from worker.network.export import LARGEST, fits, size, to_onnx
from worker.network.graph import Graph
from worker.treatments import Change

KEY: Final = "gradgate."
EARLIER: Final = "gradgate.before."
"""What is put before the keys of a file that was treated before."""
_GIB: Final = 2**30


def treated_model(loaded: Loaded, change: Change, treatments: Sequence[str]) -> bytes | None:
    """Return the model with the prescribed changes as ONNX, which lists them in its metadata.

    None where the model came as JSON, where the changes are not the model's (a learning rate, clipping), or where its
    weights do not fit one file.
    """
    graph = change.subject.graph
    if loaded.format != "onnx" or _same(graph, loaded.subject.graph) or not fits(graph):
        return None
    model = to_onnx(graph.replace(outputs=loaded.graph.outputs))
    _label(model, dict(_said(loaded, change, treatments)), change.changes)
    return bytes(model.SerializeToString())


def withheld(loaded: Loaded) -> tuple[str, ...]:
    """Return why no treated model can be handed back, where it is too large for one file."""
    if loaded.format != "onnx" or fits(loaded.graph):
        return ()
    held, most = size(loaded.graph) / _GIB, LARGEST / _GIB
    said = (
        f"A treated model is not handed back: its numbers take {held:.1f} GiB, and one ONNX file holds {most:.0f} GiB."
    )
    return (f"{said}  The remedies say what to change.",)


def _said(loaded: Loaded, change: Change, treatments: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield f"{KEY}version", __version__
    yield f"{KEY}model.sha256", loaded.sha256
    yield f"{KEY}treatments", ",".join(treatments)
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
