"""The comparison with onnxruntime: it finds what differs, and whatever happens over there ends in a note."""

import os
import signal
import time

import numpy as np
import pytest
import torch
from torch import Tensor

from service.contract.problem import UnfaithfulImport
from worker.load.apart import apart
from worker.load.fidelity import compare
from worker.load.numbers import LIMIT, error
from worker.network.export import to_onnx
from worker.network.graph import Graph, Input, Node, Parameter


def dense(weight: Tensor) -> Graph:
    node = Node("Gemm", ("x", "w"), ("y",), name="dense")
    return Graph((node,), (Input("x", torch.float32, ("batch", 3)),), ("y",), {"w": Parameter(weight)})


WEIGHT = torch.arange(12.0).reshape(3, 4) + 1
X = {"x": torch.ones(2, 3)}


def test_a_right_graph_agrees() -> None:
    graph = dense(WEIGHT)
    found = compare(to_onnx(graph).SerializeToString(), graph, X)
    assert found.ok
    assert found.compared == 1
    assert found.max_relative_error == pytest.approx(0, abs=1e-6)
    assert found.reference.startswith("onnxruntime ")


def test_a_file_that_is_read_wrongly_is_no_report_but_a_problem() -> None:
    """Rows of the weight sum to 15, 18, 21 and 24; a tenth more is a tenth of the largest."""
    with pytest.raises(UnfaithfulImport, match=r"'y' differs .* by 0\.1 .*limit is 0\.0001.*'dense' \(Gemm\)"):
        compare(to_onnx(dense(WEIGHT)).SerializeToString(), dense(WEIGHT * 1.1), X)


def test_a_file_that_onnxruntime_refuses_is_written_again_and_compared() -> None:
    found = compare(b"no model", dense(WEIGHT), X)
    assert (found.ok, found.compared) == (True, 1)
    assert "written out again" in found.notes[0]


def test_a_model_that_onnxruntime_refuses_altogether_is_a_note() -> None:
    graph = dense(WEIGHT).replace(nodes=(Node("Swish", ("x",), ("y",), name="s"),), opsets={"": 26})
    found = compare(to_onnx(graph).SerializeToString(), graph, X)
    assert (found.ok, found.compared, found.max_relative_error) == (False, 0, None)
    assert "could not run" in found.notes[0]


def test_a_file_that_is_newer_than_onnxruntime_is_written_again_and_compared() -> None:
    graph = dense(WEIGHT)
    newer = to_onnx(graph)
    newer.ir_version = 99
    found = compare(newer.SerializeToString(), graph, X)
    assert found.ok
    assert "written out again" in found.notes[0]


def test_a_file_in_training_mode_is_compared_in_its_form_for_evaluation() -> None:
    names = ("scale", "bias", "mean", "var")
    outputs = ("y", "running_mean", "running_var")
    node = Node("BatchNormalization", ("x", *names), outputs, name="n", attributes={"training_mode": 1})
    held = {name: torch.tensor([1.0, 2.0, 3.0]) for name in names}
    graph = Graph((node,), (Input("x", torch.float32, ("batch", 3)),), ("y",), {}, held)
    found = compare(to_onnx(graph).SerializeToString(), graph, {"x": torch.randn(4, 3)})
    assert found.ok
    assert "training mode" in found.notes[0]


def test_an_input_that_does_not_fit_is_a_note() -> None:
    graph = dense(WEIGHT)
    found = compare(to_onnx(graph).SerializeToString(), graph, {"x": torch.ones(2, 5)})
    assert found.compared == 0
    assert found.notes


def test_a_process_that_dies_is_a_sentence() -> None:
    assert apart(lambda: os.kill(os.getpid(), signal.SIGKILL), 5) == "its process died (signal 9)."


def test_a_process_that_hangs_is_ended_and_is_a_sentence() -> None:
    assert apart(lambda: time.sleep(60) or {}, 0.2) == "it took longer than 0.2 s."


def test_a_process_that_wants_too_much_memory_is_a_sentence() -> None:
    said = apart(lambda: {"a": np.ones(2**28)}, 30, memory=2**28)
    assert said == "it takes more than 256 MiB of memory."


def test_a_process_does_not_hang_after_torch_has_used_its_threads() -> None:
    """A fork in a process with torch's thread pool deadlocks if the child calls torch; ours does not."""
    weight = torch.randn(300, 300, requires_grad=True)
    (weight @ weight).sum().backward()
    for _ in range(20):
        assert compare(to_onnx(dense(WEIGHT)).SerializeToString(), dense(WEIGHT), X, limit_s=30).ok


def test_large_results_come_through_the_pipe_whole() -> None:
    sent = {"a": np.arange(1_000_000.0), "b": np.zeros((0, 3))}
    received = apart(lambda: sent, 30)
    assert isinstance(received, dict)
    assert all(np.array_equal(received[name], value) for name, value in sent.items())


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ([1.0, 2.0], [1.0, 2.5], 0.2),
        ([np.nan, 1.0], [np.nan, 1.0], 0),
        ([np.inf, 1.0], [np.inf, 1.0], 0),
        ([np.inf, 1.0], [-np.inf, 1.0], np.inf),
        ([np.nan, 1.0], [2.0, 1.0], np.inf),
        ([1.0], [1.0, 1.0], np.inf),
        ([0.0], [0.0], 0),
        ([3, 4], [3, 4], 0),
        ([3, 4], [3, 6], 2),
        ([True, False], [True, True], 1),
        ([1, 2], [1.0, 2.0], np.inf),
    ],
)
def test_the_error_is_relative_to_the_largest_and_counts_where_numbers_are_not_finite(
    ours: list[float], theirs: list[float], expected: float
) -> None:
    assert error(np.array(ours), np.array(theirs)) == pytest.approx(expected)


def test_the_limit_is_far_from_rounding_and_from_wrong_operators() -> None:
    assert 1e-6 < LIMIT < 1e-2


def test_a_network_that_memory_cannot_write_again_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    """protobuf ends the process where it finds no memory, so it is not asked to try."""
    graph = dense(WEIGHT)
    monkeypatch.setattr("worker.network.export.left", lambda: 3 * WEIGHT.numel() * WEIGHT.element_size() - 1)
    found = compare(b"no model", graph, X)
    assert (found.ok, found.compared) == (False, 0)
    assert "fit no ONNX file, or memory not the writing of it" in found.notes[0]
