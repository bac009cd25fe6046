"""A graph that is read and written again is a valid file that computes the same, whatever operator it holds."""

import warnings
from collections.abc import Iterator

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

from worker.load.numbers import error, number_of
from worker.network import proto
from worker.network.export import to_onnx
from worker.network.model import interpret
from worker.network.run import Program

FAMILIES = (
    "add", "attention_3d", "averagepool_2d", "batchnorm", "cast_FLOAT", "clip", "concat", "constantofshape", "conv",
    "cumsum", "dequantizelinear", "dynamicquantizelinear", "einsum", "expand", "gather", "gelu", "gemm", "gridsample",
    "group_normalization", "gru", "identity", "if", "instancenorm", "layer_normalization", "logsoftmax", "loop", "lstm",
    "matmul", "maxpool_2d", "nonmaxsuppression", "onehot", "optional", "constant_pad", "prelu", "qlinearconv", "range",
    "reduce_sum", "reshape", "resize_upsample", "rms_normalization", "scan", "scatter", "sequence", "shape", "slice",
    "softmax", "split", "squeeze", "stft", "string", "swish", "tile", "top_k", "transpose", "unsqueeze", "where",
)  # fmt: skip


def _cases() -> Iterator[object]:
    """Yield a few of onnx's own cases of every family."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        every = {case.name: case for case in load_model_tests(kind="node") if case.model is not None}
    for family in FAMILIES:
        names = sorted(name for name in every if name.startswith(f"test_{family}"))
        assert names, f"onnx has no case of {family}"
        yield from (pytest.param(every[name], id=name) for name in names[:: max(1, len(names) // 3)])


@pytest.mark.parametrize("case", list(_cases()))
def test_what_is_written_is_valid_and_computes_the_same(case: object) -> None:
    model: onnx.ModelProto = case.model  # type: ignore[attr-defined]
    graph = interpret(model)
    written = to_onnx(graph)
    onnx.checker.check_model(written, full_check=True)
    assert [each.name for each in written.graph.input] == [each.name for each in graph.inputs]
    assert [each.name for each in written.graph.output] == [each.name for each in model.graph.output]
    given = case.data_sets[0][0]  # type: ignore[attr-defined]
    inputs = {each.name: _tensor(value) for each, value in zip(graph.inputs, given, strict=False)}
    if any(not isinstance(value, torch.Tensor) for value in inputs.values()):
        return
    with torch.no_grad():
        first = Program(graph).run(inputs, training=None)
        again = Program(interpret(onnx.load_from_string(written.SerializeToString()))).run(inputs, training=None)
    for name, value in first.items():
        ours = number_of(value)
        if ours is not None:
            assert error(number_of(again[name]), ours) == 0  # type: ignore[arg-type]


def _tensor(value: object) -> object:
    """Return an array as a tensor; whatever else there is as it is."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
        return value
    return proto.tensor(numpy_helper.from_array(value))
