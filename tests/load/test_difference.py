"""What the comparison makes of outputs that differ: an operator at fault is named, and nothing else is blamed."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper
from torch import Tensor

from service.contract.options import Options
from service.contract.problem import UnfaithfulImport
from worker.examine import examine
from worker.load import fidelity, judging, reference
from worker.load.apart import apart
from worker.load.fidelity import compare
from worker.load.onnx import interpret
from worker.load.precision import widened
from worker.network import run
from worker.network.export import to_onnx
from worker.network.graph import Graph, Input, Node

FLOAT = TensorProto.FLOAT
Wrong = Callable[[str, Callable[..., Tensor]], None]
GENERATOR = np.random.default_rng(0)
X = {"x": torch.from_numpy(GENERATOR.standard_normal((4, 8)).astype(np.float32))}


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> Wrong:
    """Return a function that has an operator computed otherwise."""

    def patch(name: str, function: Callable[..., Tensor]) -> None:
        right = run.find

        def find(domain: str, op: str, opset: int) -> object:
            found = right(domain, op, opset)
            return replace(found, function=function, contextual=False) if found and op == name else found

        monkeypatch.setattr(run, "find", find)

    return patch


def model(
    nodes: Sequence[object], *, functions: Sequence[object] = (), opset: int = 20, kind: int = FLOAT
) -> ModelProto:
    """Return a model from x [n, 8] to y."""
    weights = [numpy_helper.from_array((GENERATOR.standard_normal((8, 8)) / 3).astype(np.float32), "w")]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, ["n", 8])],
        [helper.make_tensor_value_info("y", kind, None)],
        weights,
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("mine", 1)]
    return helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=10)


def judged(made: ModelProto, inputs: dict[str, Tensor] = X) -> fidelity.Fidelity:
    """Return the comparison of a model with itself."""
    return compare(made.SerializeToString(), interpret(made), inputs)


def node(op: str, inputs: str, outputs: str, name: str = "", **attributes: object) -> object:
    """Return a node; inputs and outputs are words."""
    return helper.make_node(op, inputs.split(), outputs.split(), name=name or f"the_{op}", **attributes)


CHAIN = [
    node("MatMul", "x w", "a"),
    node("Relu", "a", "b"),
    node("MatMul", "b w", "c", "second"),
    node("Softplus", "c", "d"),
    node("Tanh", "d", "y"),
]
RESIDUAL = [
    node("MatMul", "x w", "a"),
    node("Softplus", "a", "b"),
    node("Add", "x b", "c"),
    node("MatMul", "c w", "d", "second"),
    node("Tanh", "d", "e"),
    node("Add", "c e", "y", "second_sum"),
]


def slope(x: Tensor) -> Tensor:
    """Compute a softplus wrongly."""
    return torch.nn.functional.softplus(x) + 0.05 * x


@pytest.mark.parametrize("nodes", [CHAIN, RESIDUAL], ids=["chain", "residual"])
def test_a_wrong_operator_is_named(nodes: list[object], wrong: Wrong) -> None:
    wrong("Softplus", slope)
    with pytest.raises(UnfaithfulImport, match=r"output 'y' differs .* at fault is 'the_Softplus' \(Softplus\)"):
        judged(model(nodes))


def test_a_right_operator_is_not() -> None:
    assert judged(model(CHAIN)).ok
    assert judged(model(RESIDUAL)).ok


def test_the_first_of_two_wrong_operators_is_named(wrong: Wrong) -> None:
    wrong("Softplus", slope)
    wrong("Tanh", torch.sin)
    with pytest.raises(UnfaithfulImport, match="at fault is 'the_Softplus'"):
        judged(model(CHAIN))


def branch(name: str, op: str) -> object:
    """Return a graph of one operator on a."""
    return helper.make_graph([node(op, "a", "r")], name, [], [helper.make_tensor_value_info("r", FLOAT, None)])


def test_a_wrong_operator_in_a_branch_blames_the_if(wrong: Wrong) -> None:
    wrong("Softplus", slope)
    nodes = [
        node("MatMul", "x w", "a"),
        node("ReduceMax", "a", "m", keepdims=0),
        node("Greater", "m m", "never"),
        node("If", "never", "b", then_branch=branch("t", "Relu"), else_branch=branch("e", "Softplus")),
        node("Tanh", "b", "y"),
    ]
    with pytest.raises(UnfaithfulImport, match=r"at fault is 'the_If' \(If\)"):
        judged(model(nodes))


def loop() -> list[object]:
    """Return nodes that apply a softplus three times."""
    body = helper.make_graph(
        [node("Identity", "go", "on"), node("Softplus", "h", "out")],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("h", FLOAT, None),
        ],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, []), helper.make_tensor_value_info("out", FLOAT, None)],
    )
    three = numpy_helper.from_array(np.array(3), "three")
    return [
        node("Constant", "", "times", value=three),
        node("MatMul", "x w", "a"),
        helper.make_node("Loop", ["times", "", "a"], ["b"], name="the_Loop", body=body),
        node("Tanh", "b", "y"),
    ]


def test_a_wrong_operator_in_a_loop_blames_the_loop(wrong: Wrong) -> None:
    assert judged(model(loop())).ok
    wrong("Softplus", slope)
    with pytest.raises(UnfaithfulImport, match=r"at fault is 'the_Loop' \(Loop\)"):
        judged(model(loop()))


def test_a_wrong_operator_in_a_function_is_named_behind_its_call(wrong: Wrong) -> None:
    wrong("Softplus", slope)
    inner = [node("MatMul", "p q", "h"), node("Softplus", "h", "r")]
    function = helper.make_function("mine", "block", ["p", "q"], ["r"], inner, [helper.make_opsetid("", 20)])
    nodes = [node("block", "x w", "a", "first", domain="mine"), node("Tanh", "a", "y")]
    with pytest.raises(UnfaithfulImport, match=r"at fault is 'first/the_Softplus' \(Softplus\)"):
        judged(model(nodes, functions=[function]))


def test_a_wrong_operator_is_named_in_a_network_of_many_portions(wrong: Wrong, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one node to a portion, halving is what finds it."""
    monkeypatch.setattr("worker.load.difference.PORTION", 1)
    wrong("Softplus", slope)
    nodes = [node("MatMul", f"{'x' if i == 0 else f'h{i - 1}'} w", f"h{i}", f"n{i}") for i in range(30)]
    nodes[17:18] = [node("MatMul", "h16 w", "g", "n17"), node("Softplus", "g", "h17")]
    with pytest.raises(UnfaithfulImport, match="at fault is 'the_Softplus'"):
        judged(model([*nodes, node("Tanh", "h29", "y")]))


