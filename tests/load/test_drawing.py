"""Weights of described layers, drawn by the laws that the file names."""

from typing import Any

import pytest
import torch
from torch import Tensor

from service.contract.problem import Invalid
from tests.load.described import build


def kernel(init: Any, layer: dict[str, Any], shape: tuple[int, ...], name: str = "kernel") -> Tensor:  # noqa: ANN401  JSON
    """Return the drawn kernel of one layer."""
    graph = build([{"name": "a", **layer, "init": init}], shape)
    return graph.parameters[f"a.{name}"].value


CONV = {"kind": "conv2d", "filters": 6, "kernel": 3}


def middle(weight: Tensor) -> Tensor:
    assert weight.count_nonzero() == weight[:, :, 1, 1].count_nonzero()
    return weight[:, :, 1, 1]


def test_a_delta_orthogonal_convolution_is_orthogonal_in_the_middle() -> None:
    found = middle(kernel({"law": "delta_orthogonal", "gain": 2}, CONV, (4, 8, 8)))
    torch.testing.assert_close(found.T @ found, 4 * torch.eye(4))


def test_groups_are_drawn_by_themselves() -> None:
    found = middle(kernel("delta_orthogonal", {**CONV, "groups": 2}, (4, 8, 8)))
    for group in found.chunk(2):
        torch.testing.assert_close(group.T @ group, torch.eye(2))


def test_a_depthwise_identity_passes_every_channel_on() -> None:
    found = kernel("identity", {"kind": "depthwise_conv2d", "kernel": 3}, (5, 8, 8))
    assert torch.equal(middle(found), torch.ones(5, 1))


def test_a_transposed_kernel_leads_from_its_inputs_to_its_outputs() -> None:
    found = middle(kernel("delta_orthogonal", {**CONV, "kind": "conv2d_transpose"}, (4, 8, 8)))
    assert found.shape == (4, 6)
    torch.testing.assert_close(found @ found.T, torch.eye(4))


def test_kerass_default_is_drawn_by_the_kind_of_weight() -> None:
    dense = kernel("keras_default", {"kind": "dense", "units": 300}, (200,))
    assert dense.abs().max() <= (6 / 500) ** 0.5
    assert dense.var().item() == pytest.approx(2 / 500, rel=0.05)
    recurrent = kernel("keras_default", {"kind": "rnn", "units": 8}, (5, 3), "recurrent")[0]
    torch.testing.assert_close(recurrent @ recurrent.T, torch.eye(8))
    table = build(
        [{"kind": "embedding", "name": "a", "classes": 99, "dim": 40, "init": "keras_default"}], (5,), dtype="int64"
    )
    assert table.parameters["a.kernel"].value.abs().max() <= 0.05
    biased = build([{"kind": "dense", "name": "a", "units": 3, "init": "keras_default"}], (4,))
    assert not biased.parameters["a.bias"].value.any()


def test_what_only_the_loader_sees_is_refused_at_the_layers_laws() -> None:
    with pytest.raises(Invalid, match="convolution kernels") as caught:
        build([{"kind": "gru", "units": 4, "init": "delta_orthogonal"}], (5, 3))
    assert caught.value.pointer == "/layers/0/init/kernel"


def test_one_seed_draws_the_same_weights_whatever_else_the_network_holds() -> None:
    alone = build([{"kind": "dense", "units": 4, "name": "a"}], (3,))
    among = build([{"kind": "dense", "units": 3, "name": "b"}, {"kind": "dense", "units": 4, "name": "a"}], (3,))
    assert torch.equal(alone.parameters["a.kernel"].value, among.parameters["a.kernel"].value)
    assert torch.equal(alone.parameters["a.kernel"].value, alone.redrawn(0).parameters["a.kernel"].value)
