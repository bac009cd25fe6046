"""What a program promises beside the operators: modes, traces, gradients, and leaving what it is given alone."""

import math

import onnx
import pytest
import torch
from torch import Tensor

from service.contract.problem import BatchMismatch, UnsupportedOperator
from worker.network.export import to_onnx
from worker.network.graph import Graph, Input, Node, Parameter
from worker.network.run import Program

X = Input("x", torch.float32, ("batch", 3))


def graph(
    *nodes: Node, parameters: dict[str, Tensor] | None = None, inputs: tuple[Input, ...] = (X,), **rest: object
) -> Graph:
    held = {name: Parameter(value) for name, value in (parameters or {}).items()}
    named = tuple(Node(**{**vars(node), "name": node.name or f"{node.op}_{at}"}) for at, node in enumerate(nodes))
    return Graph(named, inputs, (nodes[-1].outputs[0],), held, **rest)  # type: ignore[arg-type]


def normalization() -> Graph:
    node = Node("BatchNormalization", ("x", "scale", "bias", "mean", "var"), ("y",), attributes={"training_mode": 0})
    constants = {"mean": torch.tensor([1.0, 2.0, 3.0]), "var": torch.tensor([4.0, 4.0, 4.0])}
    return graph(node, parameters={"scale": torch.ones(3), "bias": torch.zeros(3)}, constants=constants)