def exploding(layers: int = 40, gain: float = 1e3) -> ModelProto:
    """Return a chaotic network: a large gain before every sine."""
    nodes = [node("Constant", "", "gain", value=numpy_helper.from_array(np.array(gain, np.float32), "k"))]
    for i in range(layers):
        nodes += [
            node("MatMul", f"{'x' if i == 0 else f'h{i - 1}'} w", f"m{i}", f"m{i}"),
            node("Mul", f"m{i} gain", f"s{i}", f"s{i}"),
            node("Sin", f"s{i}", f"h{i}", f"h{i}"),
        ]
    return model([*nodes, node("Identity", f"h{layers - 1}", "y")])


def test_a_chaotic_network_is_not_blamed_for_its_rounding() -> None:
    found = judged(exploding())
    assert found.max_relative_error > 0.1, "this network does amplify"
    assert found.ok
    assert found.first_difference is not None
    assert "Rounding grows" in found.notes[0]


def test_a_wrong_operator_behind_chaos_is_found_all_the_same(wrong: Wrong) -> None:
    wrong("Softplus", slope)
    made = exploding(12)
    made.graph.node[-1].CopyFrom(node("Softplus", "h11", "y"))
    with pytest.raises(UnfaithfulImport, match="at fault is 'the_Softplus'"):
        judged(made)


def test_an_exploding_linear_network_agrees_even_where_it_overflows() -> None:
    nodes = [node("Constant", "", "gain", value=numpy_helper.from_array(np.array(1e3, np.float32), "k"))]
    for i in range(20):
        nodes.append(node("MatMul", f"{'x' if i == 0 else f'h{i - 1}'} w", f"m{i}", f"m{i}"))
        nodes.append(node("Mul", f"m{i} gain", f"h{i}", f"s{i}"))
    found = judged(model([*nodes, node("Identity", "h19", "y")]))
    assert found.ok


