"""What treatments do, against the numbers that their pages promise."""

import math

import pytest
import torch
from torch import Tensor

from service.contract.words import LossName
from tests.probe.subjects import by_hand, chain, dense, described, normal
from tests.treatments.applied import treated
from worker.loss import Loss
from worker.network.graph import Graph, Node
from worker.network.run import Program
from worker.probe.evidence import Gain
from worker.probe.measure import probe
from worker.probe.sweep import sweep
from worker.subject import Batch, Subject

RELU = {"kind": "relu"}


def gain(subject: Subject) -> Gain:
    found = probe(subject).gain
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("activation", "weights", "biases"),
    [
        ({"kind": "relu"}, 2.0, 0.0),
        ({"kind": "leaky_relu", "alpha": 0.2}, 2 / 1.04, 0.0),
        ({"kind": "selu"}, 1.0, 0.0),
        ({"kind": "tanh"}, 1.05, 0.0),
        ({"kind": "gelu"}, 1.98305826, 0.17292239),
        ({"kind": "silu"}, 1.98800468, 0.55514317),
        ({"kind": "elu"}, 1.496777, 0.034660),
    ],
    ids=lambda given: given["kind"] if isinstance(given, dict) else "",
)
def test_critical_init_draws_the_variance_of_the_literature(
    activation: dict[str, object], weights: float, biases: float
) -> None:
    """The variance of n² normal numbers scatters by √(2/n²) of itself, of n biases by √(2/n)."""
    subject = treated("critical-init", described(chain(3, {"kind": "dense", "units": 300}, activation), (300,)))
    inner = subject.graph.parameters["layers/2.kernel"].value
    shift = subject.graph.parameters["layers/2.bias"].value
    assert float(inner.var()) * 300 == pytest.approx(weights, rel=5 * math.sqrt(2) / 300)
    assert float(shift.var()) == pytest.approx(biases, rel=5 * math.sqrt(2 / 300))


@pytest.mark.parametrize("name", ["critical-init", "orthogonal-init"])
def test_an_initialization_brings_a_fading_network_near_a_gain_of_zero(name: str) -> None:
    before = described(chain(20, {"kind": "dense", "units": 128}, {"kind": "tanh"}), (128,))
    assert gain(before).total < -15
    assert abs(gain(treated(name, before)).total) < 3


def test_orthogonal_init_draws_orthogonal_matrices_at_the_critical_scale() -> None:
    subject = treated("orthogonal-init", described(chain(2, dense(32), RELU), (32,)))
    kernel = subject.graph.parameters["layers/2.kernel"].value
    torch.testing.assert_close(kernel.T @ kernel, 2 * torch.eye(32), rtol=1e-4, atol=1e-4)


def test_convolutions_are_drawn_by_all_that_their_window_sums() -> None:
    layers = [{"kind": "conv2d", "filters": 64, "kernel": 3}, RELU] * 2
    subject = treated("critical-init", described([*layers, {"kind": "flatten"}, dense(4)], (8, 7, 7)))
    kernel = subject.graph.parameters["layers/2.kernel"].value
    assert float(kernel.var()) * 64 * 9 == pytest.approx(2, rel=0.05)


def fed(subject: Subject, op: str) -> list[Tensor]:
    """Return what every operator of a kind reads."""
    found = sweep(subject)
    return [found.values[node.inputs[0]].detach() for node in subject.graph.nodes if node.op == op]


def test_layer_norm_gives_every_sample_zero_mean_and_unit_variance() -> None:
    wild = {"law": "normal", "mean": 1.0, "std": 5.0}
    for value in fed(treated("layer-norm", described(chain(3, dense(32, wild), RELU))), "Relu"):
        torch.testing.assert_close(value.mean(-1), torch.zeros(64), rtol=0, atol=1e-3)
        torch.testing.assert_close(value.var(-1, correction=0), torch.ones(64), rtol=1e-2, atol=0)


def test_layer_norm_of_an_image_runs_over_all_its_features() -> None:
    layers = [{"kind": "conv2d", "filters": 6, "kernel": 3}, RELU, {"kind": "flatten"}, dense(3)]
    (value,) = fed(treated("layer-norm", described(layers, (2, 8, 8))), "Relu")
    torch.testing.assert_close(value.flatten(1).mean(1), torch.zeros(64), rtol=0, atol=1e-4)
    torch.testing.assert_close(value.flatten(1).var(1, correction=0), torch.ones(64), rtol=1e-2, atol=0)


def test_batch_norm_gives_every_feature_zero_mean_and_unit_variance() -> None:
    for value in fed(treated("batch-norm", described(chain(3, dense(32), RELU))), "Relu"):
        torch.testing.assert_close(value.mean(0), torch.zeros(32), rtol=0, atol=1e-4)
        torch.testing.assert_close(value.var(0, correction=0), torch.ones(32), rtol=1e-2, atol=0)


def test_batch_norm_makes_a_deep_plain_network_explode() -> None:
    """Yang et al. 2019: by π/(π − 1) per layer, whatever the weights."""
    before = described(chain(30, dense(128), RELU), (128,))
    assert abs(gain(before).total) < 4
    assert gain(treated("batch-norm", before)).total == pytest.approx(29 * math.log(math.pi / (math.pi - 1)), abs=2.5)


