"""Independent runtimes on a model, each in a process of its own: onnxruntime, and onnx's reference evaluator."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

from worker.load.apart import Array, apart

Source: TypeAlias = bytes | Path

NAME = f"onnxruntime {onnxruntime.__version__}"
QUIET = 4
"""onnxruntime's level for fatal messages only."""
_NUMBERS = "fiub"
_HALF = {"tensor(float16)": np.float16, "tensor(double)": np.float64, "tensor(float)": np.float32}


def computed(
    model: Source, inputs: Mapping[str, Array], wanted: Sequence[str], limit_s: float, *, plain: bool = False
) -> dict[str, Array] | str:
    """Return values of a model by name, outputs or not, as onnxruntime has them; a sentence where it has none.

    `plain` leaves every node as it stands: nothing is fused, folded or exchanged.  Values that are no tensors of
    numbers or text are left out.
    """
    return apart(lambda: _computed(model, inputs, wanted, plain=plain), limit_s)


def specified(
    model: bytes, inputs: Mapping[str, Array], wanted: Sequence[str], limit_s: float
) -> dict[str, Array] | str:
    """Return outputs as onnx's own reference has them; a sentence where it has none."""
    return apart(lambda: _named(wanted, _evaluated(model, inputs)), limit_s)


def _evaluated(model: bytes, inputs: Mapping[str, Array]) -> list[object]:
    return list(ReferenceEvaluator(onnx.load_from_string(model)).run(None, dict(inputs)))


def _computed(model: Source, inputs: Mapping[str, Array], wanted: Sequence[str], *, plain: bool) -> dict[str, Array]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = QUIET
    options.enable_cpu_mem_arena = False
    if plain:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        model = _showing(model, wanted)
    source = model if isinstance(model, bytes) else str(model)
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    kinds = {each.name: each.type for each in session.get_inputs()}
    fed = {name: _as_asked(value, kinds[name]) for name, value in inputs.items() if name in kinds}
    there = [name for name in wanted if name in {each.name for each in session.get_outputs()}]
    return _named(there, session.run(there, fed))


def _showing(model: Source, wanted: Sequence[str]) -> bytes:
    """Return the model with values among its outputs."""
    shown = onnx.ModelProto()
    shown.ParseFromString(model if isinstance(model, bytes) else model.read_bytes())
    written = {name for node in shown.graph.node for name in node.output}
    fresh = (written & set(wanted)) - {each.name for each in shown.graph.output}
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(fresh))
    return bytes(shown.SerializeToString())


def _as_asked(value: Array, kind: str) -> Array:
    """Return an input in the file's own precision, which ours may exceed."""
    return value.astype(_HALF[kind]) if kind in _HALF and value.dtype.kind == "f" else value


def _named(names: Sequence[str], values: Sequence[object]) -> dict[str, Array]:
    return dict(_plain(names, values))


def _plain(names: Sequence[str], values: Sequence[object]) -> Iterator[tuple[str, Array]]:
    """Yield the tensors, in types that go through a pipe."""
    for name, value in zip(names, values, strict=True):
        if not isinstance(value, np.ndarray | np.generic):
            continue
        held = np.asarray(value)
        if held.dtype.kind in _NUMBERS:
            yield name, held
        elif held.dtype.kind in "OU":
            yield name, held.astype(str)
        elif held.dtype.name == "bfloat16":
            yield name, held.astype(np.float32)
