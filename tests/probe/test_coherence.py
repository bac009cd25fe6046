"""Coherence of samples whose gradients are known."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.probe.subjects import by_hand, dense, described, node, normal
from worker.probe.coherence import measure_coherence
from worker.subject import Subject


def linear(inputs: Tensor, target: Tensor) -> Subject:
    subject = by_hand([node("MatMul", "x w", "y")], {"w": torch.zeros(inputs.shape[1], 1)}, {"x": inputs})
    return subject.replace(batch=replace(subject.batch, target=target))


@pytest.mark.parametrize(
    ("inputs", "target", "expected"),
    [
        (torch.ones(8, 4), torch.ones(8, 1), 1.0),
        (torch.eye(8), torch.ones(8, 1), 0.0),
        (torch.ones(8, 4), torch.tensor([[1.0], [-1.0]]).repeat(4, 1), -1 / 7),
    ],
    ids=["alike", "orthogonal", "opposite"],
)
def test_the_coherence_of_known_gradients(inputs: Tensor, target: Tensor, expected: float) -> None:
    """At w = 0 a sample's gradient is −2 t x."""
    assert measure_coherence(linear(inputs, target)) == pytest.approx(expected, abs=1e-6)


def test_it_is_the_mean_cosine_over_pairs() -> None:
    inputs, target = normal(6, 3), normal(6, 1, seed=5)
    gradients = torch.nn.functional.normalize(-target * inputs, dim=1)
    pairs = (gradients @ gradients.T).triu(1).sum() / 15
    assert measure_coherence(linear(inputs, target)) == pytest.approx(float(pairs), abs=1e-6)


def test_samples_that_are_normalized_together_have_none() -> None:
    assert "normalized together" in str(measure_coherence(described([{"kind": "batch_norm"}, dense(4)])))


def test_a_sample_without_gradient_is_named() -> None:
    assert measure_coherence(linear(torch.zeros(4, 3), torch.ones(4, 1))) == "sample 0 has no finite gradient but zero"
