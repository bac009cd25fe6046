"""Which tensors are parameters: what files that say nothing suggest, and what torch's own list says."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from worker.load.onnx import interpret
from worker.load.provenance import SIGNATURE
from worker.network.graph import Graph

Arrays = Mapping[str, np.ndarray]
WIDTH = 6


def drawn(*sizes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(sizes).astype(np.float32)


def graph(nodes: Sequence[str], tensors: Arrays, producer: str = "", signature: str = "") -> Graph:
    """Return the graph of nodes such as `y = MatMul x w`, from x [2, 3, 6] to y."""
    made = []
    for each in nodes:
        written, _, read = each.partition(" = ")
        op, *inputs = read.split()
        domain, _, name = op.rpartition(":")
        made.append(helper.make_node(name, inputs, written.split(), domain=domain))
    held = [numpy_helper.from_array(value, name) for name, value in tensors.items()]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, WIDTH])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(helper.make_graph(made, "g", [given], [result], held), opset_imports=opsets)
    model.producer_name = producer
    if signature:
        model.graph.metadata_props.append(onnx.StringStringEntryProto(key=SIGNATURE, value=signature))
    return interpret(model)


def taken(nodes: Sequence[str], tensors: Arrays, producer: str = "", signature: str = "") -> set[str]:
    return set(graph(nodes, {"w": drawn(WIDTH, WIDTH), **tensors}, producer, signature).parameters)


STEPS = np.arange(WIDTH, dtype=np.float32)
ANGLES = STEPS[:3, None] * 10 ** (-STEPS[None, :3] / 3)
GRID = np.stack([*np.meshgrid(STEPS[:3], STEPS[:4]), np.ones((4, 3), np.float32)], -1).reshape(12, 3)


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("positions", STEPS),
        ("frequencies", (10000 ** (-STEPS / WIDTH)).astype(np.float32)),
        ("waves side by side", np.stack([np.cos(ANGLES), np.sin(ANGLES)], -1).reshape(3, 6).astype(np.float32)),
        ("waves half by half", np.concatenate([np.sin(ANGLES), np.cos(ANGLES)], -1).astype(np.float32)),
        ("slopes", (2.0 ** -STEPS[:3, None] * STEPS[None, :]).astype(np.float32)),
        ("mask", np.triu(np.full((3, WIDTH), -np.inf, np.float32))),
        ("switch", np.tril(np.ones((3, WIDTH), np.float32))),
    ],
)
def test_what_a_formula_wrote_is_no_parameter(name: str, table: np.ndarray) -> None:
    assert taken(["h = MatMul x w", "y = Add h table"], {"table": table}) == {"w"}, name


def test_weights_filled_with_the_simplest_numbers_are_weights() -> None:
    """As whoever writes a file by hand fills them."""
    simple = np.arange(WIDTH * WIDTH, dtype=np.float32).reshape(WIDTH, WIDTH)
    assert taken(["h = MatMul x simple", "y = Relu h"], {"simple": simple}) == {"simple"}
    assert taken(["y = MatMul x column"], {"column": simple[:, :1]}) == {"column"}


def test_a_grid_of_coordinates_that_a_product_turns_is_no_parameter_and_a_drawn_table_is() -> None:
    """The grid is affine_grid's: each point once, and a one for the shift."""
    nodes = ["t = MatMul x w", "f = Slice t zero three last", "g = Mul f grid", "y = ReduceSum g"]
    cut = {"zero": np.array([0]), "three": np.array([3]), "last": np.array([2])}
    assert taken(nodes, {**cut, "grid": GRID[:, None, None]}) == {"w"}
    assert taken(nodes, {**cut, "grid": drawn(12, 1, 1, 3)}) == {"w", "grid"}


def test_frequencies_that_become_cosines_and_sines_are_no_parameter() -> None:
    nodes = ["a = MatMul x f", "c = Cos a", "s = Sin a", "t = Mul c s", "y = MatMul t w"]
    assert taken(nodes, {"f": drawn(WIDTH, WIDTH, seed=1)}) == {"w"}
    sine_only = ["a = MatMul x f", "t = Sin a", "y = MatMul t w"]
    assert taken(sine_only, {"f": drawn(WIDTH, WIDTH, seed=1)}) == {"w", "f"}


def test_a_first_state_counts_where_it_is_learnt() -> None:
    gates = {"W": drawn(1, 16, WIDTH), "R": drawn(1, 16, 4), "s": drawn(1, 3, 4), "c": np.zeros((1, 3, 4), np.float32)}
    nodes = ["_a h = LSTM x W R B L s c", "y = Identity h"]
    further = {"B": drawn(1, 32), "L": np.array([2, 2, 2], np.int32)}
    assert taken(nodes, {**gates, **further}) == {"W", "R", "B", "s"}


def test_zeros_that_only_weights_multiply_are_a_first_state_and_the_weights_are_weights() -> None:
    nodes = ["h = MatMul zero u", "i = MatMul x w", "j = Add h i", "y = Tanh j"]
    assert taken(nodes, {"zero": np.zeros((3, 4), np.float32), "u": drawn(4, WIDTH)}) == {"w", "u"}


def test_both_factors_of_a_low_rank_change_are_weights() -> None:
    nodes = ["d = MatMul a b", "v = Add w d", "y = MatMul x v"]
    assert taken(nodes, {"a": drawn(WIDTH, 2), "b": drawn(2, WIDTH)}) == {"w", "a", "b"}


