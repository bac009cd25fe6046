"""Our forward pass against onnxruntime's, which runs in a process of its own: it may crash there, or hang."""

import io
import os
import select
import signal
import struct
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor

from service.contract.problem import Trouble
from service.contract.report import Fidelity
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
GRACE_S = 0.5
"""How long a child may take to go once its pipe is closed."""

Array = NDArray[np.generic]


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


def apart(work: Callable[[], dict[str, Array]], limit_s: float) -> dict[str, Array] | str:
    """Return what `work` gives in a forked process, or a sentence that says how it ended.

    The child sends arrays through a pipe and leaves at once: it runs no cleanup, and no torch.
    """
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the child calls no torch, and leaves by os._exit
        child = os.fork()
    if not child:
        os.close(reader)
        _deliver(work, writer)
    os.close(writer)
    try:
        raw = _received(reader, limit_s)
    finally:
        os.close(reader)
        ended = _ended(child)
    if raw is None:
        return f"it took longer than {limit_s:g} s."
    return _unpacked(raw, ended)


def _deliver(work: Callable[[], dict[str, Array]], writer: int) -> None:
    """Write the result, or the reason why there is none, and end the process."""
    try:
        with os.fdopen(writer, "wb") as pipe:
            try:
                packed = b"A" + _packed(work())
            except BaseException as trouble:  # noqa: BLE001  whatever it is, the parent reports it
                packed = b"E" + str(trouble).encode(errors="replace")[:500]
            pipe.write(struct.pack("<Q", len(packed)) + packed)
    finally:
        os._exit(0)


def _packed(arrays: Mapping[str, Array]) -> bytes:
    buffer = io.BytesIO()
    for name, value in arrays.items():
        raw = name.encode()
        buffer.write(struct.pack("<I", len(raw)) + raw)
        np.save(buffer, value, allow_pickle=False)
    return buffer.getvalue()


def _unpacked(raw: bytes, ended: int) -> dict[str, Array] | str:
    header = struct.calcsize("<Q")
    if len(raw) < header or len(raw) - header != struct.unpack("<Q", raw[:header])[0]:
        how = f"signal {os.WTERMSIG(ended)}" if os.WIFSIGNALED(ended) else f"status {ended}"
        return f"its process died ({how})."
    kind, body = raw[header : header + 1], raw[header + 1 :]
    if kind == b"E":
        return body.decode(errors="replace")
    buffer, arrays = io.BytesIO(body), {}
    while size := buffer.read(4):
        name = buffer.read(struct.unpack("<I", size)[0]).decode()
        arrays[name] = np.load(buffer, allow_pickle=False)
    return arrays


def _received(reader: int, limit_s: float) -> bytes | None:
    """Return everything that comes through the pipe until it closes; None where that takes too long."""
    end = time.monotonic() + limit_s
    parts: list[bytes] = []
    while (left := end - time.monotonic()) > 0:
        if select.select([reader], [], [], left)[0]:
            part = os.read(reader, 1 << 20)
            if not part:
                return b"".join(parts)
            parts.append(part)
    return None


def _ended(child: int) -> int:
    """Return the wait status of a child that has closed its pipe, or is late: either way it is over."""
    end = time.monotonic() + GRACE_S
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.001)
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]
