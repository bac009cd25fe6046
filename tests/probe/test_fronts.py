"""Fronts on branching graphs, and the gain through them, against exact Jacobians."""

import math

import pytest
import torch
from torch import Tensor

from tests.probe.subjects import by_hand, chain, dense, described, node, normal
from worker.network.graph import Graph, Node
from worker.probe.evidence import Gain
from worker.probe.fronts import Front, fronts, parted
from worker.probe.gain import measure_gain
from worker.probe.sweep import sweep
from worker.subject import Subject

WIDTH = 8
RELU = {"kind": "relu"}


def gain(subject: Subject) -> Gain:
    found = measure_gain(sweep(subject))
    assert found is not None
    return found


def orthogonal(seed: int) -> Tensor:
    basis: Tensor = torch.linalg.qr(normal(WIDTH, WIDTH, seed=seed))[0]
    return basis


def dense_net(layers: int) -> Subject:
    """Huang et al. 2017: every layer reads all before it."""
    nodes, parameters, before = [node("MatMul", "x w", "v0")], {"w": orthogonal(0)}, ["v0"]
    for layer in range(1, layers + 1):
        nodes.append(node("Concat", " ".join(before), f"c{layer}", axis=1))
        nodes.append(node("MatMul", f"c{layer} w{layer}", f"v{layer}"))
        parameters[f"w{layer}"] = normal(WIDTH * layer, WIDTH, seed=layer) / math.sqrt(WIDTH * layer)
        before.append(f"v{layer}")
    nodes += [node("Concat", " ".join(before), "all", axis=1), node("MatMul", "all head", "y")]
    return by_hand(nodes, {**parameters, "head": normal(WIDTH * (layers + 1), 3)}, {"x": normal(16, WIDTH)})


def u_net() -> Subject:
    """A linear U of orthogonal matrices: a skip leads over the two layers at the bottom."""
    nodes = [
        node("MatMul", "x w0", "top"),
        node("MatMul", "top w1", "down"),
        node("MatMul", "down w2", "bottom"),
        node("MatMul", "bottom w3", "up"),
        node("Add", "top up", "sum"),
        node("MatMul", "sum w4", "last"),
        node("MatMul", "last w5", "y"),
    ]
    parameters = {f"w{at}": orthogonal(at) for at in range(6)}
    return by_hand(nodes, parameters, {"x": normal(64, WIDTH)})


def test_a_plain_network_has_single_tensors_and_runs_but_once() -> None:
    run = sweep(described(chain(4, dense(WIDTH), RELU)))
    found = fronts(run.path)
    assert [front.values for front in found] == [(value,) for value in run.path.layer_cuts()]
    assert all(tensors[0] is run.values[front.newest] for tensors, front in zip(parted(run, found), found, strict=True))


def test_every_layer_of_a_densely_joined_network_has_a_front_of_all_that_is_alive() -> None:
    """Alive are the layers that later ones read, and their join that the next one reads."""
    found = fronts(sweep(dense_net(4)).path)
    assert [len(front.values) for front in found] == [1, 3, 4, 5, 1]
    assert found[2] == Front(3, ("v0", "v1", "v2", "c3"), "c3")


def test_the_front_at_the_bottom_of_a_u_holds_the_skip_too() -> None:
    found = fronts(sweep(u_net()).path)
    assert [front.values for front in found] == [("top",), ("top", "down"), ("top", "bottom"), ("sum",), ("last",)]


def test_the_copies_at_a_front_change_no_value() -> None:
    run = sweep(dense_net(4))
    found = fronts(run.path)
    for front, tensors in zip(found, parted(run, found), strict=True):
        assert all(torch.equal(run.values[value], tensor) for value, tensor in zip(front.values, tensors, strict=True))


def test_the_gain_over_a_skip_is_that_of_the_whole_jacobian() -> None:
    """Behind `top` the map is (1 + w1 w2 w3) w4: the total is ln of its mean squared singular value."""
    subject = u_net()
    weights = {name: each.value for name, each in subject.graph.parameters.items()}
    jacobian = (torch.eye(WIDTH) + weights["w1"] @ weights["w2"] @ weights["w3"]) @ weights["w4"]
    expected = math.log(float(jacobian.square().sum()) / WIDTH)
    found = gain(subject)
    assert found.total == pytest.approx(expected, abs=5 * max(found.standard_error, 0.02))
    assert len(found.segments) == 4


def test_nothing_is_counted_twice_at_a_front_whose_tensors_lead_to_each_other() -> None:
    """Of ("top", "bottom") the sum passes one cotangent to both, whatever leads from top to bottom: ln 2."""
    segments = gain(u_net()).segments
    assert [segment.start for segment in segments] == ["top", "down", "bottom", "sum"]
    assert segments[2].gain == pytest.approx(math.log(2), abs=1e-4)
    assert segments[1].gain == pytest.approx(0, abs=1e-4)
    assert segments[3].gain == pytest.approx(0, abs=1e-4)


def test_a_layer_that_skips_lead_past_gets_its_share_of_the_gradient_and_is_named() -> None:
    """Above a weak w3 = 10⁻⁴ Q the bottom gets 10⁻⁸ of what the skip carries; an even share were a half."""
    weak = u_net()
    parameters = {name: each.value for name, each in weak.graph.parameters.items()}
    starved = weak.replace(graph=weak.graph.with_parameters({"w3": 1e-4 * parameters["w3"]}))
    bypass = gain(starved).bypass
    assert bypass is not None
    assert bypass.share == pytest.approx(math.log(1e-8 * 2), abs=0.01)
    assert bypass.node in {"down", "bottom"}


def test_skips_into_the_body_of_a_loop_are_followed() -> None:
    """A value that only a branch's body reads is alive until there."""
    body = Graph((node("Add", "late top", "z"),), (), ("z",), {})
    nodes = [
        node("MatMul", "x w0", "top"),
        node("MatMul", "top w1", "mid"),
        node("MatMul", "mid w2", "late"),
        Node("If", ("yes",), ("sum",), "sum", {"then_branch": body, "else_branch": body}),
        node("MatMul", "sum w3", "y"),
    ]
    parameters = {f"w{at}": orthogonal(at) for at in range(4)}
    subject = by_hand(nodes, parameters, {"x": normal(64, WIDTH)}, constants={"yes": torch.tensor(True)})  # noqa: FBT003
    assert len(fronts(sweep(subject).path)[-2].values) == 2
    assert gain(subject).segments[-1].gain == pytest.approx(math.log(2), abs=1e-4)


@pytest.mark.parametrize("opset", [1, 22])
def test_copies_are_made_in_the_words_of_the_files_own_version(opset: int) -> None:
    subject = u_net()
    old = subject.replace(graph=subject.graph.replace(opsets={"": opset}))
    assert gain(old).total == pytest.approx(gain(subject).total, abs=1e-5)
