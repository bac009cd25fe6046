"""Kernels by themselves: units that repeat, what theory expects of their scale, and whether they have been trained."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.probe.subjects import by_hand, chain, dense, described, node, normal
from worker.network.laws import Orthogonal
from worker.network.layers import weight_layers
from worker.network.streams import Stream
from worker.probe.evidence import Kernel, Structure
from worker.probe.structure import measure_structure
from worker.probe.structure.gaussian import expectation
from worker.probe.structure.spectrum import BEYOND, edge_ratio, trained
from worker.probe.sweep import Sweep, sweep
from worker.subject import Subject


def structure(subject: Subject) -> Structure:
    return measure_structure(sweep(subject))


def two_layers(first: Tensor, second: Tensor, bias: Tensor | None = None) -> Kernel:
    """Return the first kernel of x → W₁ → tanh → W₂."""
    bias = torch.zeros(first.shape[1]) if bias is None else bias
    nodes = [node("Gemm", "x first b", "h"), node("Tanh", "h", "a"), node("MatMul", "a second", "y")]
    weights = {"first": first, "b": bias, "second": second}
    found, _ = structure(by_hand(nodes, weights, {"x": normal(12, first.shape[0])})).kernels
    return found


def test_the_shares_of_empty_and_of_repeated_units_are_counted() -> None:
    weight = normal(6, 10)
    weight[:, 3:7] = weight[:, :1]
    weight[:, 8:] = 0
    found = two_layers(weight, normal(10, 4))
    assert (found.units, found.zeros, found.copies) == (10, pytest.approx(0.2), pytest.approx(0.4))
    assert found.hidden


def test_equal_rows_with_biases_of_their_own_are_no_copies() -> None:
    weight = normal(6, 1).repeat(1, 8)
    assert two_layers(weight, normal(8, 4)).copies == pytest.approx(7 / 8)
    assert two_layers(weight, normal(8, 4), normal(8)).copies == 0


def test_copies_are_kept_where_what_reads_them_is_a_copy_too() -> None:
    weight = normal(6, 2).repeat(1, 4)
    alike, apart = normal(2, 4).repeat(4, 1), normal(8, 4)
    assert two_layers(weight, alike).kept
    assert not two_layers(weight, apart).kept


def test_a_training_step_parts_the_copies_that_are_not_kept_and_no_others() -> None:
    weight = normal(6, 2).repeat(1, 4)
    for second, parted in ((normal(2, 4).repeat(4, 1), False), (normal(8, 4), True)):
        first = weight.clone().requires_grad_()
        loss = (torch.tanh(normal(12, 6) @ first) @ second - normal(12, 4, seed=1)).square().mean()
        (gradient,) = torch.autograd.grad(loss, first)
        stepped = weight - 0.1 * gradient
        assert (float((stepped[:, 0] - stepped[:, 2]).abs().max()) > 1e-6) is parted
        assert two_layers(weight, second).kept is not parted


def test_groups_read_their_own_channels_so_equal_filters_of_theirs_are_no_copies() -> None:
    filters = normal(1, 1, 3, 3).repeat(8, 1, 1, 1)
    for group, copies in ((8, 0.0), (4, 0.5)):
        kernel = filters.repeat(1, 8 // group, 1, 1)
        blur = node("Conv", "x w", "y", kernel_shape=(3, 3), pads=(1, 1, 1, 1), group=group)
        (found,) = structure(by_hand([blur], {"w": kernel}, {"x": normal(4, 8, 6, 6)})).kernels
        assert found.copies == pytest.approx(copies)


def test_rows_of_few_numbers_repeat_as_often_as_chance_says() -> None:
    """Of 64 rows of three signs each, 8 differ at most; theory's share is met within three standard errors."""
    observed = []
    for seed in range(12):
        signs = normal(3, 64, seed=seed).sign()
        found = two_layers(signs, normal(64, 4, seed=seed))
        assert found.chance == pytest.approx(1 - 8 * (1 - (7 / 8) ** 64) / 64, abs=1e-6)
        observed.append(found.copies)
    assert sum(observed) / len(observed) == pytest.approx(found.chance, abs=0.01)


def test_full_precision_leaves_nothing_to_chance() -> None:
    assert two_layers(normal(40, 30), normal(30, 4)).chance == 0


# what theory expects


@pytest.mark.parametrize(
    ("activation", "init", "rate"),
    [
        ("relu", "he_normal", 0.0),
        ("relu", "lecun_normal", -math.log(2)),
        ("relu", "torch_default", -math.log(6)),
        ("selu", "lecun_normal", math.log(1.071575)),
        ({"kind": "leaky_relu", "alpha": 0.2}, {"law": "normal", "std": (1.923077 / 256) ** 0.5}, 0.0),
        (None, "torch_default", -math.log(3)),
    ],
)
def test_the_expected_gain_of_a_layer_is_the_tables(activation: Any, init: Any, rate: float) -> None:  # noqa: ANN401
    """ln χ₁ as in closed form; a kernel of 256 × 256 has its variance within 0.6% in most draws."""
    kinds = [] if activation is None else [activation if isinstance(activation, dict) else {"kind": activation}]
    subject = described([*[dense(256, init, bias=False), *kinds] * 6, dense(4)], (256,), size=8)
    found = structure(subject).mean_field
    assert found is not None
    assert found.layers == 5
    assert found.predicted / 5 == pytest.approx(rate, abs=0.015)