@pytest.mark.parametrize(
    "last",
    [
        node("RandomNormalLike", "a", "r"),
        node("RandomUniformLike", "a", "r"),
        node("RandomNormal", "", "r", shape=[4, 8]),
        node("Bernoulli", "p", "r"),
    ],
    ids=lambda last: last.op_type,
)
def test_random_numbers_are_no_difference(last: object) -> None:
    nodes = [node("MatMul", "x w", "a"), node("Sigmoid", "a", "p"), last, node("Add", "a r", "y")]
    found = judged(model(nodes))
    assert found.ok
    assert "random" in found.notes[0]


def test_dropout_in_training_is_compared_as_in_evaluation() -> None:
    nodes = [
        node("Constant", "", "half", value=numpy_helper.from_array(np.array(0.5, np.float32), "half")),
        node("Constant", "", "yes", value=numpy_helper.from_array(np.array(1, bool), "yes")),
        node("MatMul", "x w", "a"),
        node("Dropout", "a half yes", "y"),
    ]
    found = judged(model(nodes))
    assert found.ok
    assert "training mode" in found.notes[0]


@pytest.mark.parametrize(("op", "outputs", "last"), [("ArgMax", "y", None), ("TopK", "v y", "two")])
def test_ties_are_no_difference(op: str, outputs: str, last: str | None, wrong: Wrong) -> None:
    """All numbers are equal: any place is right."""
    two = node("Constant", "", "two", value=numpy_helper.from_array(np.array([2]), "two"))

    def last_of_equals(x: Tensor, k: Tensor | None = None, **_: object) -> object:
        places = torch.full((len(x), 1 if k is None else 2), x.shape[1] - 1)
        return places if k is None else (x.gather(1, places), places)

    wrong(op, last_of_equals)  # type: ignore[arg-type]
    made = model([two, node(op, f"x {last or ''}", outputs, axis=1)])
    made.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    found = judged(made, {"x": torch.ones(4, 8)})
    assert found.ok
    with pytest.raises(UnfaithfulImport, match=f"the_{op}"):
        judged(made, X)


def test_what_onnx_says_is_right_though_onnxruntime_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answers are falsified at one node; onnx's own reference knows better."""
    honest = vars(reference)["_computed"]

    def lying(*given: object, **more: object) -> dict[str, object]:
        answers = honest(*given, **more)  # type: ignore[arg-type]
        return {name: value + np.float32(name == "y") for name, value in answers.items()}

    monkeypatch.setattr(reference, "_computed", lying)
    found = judged(model([node("MatMul", "x w", "a"), node("Tanh", "a", "y")]))
    assert found.ok
    assert found.first_difference is not None
    assert (found.first_difference.node, found.first_difference.op) == ("the_Tanh", "Tanh")
    assert "otherwise than ONNX's own reference" in found.notes[0]


def test_a_sum_that_cancels_is_excused_and_one_that_does_not_is_not() -> None:
    """1e8 - 1e8 + 1 has a thousand right answers in float32."""
    sums = Node("ReduceSum", ("x",), ("y",), name="sum", attributes={"keepdims": 0})
    graph = Graph((sums,), (Input("x", torch.float32, (3,)),), ("y",), {}, opsets={"": 20})

    def excused(*numbers: float) -> bool:
        given = judging.step(graph, graph.nodes, {"x": torch.tensor(numbers)})
        return judging.excused(given, "y", 1.0, np.array(2.0, np.float32))

    assert excused(1e8, -1e8, 1.0)
    assert not excused(1.0, 1.0, 1.0)


def test_a_cast_of_what_does_not_fit_is_not_compared() -> None:
    made = model([node("Cast", "x", "y", to=TensorProto.INT32)])
    made.graph.output[0].type.tensor_type.elem_type = TensorProto.INT32
    found = judged(made, {"x": torch.tensor([[1.0, 2e12, float("nan"), 4, 5, 6, 7, 8]])})
    assert found.ok


@pytest.mark.parametrize(("fill", "scale"), [(np.nan, 1.0), (-np.inf, np.inf)])
def test_quantization_of_what_is_no_number_is_not_compared(fill: float, scale: float, wrong: Wrong) -> None:
    """A calibration that saw a mask of -inf leaves an infinite scale, and -inf / inf is no number."""
    wrong("QuantizeLinear", lambda x, *_, **__: torch.full(x.shape, 7, dtype=torch.uint8))
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "one", "zero"], ["y"]),
    ]
    written = model(nodes)
    numbers = {"scale": np.float32(scale), "one": np.float32(1), "zero": np.uint8(0)}
    written.graph.initializer.extend(numpy_helper.from_array(np.array(value), name) for name, value in numbers.items())
    found = compare(written.SerializeToString(), interpret(written), {"x": torch.full((4, 8), fill)})
    assert found.ok
    assert found.first_difference is not None
    assert found.first_difference.op == "QuantizeLinear"