def test_batch_statistics_are_used_in_training_and_running_ones_otherwise() -> None:
    x = torch.randn(8, 3)
    program = Program(normalization())
    trained = program.run({"x": x}, training=True)["y"]
    torch.testing.assert_close(trained, (x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt())
    evaluated = program.run({"x": x})["y"]
    torch.testing.assert_close(evaluated, (x - torch.tensor([1.0, 2.0, 3.0])) / math.sqrt(4 + 1e-5))


def test_one_value_per_channel_is_normalized_to_zero() -> None:
    y = Program(normalization()).run({"x": torch.randn(1, 3)}, training=True)["y"]
    torch.testing.assert_close(y, torch.zeros(1, 3), atol=1e-3, rtol=0)


def dropout() -> Graph:
    node = Node("Dropout", ("x", "ratio"), ("y",))
    return graph(node, constants={"ratio": torch.tensor(0.25)}, inputs=(Input("x", torch.float32, ("batch",)),))


def test_dropout_drops_its_share_in_training_only() -> None:
    x = torch.ones(100_000)
    program = Program(dropout())
    assert torch.equal(program.run({"x": x})["y"], x)
    y = program.run({"x": x}, training=True, generator=torch.Generator().manual_seed(0))["y"]
    share = float((y == 0).float().mean())
    assert abs(share - 0.25) < 5 * math.sqrt(0.25 * 0.75 / 100_000)
    torch.testing.assert_close(y[y != 0], torch.full_like(y[y != 0], 1 / 0.75))


def test_the_same_seed_drops_the_same() -> None:
    program, x = Program(dropout()), torch.ones(100)
    first, second = (
        program.run({"x": x}, training=True, generator=torch.Generator().manual_seed(3))["y"] for _ in range(2)
    )
    assert torch.equal(first, second)


def dense() -> Graph:
    node = Node("Gemm", ("x", "w", "b"), ("y",), attributes={"transB": 1})
    return graph(node, Node("Tanh", ("y",), ("z",)), parameters={"w": torch.randn(4, 3), "b": torch.randn(4)})


def test_parameters_given_stand_in_for_the_graphs_own() -> None:
    held, x = dense(), torch.randn(2, 3)
    w = torch.zeros(4, 3)
    z = Program(held).run({"x": x}, {"w": w})["z"]
    torch.testing.assert_close(z, torch.tanh(held.parameters["b"].value).expand(2, 4))


def test_gradients_are_the_closed_form() -> None:
    """For z = tanh(x Wᵀ + b) and the sum of z, the gradient at b is the sum of 1 - z² over samples."""
    held, x = dense(), torch.randn(5, 3)
    b = held.parameters["b"].value.clone().requires_grad_()
    z = Program(held).run({"x": x}, {"b": b})["z"]
    (gradient,) = torch.autograd.grad(z.sum(), b)
    torch.testing.assert_close(gradient, (1 - z.detach() ** 2).sum(0))


def test_a_trace_holds_every_named_value() -> None:
    x = torch.randn(2, 3)
    trace = Program(dense()).trace({"x": x})
    assert set(trace.values) == {"x", "w", "b", "y", "z"}
    assert torch.equal(trace.values["z"], torch.tanh(trace.values["y"]))


def test_what_is_given_is_left_as_it_was() -> None:
    held, x = dense(), torch.randn(2, 3)
    before = [value.value.clone() for value in held.parameters.values()]
    seen = x.clone()
    Program(held).trace({"x": x}, training=True)
    assert torch.equal(x, seen)
    assert all(map(torch.equal, before, (value.value for value in held.parameters.values())))


@pytest.mark.parametrize(("op", "width"), [("RNN", 1), ("GRU", 1), ("LSTM", 2)])
def test_the_gradient_between_two_states_is_the_product_of_the_steps_between(op: str, width: int) -> None:
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[op]
    weights = {"w": torch.randn(1, gates * 5, 3), "r": torch.randn(1, gates * 5, 5), "b": torch.randn(1, gates * 10)}
    node = Node(op, ("x", "w", "r", "b"), ("y",), name="loop", attributes={"hidden_size": 5})
    steps = Input("x", torch.float32, (6, "batch", 3))
    program = Program(graph(node, parameters=weights, inputs=(steps,)))
    trace = program.trace(
        {"x": torch.randn(6, 1, 3)}, {name: value.requires_grad_() for name, value in weights.items()}
    )
    states = trace.states["loop"]
    assert [tuple(state.shape) for state in states] == [(1, 5 * width)] * 6
    assert torch.equal(states[-1][:, :5], trace.values["y"][-1, 0])
    whole = jacobian(states[5], states[2])
    product = jacobian(states[5], states[4]) @ jacobian(states[4], states[3]) @ jacobian(states[3], states[2])
    torch.testing.assert_close(whole, product)
    assert whole.abs().max() > 0


def jacobian(after: Tensor, before: Tensor) -> Tensor:
    rows = [torch.autograd.grad(value, before, retain_graph=True)[0].flatten() for value in after.flatten()]
    return torch.stack(rows)


@pytest.mark.parametrize(("op", "attributes"), [("RNN", {}), ("GRU", {"linear_before_reset": 1}), ("LSTM", {})])
def test_a_run_and_a_trace_of_a_recurrent_layer_give_the_same_numbers(op: str, attributes: dict[str, int]) -> None:
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[op]
    weights = {"w": torch.randn(2, gates * 5, 3), "r": torch.randn(2, gates * 5, 5), "b": torch.randn(2, gates * 10)}
    node = Node(op, ("x", "w", "r", "b"), ("y", "h"), attributes={"direction": "bidirectional", **attributes})
    program = Program(graph(node, parameters=weights, inputs=(Input("x", torch.float32, (6, "batch", 3)),)))
    x = {"x": torch.randn(6, 4, 3)}
    torch.testing.assert_close(program.run(x)["y"], program.trace(x).values["y"])


@pytest.mark.parametrize(("op", "given"), [("RNN", 1), ("GRU", 1), ("LSTM", 2)])
def test_an_initial_state_for_another_batch_is_refused(op: str, given: int) -> None:
    """Torch's own layers would read past the end of a state for two samples where four come in."""
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[op]
    weights = {"w": torch.randn(1, gates * 5, 3), "r": torch.randn(1, gates * 5, 5), "b": torch.randn(1, gates * 10)}
    starts = {name: torch.zeros(1, 2, 5) for name in ("h", "c")[:given]}
    node = Node(op, ("x", "w", "r", "b", "", *starts), ("y",), attributes={"hidden_size": 5})
    steps = Input("x", torch.float32, (6, "batch", 3))
    program = Program(graph(node, parameters=weights, inputs=(steps,)).replace(constants=starts))
    assert program.run({"x": torch.randn(6, 2, 3)})["y"].shape == (6, 1, 2, 5)
    with pytest.raises(BatchMismatch, match="initial state has the shape"):
        program.run({"x": torch.randn(6, 4, 3)})


def test_a_bidirectional_layer_has_states_both_ways() -> None:
    weights = {"w": torch.randn(2, 5, 3), "r": torch.randn(2, 5, 5)}
    node = Node("RNN", ("x", "w", "r"), ("y",), name="loop", attributes={"direction": "bidirectional"})
    program = Program(graph(node, parameters=weights, inputs=(Input("x", torch.float32, (4, 2, 3)),)))
    trace = program.trace({"x": torch.randn(4, 2, 3)})
    assert sorted(trace.states) == ["loop#backward", "loop#forward"]
    assert torch.equal(trace.states["loop#backward"][-1], trace.values["y"][0, 1])


def test_the_states_of_a_scan_are_traced() -> None:
    """For s ← s² the gradient between two states two steps apart is 4 s³."""
    step = Graph(
        (Node("Mul", ("s", "s"), ("t",), name="m"), Node("Identity", ("e",), ("o",), name="i")),
        (Input("s", torch.float32, ()), Input("e", torch.float32, ())),
        ("t", "o"),
        {},
    )
    node = Node("Scan", ("x", "z"), ("y", "q"), name="scan", attributes={"body": step, "num_scan_inputs": 1})
    steps = (Input("x", torch.float32, (2,)), Input("z", torch.float32, (3, 1)))
    x = torch.tensor([1.1, -0.7], requires_grad=True)
    states = Program(graph(node, inputs=steps)).trace({"x": x, "z": torch.zeros(3, 1)}).states["scan"]
    assert len(states) == 3
    (gradient,) = torch.autograd.grad(states[2].sum(), states[0])
    torch.testing.assert_close(gradient, 4 * states[0] ** 3)


def test_an_unknown_operator_is_named_with_its_domain_version_and_node() -> None:
    node = Node("Fold", ("x",), ("y",), name="origami", domain="my.own")
    with pytest.raises(UnsupportedOperator, match=r"Fold of my\.own 3, at node 'origami'"):
        Program(graph(node, opsets={"": 20, "my.own": 3}))


def test_an_unknown_attribute_is_named() -> None:
    with pytest.raises(UnsupportedOperator, match=r"Relu.*'slope'"):
        Program(graph(Node("Relu", ("x",), ("y",), attributes={"slope": 1.0})))


def test_an_operator_without_a_function_is_run_by_its_own_definition() -> None:
    node = Node("SoftmaxCrossEntropyLoss", ("x", "t"), ("y",))
    target = Input("t", torch.int64, ("batch",))
    x, t = torch.randn(6, 3, requires_grad=True), torch.randint(0, 3, (6,))
    y = Program(graph(node, inputs=(X, target))).run({"x": x, "t": t})["y"]
    expected = torch.nn.functional.cross_entropy(x, t)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(torch.autograd.grad(y, x)[0], torch.autograd.grad(expected, x)[0])


def test_a_missing_input_is_named() -> None:
    with pytest.raises(BatchMismatch, match="'x'"):
        Program(dense()).run({"y": torch.randn(2, 3)})


def test_a_shape_that_does_not_fit_names_node_and_shapes() -> None:
    with pytest.raises(BatchMismatch, match=r"Gemm_0.*\(2, 4\), \(4, 3\), \(4,\)"):
        Program(dense()).run({"x": torch.randn(2, 4)})


def test_a_graph_written_out_is_a_valid_model_with_the_same_names() -> None:
    model = to_onnx(normalization())
    onnx.checker.check_model(model, full_check=True)
    assert [tensor.name for tensor in model.graph.initializer] == ["scale", "bias", "mean", "var"]
    assert [node.name for node in model.graph.node] == ["BatchNormalization_0"]