@pytest.mark.parametrize("constant", [0.5, 0.044715, 2**0.5])
def test_constants_of_a_formula_are_no_parameters(constant: float) -> None:
    nodes = ["h = MatMul x w", "s = Mul h c", "t = Add s h", "y = Mul t one"]
    tensors = {"c": np.float32(constant), "one": np.full(1, constant, np.float32)}
    assert taken(nodes, tensors) == {"w"}


def test_a_temperature_counts_under_a_modules_name_in_torchs_files_and_cannot_be_told_in_others() -> None:
    nodes = ["h = MatMul x w", "e = Exp temperature", "y = Mul h e"]
    tensors = {"temperature": np.float32(1.3)}
    assert taken(nodes, tensors, "pytorch") == {"w", "temperature"}
    assert taken(nodes, tensors) == {"w"}


def test_torchs_own_list_is_believed() -> None:
    """A buffer that looks like a weight is none, and a parameter that looks like a constant is one."""
    nodes = ["h = MatMul x w", "i = Add h buffer", "j = Mul i steps", "y = Mul j gate"]
    tensors = {"buffer": drawn(WIDTH), "steps": STEPS, "gate": np.float32(2)}
    listed = "p_w: PARAMETER target='w'\nb_buffer: BUFFER target='buffer' persistent=True\n"
    listed += "p_steps: PARAMETER target='steps'\np_gate: PARAMETER target='gate'\nx: USER_INPUT\n"
    assert taken(nodes, tensors, "pytorch", listed) == {"w", "steps", "gate"}
    assert taken(nodes, tensors) == {"w", "buffer"}


def test_the_list_of_earlier_versions_reads_the_same() -> None:
    listed = (
        "ExportGraphSignature(input_specs=[InputSpec(kind=<InputKind.PARAMETER: 2>, arg=TensorArgument(name='p_w'), "
        "target='w', persistent=None), InputSpec(kind=<InputKind.BUFFER: 3>, arg=TensorArgument(name='b_b'), "
        "target='b', persistent=True)])"
    )
    assert taken(["h = MatMul x w", "y = Add h b"], {"b": drawn(WIDTH)}, "pytorch", listed) == {"w"}


def test_what_torch_writes_as_a_number_is_no_parameter() -> None:
    """torch's exporters hold parameters as initialisers; other writers hold them in `Constant` nodes too."""
    values = numpy_helper.from_array(drawn(WIDTH))
    node = helper.make_node("Constant", [], ["c"], value=values)
    made = [node, helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Add", ["h", "c"], ["y"])]
    held = [numpy_helper.from_array(drawn(WIDTH, WIDTH), "w")]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, WIDTH])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    model = helper.make_model(helper.make_graph(made, "g", [given], [result], held))
    assert set(interpret(model).parameters) == {"w", "c"}
    model.producer_name = "pytorch"
    assert set(interpret(model).parameters) == {"w"}


def test_weights_of_onnxruntimes_fused_operators_are_parameters() -> None:
    nodes = ["h = com.microsoft:FusedMatMul x w", "y = com.microsoft:BiasGelu h b"]
    assert taken(nodes, {"b": drawn(WIDTH)}) == {"w", "b"}


def test_a_table_and_its_transposed_copy_in_a_head_are_one_parameter() -> None:
    nodes = ["h = MatMul x w", "e = Gather table index", "s = Add h e", "y = MatMul s head"]
    table = drawn(9, WIDTH)
    tensors = {"w": drawn(WIDTH, WIDTH), "table": table, "index": np.array([1, 4, 4]), "head": table.T.copy()}
    found = graph(nodes, tensors)
    assert set(found.parameters) == {"w", "table"}
    assert {node.op for node in found.consumers("table")} == {"Gather", "Transpose"}
    assert "'head' is 'table'" in found.notes[-1]


def test_equal_weights_of_two_layers_are_two_parameters() -> None:
    same = drawn(WIDTH, WIDTH)
    nodes = ["h = MatMul x first", "t = Tanh h", "y = MatMul t second"]
    assert set(graph(nodes, {"first": same, "second": same.T.copy()}).parameters) == {"first", "second"}


def test_a_learnt_token_repeated_for_every_sample_is_one_token() -> None:
    token = drawn(1, 1, WIDTH)
    listed = "p_token: PARAMETER target='token'\np_w: PARAMETER target='w'\n"
    tensors = {"w": drawn(WIDTH, WIDTH), "expand": np.repeat(token, 2, 0)}
    found = graph(["h = MatMul x w", "y = Add h expand"], tensors, "pytorch", listed)
    (once,) = set(found.parameters) - {"w"}
    assert found.parameters[once].value.numpy() == pytest.approx(token)
    assert [node.op for node in found.nodes] == ["Reshape", "Expand", "MatMul", "Add"]


@pytest.mark.parametrize("sizes", [(1,), (1, 1)])
def test_the_bias_of_one_unit_is_a_parameter(sizes: tuple[int, ...]) -> None:
    """scikit-learn's converter writes it with two axes."""
    assert taken(["h = MatMul x w", "y = Add h b"], {"w": drawn(WIDTH, 1), "b": drawn(*sizes)}) == {"w", "b"}
