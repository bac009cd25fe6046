"""The treated model, in the format in which it came."""

from worker.load.subject import Loaded
from worker.network.export import fits, to_onnx
from worker.trial import Tried


def treated_model(loaded: Loaded, chosen: Tried) -> bytes | None:
    """Return the model with the prescribed changes as ONNX, which lists them in its metadata.

    None where the model came as JSON, where the changes are not the model's (a learning rate, clipping), or where its
    weights do not fit one file.
    """
    graph = chosen.after.subjects[0].graph
    before = loaded.subject.graph
    same = graph.nodes == before.nodes and graph.parameters.items() == before.parameters.items()
    if loaded.format != "onnx" or same or not fits(graph):
        return None
    model = to_onnx(graph.replace(outputs=loaded.graph.outputs))
    for number, change in enumerate(chosen.changes, 1):
        model.metadata_props.add(key=f"gradgate.change.{number}", value=change)
    return bytes(model.SerializeToString())