def test_numbers_that_are_not_finite_agree_where_both_have_them() -> None:
    found = judged(model([node("Log", "x", "y")]))
    assert found.ok
    assert not found.notes


def test_half_precision_is_no_difference() -> None:
    """Sixty layers of products of three digits."""
    nodes = [node("MatMul", f"{'x' if i == 0 else f'h{i - 1}'} w", f"h{i}", f"n{i}") for i in range(60)]
    made = model([*nodes, node("Identity", "h59", "y")], kind=TensorProto.FLOAT16)
    weight = numpy_helper.to_array(made.graph.initializer[0]).astype(np.float16)
    made.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "w"))
    assert compare(made.SerializeToString(), widened(interpret(made)), X).ok


def test_time_that_runs_out_is_a_note(monkeypatch: pytest.MonkeyPatch, wrong: Wrong) -> None:
    wrong("Softplus", slope)
    monkeypatch.setattr(fidelity, "SEARCH_S", 0.0)
    found = judged(model(CHAIN))
    assert not found.ok
    assert "not to be found" in found.notes[0]


def test_whole_outputs_are_compared_too(wrong: Wrong) -> None:
    wrong("ArgMax", lambda x, **_: x.argmax(1, keepdim=True) * 0)
    made = model([node("MatMul", "x w", "a"), node("ArgMax", "a", "y", axis=1)])
    made.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    with pytest.raises(UnfaithfulImport, match="the_ArgMax"):
        judged(made)


def test_the_problem_has_a_type_of_its_own() -> None:
    problem = UnfaithfulImport("…").problem()
    assert (problem.type, problem.status) == ("/problems/unfaithful-import", 422)


def test_an_examination_ends_in_the_problem_and_not_in_a_diagnosis(tmp_path: Path, wrong: Wrong) -> None:
    (tmp_path / "model.onnx").write_bytes(model(CHAIN).SerializeToString())
    wrong("Softplus", slope)
    with pytest.raises(UnfaithfulImport, match="the_Softplus"):
        examine(tmp_path / "model.onnx", None, Options())


def test_a_graph_written_again_is_searched_by_the_names_that_it_had() -> None:
    graph = interpret(model(CHAIN))
    assert {name for each in to_onnx(graph).graph.node for name in each.output} == set("abcdy")


@pytest.mark.parametrize("signal_number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE])
def test_a_runtime_that_dies_is_a_note(signal_number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "_computed", lambda *_, **__: os.kill(os.getpid(), signal_number))
    found = judged(model(CHAIN))
    assert (found.ok, found.compared) == (False, 0)
    assert f"its process died (signal {int(signal_number)})" in found.notes[0]


def test_a_runtime_that_hangs_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "_computed", lambda *_, **__: time.sleep(60))
    made = model(CHAIN)
    found = compare(made.SerializeToString(), interpret(made), X, limit_s=0.2)
    assert found.compared == 0
    assert "longer than 0.2 s" in found.notes[0]


def test_a_runtime_that_wants_too_much_memory_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two gigabytes are asked for where a quarter of one is allowed."""
    monkeypatch.setattr(reference, "apart", partial(apart, memory=2**28))
    shape = node("Constant", "", "s", value=numpy_helper.from_array(np.array([2**15, 2**14]), "s"))
    largest = node("ReduceMax", "x", "m", keepdims=0)
    nodes = [shape, largest, node("Expand", "m s", "e"), node("Sin", "e", "f"), node("ReduceMax", "f", "y", "last")]
    said = reference.computed(model(nodes).SerializeToString(), {"x": X["x"].numpy()}, ["y"], 30)
    assert isinstance(said, str)
    assert "memory" in said or "alloc" in said


def test_onnxruntimes_own_operators_are_compared_too(wrong: Wrong) -> None:
    nodes = [node("MatMul", "x w", "a"), node("Gelu", "a", "y", domain="com.microsoft")]
    made = model(nodes)
    made.opset_import.add(domain="com.microsoft", version=1)
    assert judged(made).ok
    wrong("Gelu", torch.relu)
    with pytest.raises(UnfaithfulImport, match="the_Gelu"):
        judged(made)
