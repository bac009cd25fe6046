"""The Jacobian's spectrum against exact singular values and random matrix theory."""

import pytest
import torch

from tests.probe.subjects import chain, dense, described
from worker.probe.evidence import Isometry
from worker.probe.jacobian import measure_isometry
from worker.probe.sweep import sweep
from worker.subject import Subject

SIZE = 128


def isometry(subject: Subject) -> Isometry:
    found = measure_isometry(sweep(subject))
    assert isinstance(found, Isometry)
    return found


@pytest.mark.parametrize("gain", [1.0, 0.5])
def test_an_orthogonal_linear_network_has_an_index_of_one(gain: float) -> None:
    found = isometry(described(chain(6, dense(32, {"law": "orthogonal", "gain": gain})), (32,)))
    assert found.index == pytest.approx(1, abs=0.1)
    assert found.largest_square == pytest.approx(gain**10, rel=1e-3)


@pytest.mark.parametrize("layers", [2, 4])
def test_gaussian_matrices_in_a_row_have_their_products_spectrum_and_nearly_fuss_and_catalans(layers: int) -> None:
    """At most (L+1)^(L+1)/L^L, a fifth less at these widths; and exactly the singular values of the product."""
    network = chain(layers + 1, dense(SIZE, "lecun_normal"))
    subject = described(network, (SIZE,), size=16)
    kernels = [p.value for name, p in subject.graph.parameters.items() if p.value.shape == (SIZE, SIZE)][1:]
    assert len(kernels) == layers
    values = torch.linalg.svdvals(torch.linalg.multi_dot(kernels))
    found = isometry(subject)
    assert found.mean_square == pytest.approx(float(values.square().mean()), abs=6 * found.standard_error)
    assert 0.85 * float(values[0] ** 2) < found.largest_square <= float(values[0] ** 2) * 1.001
    assert found.index == pytest.approx((layers + 1) ** (layers + 1) / layers**layers, rel=0.35)


def test_a_jacobian_takes_two_hidden_layers() -> None:
    assert "fewer than two hidden layers" in str(measure_isometry(sweep(described([dense(8), dense(4)]))))


def test_a_jacobian_that_underflows_is_not_judged() -> None:
    tiny = described(chain(40, dense(8, {"law": "normal", "std": 1e-3})), (8,))
    assert "zero or not finite" in str(measure_isometry(sweep(tiny)))
