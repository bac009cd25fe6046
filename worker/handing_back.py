"""The treated model, in the format in which it came."""

from operator import is_

from worker.load.subject import Loaded
from worker.network.export import fits, to_onnx
from worker.network.graph import Graph
from worker.treatments import Change


def treated_model(loaded: Loaded, change: Change) -> bytes | None:
    """Return the model with the prescribed changes as ONNX, which lists them in its metadata.

    None where the model came as JSON, where the changes are not the model's (a learning rate, clipping), or where its
    weights do not fit one file.
    """
    graph = change.subject.graph
    if loaded.format != "onnx" or _same(graph, loaded.subject.graph) or not fits(graph):
        return None
    model = to_onnx(graph.replace(outputs=loaded.graph.outputs))
    for number, sentence in enumerate(change.changes, 1):
        model.metadata_props.add(key=f"gradgate.change.{number}", value=sentence)
    return bytes(model.SerializeToString())


def _same(graph: Graph, before: Graph) -> bool:
    """Whether a treatment left every node and every parameter alone."""
    nodes = len(graph.nodes) == len(before.nodes) and all(map(is_, graph.nodes, before.nodes))
    return nodes and all(before.parameters.get(name) is each for name, each in graph.parameters.items())
