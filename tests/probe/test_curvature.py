"""Sharpness against known spectra, dense Hessians and the optimizers themselves."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from service.contract.words import LossName, OptimizerName
from tests.probe.subjects import by_hand, dense, described, node, normal
from worker.loss import Loss
from worker.optimizers import Optimizer
from worker.probe.curvature import bound, lanczos, measure_sharpness
from worker.probe.evidence import Sharpness
from worker.probe.landscape import Landscape
from worker.subject import Subject

SGD = Optimizer(OptimizerName.SGD, 0.1)
TWO_LAYERS = {"a": normal(6, 5, seed=1) / 2, "b": normal(5, 3, seed=2) / 2}


def sharpness(subject: Subject, optimizer: Optimizer = SGD) -> Sharpness:
    found = measure_sharpness(subject, optimizer)
    assert isinstance(found, Sharpness)
    return found


def two_layers(activation: str) -> Subject:
    nodes = [node("MatMul", "x a", "h"), node(activation, "h", "z"), node("MatMul", "z b", "y")]
    return by_hand(nodes, TWO_LAYERS, {"x": normal(20, 6, seed=4)})


def hessian(subject: Subject, activation: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the Hessian of the two layers' squared error, one row at a time."""

    def loss(weights: Tensor) -> Tensor:
        first, second = weights[:30].view(6, 5), weights[30:].view(5, 3)
        return functional.mse_loss(activation(subject.batch.inputs["x"] @ first) @ second, subject.target)

    weights = torch.cat([TWO_LAYERS["a"].flatten(), TWO_LAYERS["b"].flatten()])
    found: Tensor = torch.autograd.functional.hessian(loss, weights)  # type: ignore[no-untyped-call]
    return found


@pytest.mark.parametrize("samples", [16, 64])
def test_the_sharpness_of_linear_regression_is_its_inputs_largest_second_moment(samples: int) -> None:
    """H = 2 xᵀx / (numbers of the output), once for each output."""
    inputs = normal(samples, 6) * torch.tensor([3.0, 1, 1, 0.5, 0.5, 0.1])
    found = sharpness(by_hand([node("MatMul", "x w", "y")], {"w": normal(6, 3)}, {"x": inputs}))
    exact = float(torch.linalg.eigvalsh(2 * inputs.T @ inputs / (3 * samples))[-1])
    assert found.value == pytest.approx(exact, rel=1e-4)
    assert found.critical_rate == pytest.approx(2 / exact, rel=1e-4)
    assert found.preconditioned == found.value
    assert not found.differences


@pytest.mark.parametrize(
    ("name", "activation"), [("Tanh", torch.tanh), ("Relu", torch.relu), ("Sigmoid", torch.sigmoid)]
)
def test_the_sharpness_of_a_small_network_is_its_dense_hessians(
    name: str, activation: Callable[[Tensor], Tensor]
) -> None:
    """Eight steps from the gradient find .99 of it in the mean, and .87 at worst."""
    subject = two_layers(name)
    exact = float(torch.linalg.eigvalsh(hessian(subject, activation))[-1])
    found = sharpness(subject)
    assert found.products == 8
    assert 0.9 * exact < found.value < exact * (1 + 1e-4)


def test_a_hessian_times_a_vector_is_the_dense_one_times_it_by_either_way() -> None:
    subject = two_layers("Tanh")
    vector = normal(45, seed=9)
    expected = hessian(subject, torch.tanh) @ vector
    _, curvature = Landscape(subject).curved()
    torch.testing.assert_close(curvature(vector), expected, rtol=1e-4, atol=1e-5)
    curvature.differences = True
    torch.testing.assert_close(curvature(vector), expected, rtol=0.02, atol=0.02 * float(expected.abs().max()))