def test_residual_branches_are_scaled_by_one_over_the_root_of_twice_their_number() -> None:
    block = {"kind": "residual", "name": "r", "layers": [dense(16), RELU, dense(16, name="last")]}
    before = described([dense(16), {"kind": "repeat", "times": 8, "layers": [block]}, dense(4)])
    after = treated("residual-scale", before)
    last = [name for name in before.graph.parameters if name.endswith("last.kernel")]
    assert len(last) == 8
    for name in last:
        expected = before.graph.parameters[name].value / 4
        torch.testing.assert_close(after.graph.parameters[name].value, expected)
    scaled = {name.replace("kernel", kind) for name in last for kind in ("kernel", "bias")}
    others = before.graph.parameters.keys() - scaled
    assert all(after.graph.parameters[name] is before.graph.parameters[name] for name in others)


def test_standardized_inputs_have_zero_mean_and_unit_deviation_in_the_batch() -> None:
    subject = described(chain(1, dense(8), RELU))
    shifted = {"input": 1000 + 30 * subject.batch.inputs["input"]}
    before = subject.replace(batch=subject.batch.__class__(shifted, subject.target))
    (given,) = probe(treated("standardize-input", before)).inputs
    assert (given.mean, given.std) == pytest.approx((0, 1), abs=1e-4)


def test_inputs_that_the_network_rescales_are_standardized_behind_that() -> None:
    before = described([{"kind": "rescale", "scale": 1000.0, "offset": 7.0}, *chain(1, dense(8), RELU)])
    (given,) = probe(treated("standardize-input", before)).inputs
    assert (given.mean, given.std) == pytest.approx((0, 1), abs=1e-4)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("relu", "sigmoid", "Relu"),
        ("selu", "relu", "Selu"),
        ("tanh", "sigmoid", "Tanh"),
        ("selu", "silu", "Selu"),
        ("leaky-relu", "relu", "LeakyRelu"),
    ],
)
def test_hidden_activations_are_exchanged_and_the_heads_stays(name: str, old: str, new: str) -> None:
    before = described([*chain(3, dense(16), {"kind": old}), {"kind": old}])
    last = before.graph.nodes[-1].op
    assert [node.op for node in treated(name, before).graph.nodes if node.op in {new, last}] == [*[new] * 3, last]


def test_a_gate_keeps_its_sigmoid() -> None:
    operators = [node.op for node in treated("relu", gated()).graph.nodes]
    assert "Sigmoid" in operators
    assert "Tanh" not in operators
    assert "Relu" in operators


def gated() -> Subject:
    """Return a gated unit, -a · σ(a), before a tanh that can be exchanged."""
    subject = described([dense(8), {"kind": "sigmoid"}, dense(8), {"kind": "tanh"}, dense(4)])
    graph = subject.graph
    first, squash, *rest = graph.nodes
    negative = Node("Neg", first.outputs, ("negative",), "negative")
    product = Node("Mul", ("negative", squash.outputs[0]), ("product",), "product")
    return subject.replace(graph=_rewired(graph, (first, squash, negative, product), rest, squash.outputs[0]))


def _rewired(graph: Graph, start: tuple[Node, ...], rest: list[Node], old: str) -> Graph:
    """Return the graph whose later nodes read the product instead of the gate."""
    first, *others = rest
    inputs = tuple("product" if value == old else value for value in first.inputs)
    return graph.replace(nodes=(*start, Node(first.op, inputs, first.outputs, first.name, first.attributes), *others))


def test_inputs_are_standardized_whatever_names_the_network_has_taken() -> None:
    nodes = [
        Node("Mul", ("x", "x.std"), ("x.treated",), "x.treated.centre"),
        Node("Mul", ("x.treated", "x.mean"), ("x.treated.centred",), "x.treated.scale"),
        Node("MatMul", ("x.treated.centred", "w"), ("y",), "y"),
    ]
    taken = {"x.mean": torch.full((16,), 2.0), "x.std": torch.full((16,), 3.0), "w": normal(16, 4)}
    before = by_hand(nodes, taken, {"x": 100 + 30 * normal(64, 16)})
    after = treated("standardize-input", before).graph
    for names in ([node.name for node in after.nodes], [value for node in after.nodes for value in node.outputs]):
        assert len(set(names)) == len(names)
    x = before.batch.inputs["x"]
    expected = ((x - x.mean()) / x.std(correction=0) * 6) @ taken["w"]
    torch.testing.assert_close(Program(after).run({"x": x})["y"], expected, rtol=1e-3, atol=1e-3)


def test_fix_loss_leaves_out_a_softmax_over_one_unit_and_keeps_the_flatten_behind_it() -> None:
    nodes = [
        Node("Conv", ("x", "w"), ("z",), "z"),
        Node("Softmax", ("z",), ("s",), "s", {"axis": 1}),
        Node("Flatten", ("s",), ("y",), "y"),
    ]
    inputs, bits = {"x": normal(64, 3, 4, 4)}, torch.arange(64).reshape(64, 1) % 2
    before = by_hand(nodes, {"w": normal(1, 3, 4, 4)}, inputs)
    after = treated("fix-loss", before.replace(batch=Batch(inputs, bits.float()), loss=Loss(LossName.BCE)))
    expected = (inputs["x"] * normal(1, 3, 4, 4)).sum((1, 2, 3)).unsqueeze(1)
    torch.testing.assert_close(Program(after.graph).run(inputs)[after.output], expected, rtol=1e-4, atol=1e-4)
    assert after.loss.name is LossName.BCE_WITH_LOGITS
