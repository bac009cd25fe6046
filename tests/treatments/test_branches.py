"""What treatments do to residual branches: the laws of Fixup and of scaled branches."""

import math

import pytest
import torch

from tests.probe.subjects import by_hand, dense, described, node, normal
from tests.treatments.applied import output, refused, treated, weight
from worker.subject import Subject

RELU = {"kind": "relu"}


def residual(count: int, *, norm: bool = False, size: int = 12) -> Subject:
    last = [{"kind": "layer_norm"}] if norm else []
    block = {"kind": "residual", "layers": [dense(size), RELU, dense(size), *last]}
    return described([*[block] * count, dense(3)], (size,))


@pytest.mark.parametrize("norm", [False, True])
def test_blocks_that_start_at_zero_are_the_identity(norm: bool) -> None:  # noqa: FBT001
    before = residual(4, norm=norm)
    after = treated("zero-init-branch", before)
    given = before.batch.inputs["input"]
    head = given @ weight(before, "layers/4.kernel") + weight(before, "layers/4.bias")
    torch.testing.assert_close(output(after), head, rtol=1e-5, atol=1e-5)
    assert "already" in refused("zero-init-branch", after)


def test_fixup_scales_the_layers_before_the_last_by_the_number_of_branches() -> None:
    """L^(-1 / (2m - 2)) is 1/√L for branches of m = 2 layers."""
    before = residual(9)
    after = treated("zero-init-branch", before)
    for block in range(9):
        name = f"layers/{block}/layers/0.kernel"
        torch.testing.assert_close(weight(after, name), weight(before, name) / 3)


def test_a_block_whose_skip_reads_the_networks_input_is_scaled_as_all_others() -> None:
    before = residual(2)
    after = treated("residual-scale", before)
    for block in range(2):
        name = f"layers/{block}/layers/2.kernel"
        torch.testing.assert_close(weight(after, name), weight(before, name) / 2)


def test_a_branch_beside_a_projection_counts_and_the_projection_is_left_alone() -> None:
    nodes = [
        node("MatMul", "x a", "h"),
        node("Relu", "h", "r"),
        node("MatMul", "r b", "e"),
        node("MatMul", "x p", "s"),
        node("Add", "s e", "j"),
        node("MatMul", "j c", "y"),
    ]
    shapes = {"a": (8, 8), "b": (8, 6), "p": (8, 6), "c": (6, 2)}
    before = by_hand(nodes, {name: normal(*shape) for name, shape in shapes.items()}, {"x": normal(16, 8)})
    after = treated("zero-init-branch", before)
    assert not weight(after, "b").any()
    assert torch.equal(weight(after, "p"), weight(before, "p"))


def test_a_branch_that_a_number_scales_ends_in_its_last_layer() -> None:
    nodes = [
        node("MatMul", "x a", "h"),
        node("Relu", "h", "r"),
        node("MatMul", "r b", "e"),
        node("Mul", "e s", "t"),
        node("Add", "x t", "y"),
    ]
    weights = {"a": normal(8, 8), "b": normal(8, 8)}
    before = by_hand(nodes, weights, {"x": normal(16, 8)}, constants={"s": torch.tensor(3.0)})
    assert torch.equal(output(treated("zero-init-branch", before)), before.batch.inputs["x"])
    scaled = treated("residual-scale", before)
    torch.testing.assert_close(weight(scaled, "b"), weight(before, "b") / math.sqrt(2))