def test_where_an_operator_has_no_second_derivative_gradients_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.cdist has a first derivative only; the same distances by a norm have both."""
    subject = by_hand([node("MatMul", "x w", "y")], {"w": normal(6, 3)}, {"x": normal(32, 6)})
    monkeypatch.setattr(Loss, "__call__", lambda _, output, target: (output - target[:1]).norm(3, dim=1).mean())
    smooth = sharpness(subject)
    monkeypatch.setattr(Loss, "__call__", lambda _, output, target: torch.cdist(output, target[:1], 3).mean())
    found = sharpness(subject)
    assert not smooth.differences
    assert found.differences
    assert found.value == pytest.approx(smooth.value, rel=0.02)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_the_losss_scale_multiplies_sharpness_and_leaves_the_preconditioned_alone(factor: float) -> None:
    subject = described([dense(16), {"kind": "tanh"}, dense(4)])
    scaled = subject.replace(loss=Loss(LossName.MSE, scale=factor))
    adam = Optimizer(OptimizerName.ADAM, 1e-3)
    found, again = sharpness(subject, adam), sharpness(scaled, adam)
    assert again.value == pytest.approx(factor * found.value, rel=1e-3)
    assert again.preconditioned == pytest.approx(found.preconditioned, rel=1e-3)
    assert found.critical_rate == pytest.approx(38 / found.preconditioned)


@pytest.mark.parametrize(
    ("name", "momentum"),
    [
        (OptimizerName.SGD, None),
        (OptimizerName.SGD, 0.5),
        (OptimizerName.MOMENTUM, None),
        (OptimizerName.NESTEROV, None),
        (OptimizerName.NESTEROV, 0.5),
    ],
)
@pytest.mark.parametrize("factor", [0.98, 1.02])
def test_torchs_optimizer_diverges_on_a_quadratic_from_the_bound_on(
    name: OptimizerName, momentum: float | None, factor: float
) -> None:
    """On λw²/2 with λ = 3."""
    weight = torch.ones(1, requires_grad=True)
    optimizer = Optimizer(name, 0.0, momentum)
    steps = Optimizer(name, factor * bound(optimizer) / 3, momentum).build([weight])
    for _ in range(500):
        steps.zero_grad()
        (3 * weight.square() / 2).sum().backward()  # type: ignore[no-untyped-call]
        steps.step()
    assert bool(weight.detach().abs() <= 1) is (factor < 1)


def test_lanczos_finds_the_largest_eigenvalue_of_a_spread_spectrum_and_never_more() -> None:
    values = torch.linspace(-5, 10, 200)
    found = lanczos(lambda vector: values * vector, torch.ones(200), steps=15)
    assert 9.8 < found <= 10 * (1 + 1e-6)


@pytest.mark.parametrize("values", [[2.0, 2.0, 2.0], [4.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
def test_lanczos_stops_where_the_spectrum_is_exhausted(values: list[float]) -> None:
    calls = []

    def product(vector: Tensor) -> Tensor:
        calls.append(vector)
        return torch.tensor(values) * vector

    assert lanczos(product, torch.tensor([1.0, 2.0, 3.0])) == pytest.approx(max(values), rel=1e-4)
    assert len(calls) <= 3


@pytest.mark.parametrize(
    "layers",
    [
        [{"kind": "lstm", "units": 8}, dense(4)],
        [{"kind": "self_attention", "heads": 2}, {"kind": "layer_norm"}, dense(4)],
        [{"kind": "batch_norm"}, {"kind": "gelu"}, {"kind": "dropout", "rate": 0.5}, dense(4)],
    ],
    ids=["lstm", "attention", "norms"],
)
def test_networks_of_other_kinds_have_a_second_derivative(layers: list[dict[str, object]]) -> None:
    found = sharpness(described(layers, (6, 8)))
    assert not found.differences
    assert 0 < found.value < math.inf


def test_a_network_that_no_gradient_reaches_has_no_sharpness() -> None:
    nothing = by_hand([node("MatMul", "x w", "y")], {"w": normal(6, 3)}, {"x": torch.zeros(8, 6)})
    assert measure_sharpness(nothing, SGD) == "no gradient reaches a weight"
