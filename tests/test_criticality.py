"""The critical scale, against the literature, an independent quadrature, and networks that are drawn at it."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from scipy import integrate
from scipy.optimize import brentq

from worker.criticality import critical
from worker.network.graph import Graph, Node, Parameter

Function = Callable[[float], float]


def activation(op: str, **numbers: float | str) -> Node:
    return Node(op, ("x",), ("y",), op, numbers)


@pytest.mark.parametrize(
    ("node", "weights", "biases"),
    [
        (activation("Relu"), 2.0, 0.0),
        (activation("LeakyRelu"), 2 / 1.0001, 0.0),
        (activation("LeakyRelu", alpha=0.2), 2 / 1.04, 0.0),
        (activation("Selu"), 1.0, 0.0),
        (activation("Gelu"), 1.98305826, 0.17292239),
        (activation("Swish"), 1.98800468, 0.55514317),
        (activation("Swish", alpha=2.0), 1.98800468, 0.55514317 / 4),
        (activation("Elu"), 1.496777, 0.034660),
        (activation("Identity"), 1.0, 0.0),
    ],
    ids=lambda given: f"{given.op}{dict(given.attributes) or ''}" if isinstance(given, Node) else "",
)
def test_the_pair_is_the_one_of_the_literature(node: Node, weights: float, biases: float) -> None:
    """Values of Roberts, Yaida and Hanin 2022 and of closed forms; x σ(a x) is that of a = 1, lengths by 1/a."""
    assert critical(node)[:2] == pytest.approx((weights, biases), rel=2e-5)


PHI: dict[str, tuple[Node, Function]] = {
    "Elu": (activation("Elu", alpha=0.5), lambda x: x if x > 0 else 0.5 * math.expm1(x)),
    "Gelu": (activation("Gelu"), lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2),
    "Swish": (activation("Swish"), lambda x: x / (1 + math.exp(-x))),
    "Mish": (activation("Mish"), lambda x: x * math.tanh(math.log1p(math.exp(x)) if x < 30 else x)),
    "HardSwish": (activation("HardSwish"), lambda x: x * min(1.0, max(0.0, x / 6 + 0.5))),
    "Celu": (activation("Celu", alpha=2.0), lambda x: x if x > 0 else 2 * math.expm1(x / 2)),
    "Clip": (activation("Clip", min=0.0, max=1.5), lambda x: min(1.5, max(0.0, x))),
}
"""Activations with critical pairs, in words of their own."""


@pytest.mark.parametrize("name", PHI)
def test_at_the_pair_a_length_is_kept_with_a_gradient_gain_of_one(name: str) -> None:
    """Where χ₁ = σ_w² E[φ'²] is 1, found by Brent's method, σ_w² E[φ²] + σ_b² gives the length back."""
    node, phi = PHI[name]
    weights, biases, attained = critical(node)
    assert attained
    lengths = [
        brentq(lambda q: weights * slope(phi, q) - 1, low, high, xtol=1e-4)
        for low, high in itertools.pairwise((0.55, 1.15, 2.1, 3.2, 4.0, 6.0, 12.0, 16.0))
        if (weights * slope(phi, low) - 1) * (weights * slope(phi, high) - 1) < 0
    ]
    assert lengths
    errors = [weights * mean(lambda x: phi(x) ** 2, length) + biases - length for length in lengths]
    assert min(map(abs, errors)) < 2e-3


def slope(phi: Function, length: float) -> float:
    """Return E[φ'²], by differences."""
    step = 1e-5
    return mean(lambda x: ((phi(x + step) - phi(x - step)) / (2 * step)) ** 2, length)


def mean(of: Function, length: float) -> float:
    """Return the mean over a normal law of this variance, by adaptive quadrature."""
    root = math.sqrt(length)

    def weighed(z: float) -> float:
        return of(root * z) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    places = [0.0, *(place / root for place in (-3, 1.5, 3) if abs(place / root) < 8)]
    return float(integrate.quad(weighed, -8, 8, points=places, limit=200)[0])


@pytest.mark.parametrize(
    ("op", "phi"), [("Tanh", math.tanh), ("Softsign", lambda x: x / (1 + abs(x)))], ids=["tanh", "softsign"]
)
def test_behind_odd_functions_the_gain_is_a_little_above_one_at_rest(op: str, phi: Function) -> None:
    weights, biases, _ = critical(activation(op))
    assert biases == 0
    lengths = torch.logspace(-6, 0, 200).tolist()
    kept = min(lengths, key=lambda q: abs(weights * mean(lambda x: phi(x) ** 2, q) / q - 1))
    assert 0.999 <= weights * slope(phi, kept) < 1.002


@pytest.mark.parametrize(
    ("op", "weights"), [("Sigmoid", 1.0), ("HardSigmoid", 1.0), ("Softplus", 2.0), ("ThresholdedRelu", 2.0)]
)
def test_where_no_scale_is_critical_that_is_said(op: str, weights: float) -> None:
    assert critical(activation(op)) == (weights, 0.0, False)


def test_slopes_and_bounds_that_are_tensors_are_read() -> None:
    slopes = torch.tensor([0.1, 0.7])
    held = Graph((), (), (), {"s": Parameter(slopes)}, {"low": torch.tensor(0.0), "high": torch.tensor(6.0)})
    learnt = Node("PRelu", ("x", "s"), ("y",), "y")
    bounded = Node("Clip", ("x", "low", "high"), ("y",), "y")
    assert critical(learnt, held).weights == pytest.approx(2 / (1 + (0.01 + 0.49) / 2))
    assert critical(bounded, held).weights == pytest.approx(2, abs=1e-6)
    assert critical(learnt) == critical(bounded) == (1.0, 0.0, True)


@pytest.mark.parametrize(
    "node",
    [
        activation("NoSuchThing"),
        activation("HardSigmoid", alpha=0.0),
        activation("Clip", min=2.0, max=1.0),
        activation("Elu", alpha=math.nan),
        activation("Celu", alpha=0.0),
    ],
    ids=lambda node: node.op,
)
def test_what_has_no_scale_is_treated_as_linear(node: Node) -> None:
    assert critical(node).weights == 1


DEPTH, WIDTH, SEEDS = 25, 256, 3


def log_gain(node: Node, function: Callable[[torch.Tensor], torch.Tensor], start: float) -> float:
    """Return ln of the squared gradient's gain per layer through a network drawn at the critical scale."""
    weights, biases, _ = critical(node)
    gains = []
    for seed in range(SEEDS):
        generator = torch.Generator().manual_seed(seed)
        given = torch.randn(32, WIDTH, generator=generator).mul(math.sqrt(start)).requires_grad_()
        value = given
        for _ in range(DEPTH):
            kernel = torch.randn(WIDTH, WIDTH, generator=generator) * math.sqrt(weights / WIDTH)
            value = function(value) @ kernel + torch.randn(WIDTH, generator=generator) * math.sqrt(biases)
        cotangent = torch.randn(value.shape, generator=generator)
        (back,) = torch.autograd.grad((value * cotangent).sum(), given)
        gains.append(math.log(float(back.square().sum() / cotangent.square().sum())) / DEPTH)
    return sum(gains) / SEEDS


F = torch.nn.functional


@pytest.mark.parametrize(
    ("node", "function", "start"),
    [
        (activation("Relu"), torch.relu, 1.0),
        (activation("LeakyRelu", alpha=0.3), lambda x: F.leaky_relu(x, 0.3), 1.0),
        (activation("Elu"), F.elu, 1.0),
        (activation("Gelu"), F.gelu, 3.56),
        (activation("Swish"), F.silu, 14.3),
        (activation("Mish"), F.mish, 1.6),
        (activation("HardSwish"), F.hardswish, 4.9),
        (activation("Tanh"), torch.tanh, 0.025),
    ],
    ids=lambda given: given.op if isinstance(given, Node) else "",
)
def test_a_deep_network_at_the_critical_scale_keeps_its_gradient(
    node: Node, function: Callable[[torch.Tensor], torch.Tensor], start: float
) -> None:
    """Finite width takes κ/2n ≤ .02 per layer, and its scatter, with drifting lengths, is 3 √(κ / nLS) ≤ .05."""
    assert abs(log_gain(node, function, start)) < 0.07


def test_selu_grows_by_what_its_authors_scale_gives() -> None:
    """χ₁ = 1.071575 at Klambauer's fixed point."""
    assert log_gain(activation("Selu"), F.selu, 1.0) == pytest.approx(math.log(1.071575), abs=0.05)


def test_softplus_fades_less_at_its_scale_than_at_lecuns() -> None:
    """At variance 1 a layer leaves .2887 of a squared gradient at rest; at 2, lengths grow towards the rectifier's."""
    assert -0.5 < log_gain(activation("Softplus"), F.softplus, 1.0) < -0.05