def test_the_expected_gain_is_what_random_networks_show() -> None:
    """Over 5 draws of ten tanh layers, the squared Jacobian's trace agrees with theory to its own √(κL/nS) thrice."""
    depth, width, gains, found = 10, 128, [], None
    for seed in range(5):
        law = {"law": "normal", "std": (4 / width) ** 0.5}
        layers = chain(depth, dense(width, law, bias=False), {"kind": "tanh"})
        subject = described(layers, (width,), size=4, seed=seed)
        found = structure(subject).mean_field
        run = sweep(subject)
        first, last = (_output(run, at) for at in (0, depth - 1))
        back = normal(*last.shape, seed=seed)
        (front,) = torch.autograd.grad(last, first, back)
        gains.append(float((front.square().sum() / back.square().sum()).log()))
    assert found is not None
    assert found.predicted == pytest.approx(sum(gains) / len(gains), abs=3 * math.sqrt(5 * depth / width / 5))


def _output(run: Sweep, at: int) -> Tensor:
    return run.values[weight_layers(run.subject.graph)[at].output]


def test_theory_says_nothing_where_something_else_sets_the_scale() -> None:
    relu, norm = {"kind": "relu"}, {"kind": "layer_norm"}
    assert structure(described(chain(4, dense(16), norm, relu))).mean_field is None
    block = {"kind": "residual", "layers": [dense(16), relu, dense(16)]}
    assert structure(described([dense(16), block, block, dense(4)])).mean_field is None
    assert structure(described([dense(16), relu, dense(4)])).mean_field is None
    assert structure(described([{"kind": "lstm", "units": 8}, dense(8), dense(8), dense(4)], (6, 4))).mean_field is None


def test_the_quadrature_gives_closed_forms() -> None:
    """E[erf(z)²] = (2/π) asin(2/3); E[relu(z)²] = 1/2; a Gaussian has a fourth moment of 3."""
    assert expectation(lambda z: torch.erf(z).square()) == pytest.approx(2 / math.pi * math.asin(2 / 3), abs=1e-12)
    assert expectation(lambda z: functional.relu(z).square()) == pytest.approx(0.5, abs=1e-12)
    assert expectation(lambda z: z**4) == pytest.approx(3, abs=1e-9)


# trained or drawn


def ratio(rows: Tensor) -> float:
    subject = by_hand([node("MatMul", "x w", "y")], {"w": rows}, {"x": normal(4, rows.shape[0])})
    (layer,) = weight_layers(subject.graph)
    found = edge_ratio(subject.graph, layer)
    assert found is not None
    return found


@pytest.mark.parametrize("shape", [(16, 16), (16, 512), (300, 40), (256, 256)])
def test_no_random_law_reaches_beyond_the_edge(shape: tuple[int, int]) -> None:
    """The largest singular value of iid numbers is near s(√m + √n); of orthonormal rows s·√max(m, n)."""
    for seed in range(10):
        assert ratio(normal(*shape, seed=seed)) < BEYOND
        assert ratio(torch.rand(shape, generator=torch.Generator().manual_seed(seed)) - 0.5) < BEYOND
    assert ratio(Orthogonal(shape)(Stream(0))) < 1


def test_training_leaves_a_direction_beyond_the_edge() -> None:
    """A network of torch's own, before and after it learns to tell two directions of noise apart."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
    x = normal(256, 32)
    y = (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()

    def given() -> Subject:
        nodes, weights, value = [], {}, "x"
        for at in (0, 2, 4):
            weights |= {f"w{at}": network[at].weight.detach().clone(), f"b{at}": network[at].bias.detach().clone()}
            nodes += [node("Gemm", f"{value} w{at} b{at}", f"h{at}", transB=1), node("Relu", f"h{at}", f"a{at}")]
            value = f"a{at}"
        return by_hand([*nodes[:-1], node("Identity", "h4", "y")], weights, {"x": x})

    def learnt() -> bool:
        graph = given().graph
        return trained(graph, weight_layers(graph))

    assert not learnt()
    assert structure(given()).mean_field is not None
    optimizer = torch.optim.Adam(network.parameters(), 0.02)
    for _ in range(80):
        optimizer.zero_grad()
        functional.cross_entropy(network(x), y).backward()
        optimizer.step()
    assert learnt()
    assert structure(given()).mean_field is None


def test_a_parameter_with_a_law_is_drawn_whatever_it_looks_like() -> None:
    subject = described([dense(32), {"kind": "relu"}, dense(32)], (32,))
    layers = weight_layers(subject.graph)
    ones = {layer.kernel: torch.ones(32, 32) for layer in layers}
    parameters = {
        name: replace(each, value=ones.get(name, each.value)) for name, each in subject.graph.parameters.items()
    }
    assert not trained(subject.graph.replace(parameters=parameters), layers)
    assert trained(subject.graph.with_parameters(ones), layers)
