"""Our forward pass against onnxruntime's, which runs in a process of its own: it may crash there, or hang."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from service.contract.problem import Trouble
from service.contract.report import Fidelity
from worker.load.apart import Array, apart
from worker.network.export import to_onnx
from worker.network.graph import Graph, Node, names
from worker.network.run import Program

LIMIT = 1e-4
"""Largest relative error that passes.

Two float32 runtimes sum in different orders: over networks exported from torch the largest error seen is 1e-6, and
grows with depth.  An operator that is computed wrongly differs by 1e-2 and more.
"""
HALF_LIMIT = 2e-2
"""The same for a file in float16, which has three digits; ours computes in float32."""
TINY = 1e-12
REFERENCE = f"onnxruntime {onnxruntime.__version__}"
QUIET = 4
"""onnxruntime's level for fatal messages only."""
TRAINS = "The file is in training mode: what was compared is its form for evaluation."
OUTWARD = ("IR version", "External")
"""Words of onnxruntime's that say it is not the network that it refuses: the file is newer, or in parts."""
REWRITTEN = "onnxruntime does not take the file as it is; the same graph, written out again, was compared."


class Written(bytes):
    """A model that was written out from a graph."""


def compare(model: bytes | Path, graph: Graph, inputs: Mapping[str, Tensor], *, limit_s: float = 20) -> Fidelity:
    """Return how far our outputs are from onnxruntime's on `inputs`, in evaluation mode.

    Whatever goes wrong on the way is a note in the result, never an exception.
    """
    try:
        return _compared(model, graph, inputs, limit_s)
    except Trouble as trouble:
        return _uncompared(trouble.detail)
    except (ValueError, TypeError, RuntimeError, AttributeError, OSError) as error:  # such as a graph above 2 GiB
        return _uncompared(f"The outputs could not be compared: {error}")


def _compared(model: bytes | Path, graph: Graph, inputs: Mapping[str, Tensor], limit_s: float) -> Fidelity:
    if any(map(_trains, graph.nodes)):
        evaluated = graph.replace(nodes=tuple(map(_evaluating, graph.nodes)))
        written = Written(to_onnx(evaluated).SerializeToString())
        return _with_note(_compared(written, evaluated, inputs, limit_s), TRAINS)
    fed = {name: value.detach().cpu().numpy() for name, value in inputs.items() if value.dtype != torch.bfloat16}
    theirs = apart(lambda: _reference(model, fed, graph.outputs), limit_s)
    if isinstance(theirs, str) and any(word in theirs for word in OUTWARD) and not isinstance(model, Written):
        written = Written(to_onnx(graph).SerializeToString())
        return _with_note(_compared(written, graph, inputs, limit_s), REWRITTEN)
    if isinstance(theirs, str):
        return _uncompared(f"onnxruntime could not run the model: {theirs}")
    with torch.no_grad():
        ours = Program(graph).run({name: value.detach().cpu() for name, value in inputs.items()})
    return _judged(ours, theirs, graph)


def _judged(ours: Mapping[str, Tensor], theirs: Mapping[str, Array], graph: Graph) -> Fidelity:
    errors = {name: error(ours[name].numpy(), theirs[name]) for name in graph.outputs if _float(theirs.get(name))}
    if not errors:
        return _uncompared("The model has no float output.")
    worst = max(errors, key=lambda name: errors[name])
    limit = HALF_LIMIT if theirs[worst].dtype == np.float16 else LIMIT
    notes = (f"The output {worst!r} differs.",) if errors[worst] > limit else ()
    return Fidelity(
        reference=REFERENCE,
        max_relative_error=errors[worst],
        compared=len(errors),
        ok=errors[worst] <= limit,
        notes=notes,
    )


def _trains(node: Node) -> bool:
    """Whether the file asks for training at a node, whatever the mode of the run."""
    if node.op == "Dropout":
        return len(names(node.inputs)) > 2  # noqa: PLR2004  the third input is training_mode
    if node.op != "BatchNormalization":
        return False
    return bool(node.attributes.get("training_mode")) or len(names(node.outputs)) > 1


def _evaluating(node: Node) -> Node:
    """Return a node that computes as in evaluation."""
    if not _trains(node):
        return node
    kept = {name: value for name, value in node.attributes.items() if name != "training_mode"}
    if node.op == "Dropout":
        return replace(node, inputs=node.inputs[:2], attributes=kept)
    return replace(node, outputs=node.outputs[:1], attributes=kept)


def error(ours: Array, theirs: Array) -> float:
    """Return the largest difference, relative to the largest magnitude.

    It is infinite where shapes differ, or where one is finite and the other is not.
    """
    if ours.shape != theirs.shape:
        return float("inf")
    mine, other = ours.astype(np.float64), theirs.astype(np.float64)
    finite = np.isfinite(other)
    if not np.array_equal(finite, np.isfinite(mine)) or not np.array_equal(
        mine[~finite], other[~finite], equal_nan=True
    ):
        return float("inf")
    if not finite.any():
        return 0.0
    return float(np.abs(mine[finite] - other[finite]).max() / max(np.abs(other[finite]).max(), TINY))


def _with_note(found: Fidelity, note: str) -> Fidelity:
    return found.model_copy(update={"notes": (note, *found.notes)})


def _float(value: Array | None) -> bool:
    return value is not None and np.issubdtype(value.dtype, np.floating)


def _uncompared(why: str) -> Fidelity:
    return Fidelity(reference=REFERENCE, max_relative_error=None, compared=0, ok=False, notes=(why,))


def _reference(model: bytes | Path, inputs: Mapping[str, Array], outputs: tuple[str, ...]) -> dict[str, Array]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = QUIET
    source = model if isinstance(model, bytes) else str(model)
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    kinds = {each.name: each.type for each in session.get_inputs()}
    fed = {name: _as_asked(value, kinds[name]) for name, value in inputs.items() if name in kinds}
    return dict(zip(outputs, session.run(list(outputs), fed), strict=True))


def _as_asked(value: Array, kind: str) -> Array:
    """Return an input in the file's own precision, which ours may exceed."""
    return value.astype(np.float16) if kind == "tensor(float16)" else value
