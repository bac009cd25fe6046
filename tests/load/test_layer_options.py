"""Activations, normalizations and reshapes with their options, against torch.nn's own."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.load.described import IMAGE, SEQUENCE, VECTOR, build, channels_first, compute, draw, fill
from worker.network.run import Program

VOLUME = (4, 3, 5, 2)


@pytest.mark.parametrize("shape", [VECTOR, SEQUENCE, IMAGE, VOLUME])
@pytest.mark.parametrize(
    ("layer", "module"),
    [
        ({"kind": "log_sigmoid"}, nn.LogSigmoid()),
        ({"kind": "tanh_shrink"}, nn.Tanhshrink()),
        ({"kind": "celu", "alpha": 0.7}, nn.CELU(0.7)),
        ({"kind": "softplus", "beta": 2.5}, nn.Softplus(2.5)),
        ({"kind": "hard_tanh"}, nn.Hardtanh()),
        ({"kind": "hard_tanh", "low": -2, "high": 0.5}, nn.Hardtanh(-2, 0.5)),
        ({"kind": "soft_shrink", "threshold": 0.7}, nn.Softshrink(0.7)),
        ({"kind": "hard_shrink"}, nn.Hardshrink()),
        ({"kind": "threshold", "threshold": 0.3}, nn.Threshold(0.3, 0)),
        ({"kind": "threshold", "threshold": 0.3, "value": -2}, nn.Threshold(0.3, -2)),
        ({"kind": "rrelu"}, nn.RReLU().eval()),
        ({"kind": "rrelu", "lower": 0.1, "upper": 0.5}, nn.RReLU(0.1, 0.5).eval()),
        ({"kind": "prelu"}, nn.PReLU()),
        ({"kind": "prelu", "alpha": 0.1, "slopes": "one"}, nn.PReLU(init=0.1)),
        ({"kind": "exponential"}, torch.exp),
        ({"kind": "squareplus", "b": 2}, lambda x: (x + (x * x + 2).sqrt()) / 2),
        ({"kind": "sparse_sigmoid"}, lambda x: ((x + 1) / 2).clamp(0, 1)),
        ({"kind": "sparse_plus"}, lambda x: torch.where(x < -1, 0, torch.where(x > 1, x, (x + 1) ** 2 / 4))),
        ({"kind": "softmin", "axis": 0}, lambda x: functional.softmin(x, 1)),
        ({"kind": "softmax", "axis": -1}, lambda x: x.softmax(-1)),
        ({"kind": "log_softmax", "axis": 0}, lambda x: x.log_softmax(1)),
        ({"kind": "identity"}, nn.Identity()),
        ({"kind": "rescale", "scale": 0.5, "offset": -3}, lambda x: x / 2 - 3),
        ({"kind": "rescale", "offset": 1}, lambda x: x + 1),
        ({"kind": "rescale"}, nn.Identity()),
        ({"kind": "unit_norm", "axes": [-1]}, lambda x: functional.normalize(x, dim=-1)),
        ({"kind": "unit_norm", "axes": [0], "p": 1}, lambda x: functional.normalize(x, p=1, dim=1)),
        ({"kind": "gaussian_noise", "std": 2}, nn.Identity()),
        ({"kind": "gaussian_dropout", "rate": 0.5}, nn.Identity()),
        ({"kind": "alpha_dropout", "rate": 0.5}, nn.Identity()),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_layers_of_one_value_are_torchs(
    layer: dict[str, Any], module: Callable[[Tensor], Tensor], shape: tuple[int, ...]
) -> None:
    """In values and in the gradient of the input."""
    ours, theirs = ((3 * draw(shape)).requires_grad_() for _ in range(2))
    given, expected = compute(build([layer], shape), ours), module(theirs)
    torch.testing.assert_close(given, expected, rtol=1e-5, atol=1e-5)
    seed = draw(tuple(expected.shape[1:]), seed=1)
    given.backward(seed)
    expected.backward(seed)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("shape", "axis"), [((6,), 1), ((7, 8), 2), ((4, 9, 8), 1)])
def test_glu_halves_the_features_or_the_channels(shape: tuple[int, ...], axis: int) -> None:
    value = draw(shape)
    torch.testing.assert_close(compute(build([{"kind": "glu"}], shape), value), functional.glu(value, axis))
    first, second = value.chunk(2, axis)
    gates = {"silu": functional.silu, "gelu": functional.gelu, "relu": torch.relu, "tanh": torch.tanh}
    for gate, function in {**gates, "none": lambda x: x}.items():
        graph = build([{"kind": "glu", "gate": gate}], shape)
        torch.testing.assert_close(compute(graph, value), first * function(second), rtol=1e-5, atol=1e-6)


def test_sparsemax_is_the_nearest_point_of_the_simplex() -> None:
    """τ found by bisection: the shares max(x - τ, 0) sum to 1."""
    value = draw((4, 9, 8))
    for axis in (0, 1, 2):
        low, high = value.amax(axis + 1, keepdim=True) - 1, value.amax(axis + 1, keepdim=True)
        for _ in range(60):
            middle = (low + high) / 2
            much = (value - middle).clamp(min=0).sum(axis + 1, keepdim=True) > 1
            low, high = torch.where(much, middle, low), torch.where(much, high, middle)
        found = compute(build([{"kind": "sparsemax", "axis": axis}], (4, 9, 8)), value)
        torch.testing.assert_close(found, (value - low).clamp(min=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_normalizations_with_options_are_torchs(training: bool) -> None:  # noqa: FBT001  a parameter of pytest's
    bare = {"scale": False, "shift": False}
    cases: list[tuple[dict[str, Any], tuple[int, ...], Callable[[Tensor], Tensor]]] = [
        ({"kind": "batch_norm", **bare}, IMAGE, nn.BatchNorm2d(4, affine=False).train(training)),
        ({"kind": "batch_norm"}, VOLUME, nn.BatchNorm3d(4).train(training)),
        ({"kind": "layer_norm"}, VOLUME, nn.LayerNorm(VOLUME)),
        ({"kind": "layer_norm", "shift": False}, SEQUENCE, nn.LayerNorm(8, bias=False)),
        ({"kind": "layer_norm", "axes": [-2, -1], **bare}, IMAGE, nn.LayerNorm(IMAGE[1:], elementwise_affine=False)),
        ({"kind": "layer_norm", "axes": [0]}, IMAGE, _over_channels(nn.LayerNorm(4))),
        ({"kind": "layer_norm", "scale": 3, "shift": 2}, SEQUENCE, lambda x: 3 * functional.layer_norm(x, (8,)) + 2),
        ({"kind": "rms_norm", "axes": [0], "epsilon": 1e-3}, IMAGE, _over_channels(nn.RMSNorm(4, eps=1e-3))),
        ({"kind": "rms_norm", "scale": False}, SEQUENCE, nn.RMSNorm(8, eps=1e-6, elementwise_affine=False)),
        ({"kind": "group_norm", "groups": 2, **bare}, VOLUME, nn.GroupNorm(2, 4, affine=False)),
        ({"kind": "group_norm", "groups": 4, "shift": -1}, IMAGE, lambda x: functional.group_norm(x, 4) - 1),
        ({"kind": "instance_norm", **bare}, VOLUME, nn.InstanceNorm3d(4)),
        ({"kind": "local_response_norm", "size": 3, "alpha": 0.5, "beta": 0.6, "k": 2}, IMAGE,
         nn.LocalResponseNorm(3, 0.5, 0.6, 2)),
        ({"kind": "unit_norm"}, IMAGE, lambda x: functional.normalize(x, dim=1)),
        ({"kind": "unit_norm"}, SEQUENCE, lambda x: functional.normalize(x, dim=-1)),
    ]  # fmt: skip
    for layer, shape, module in cases:
        value = 3 * draw(shape) + 1
        given = compute(build([layer], shape), value, training=training)
        torch.testing.assert_close(given, module(value), rtol=1e-4, atol=2e-5, msg=f"{layer} on {shape}")


def _over_channels(module: nn.Module) -> Callable[[Tensor], Tensor]:
    return lambda value: module(value.movedim(1, -1)).movedim(-1, 1)


def test_scale_may_start_at_zero_and_then_learns() -> None:
    graph = build([{"kind": "batch_norm", "name": "n", "scale": 0}], VECTOR)
    assert graph.parameters["n.scale"].value.eq(0).all()
    assert not build([{"kind": "batch_norm", "scale": False, "shift": False}], VECTOR).parameters


def test_a_padding_token_is_zeros_and_its_row_never_learns() -> None:
    layer = {"kind": "embedding", "classes": 9, "dim": 4, "padding": 2, "name": "e"}
    graph = build([layer], (5,), dtype="int64")
    table = graph.parameters["e.kernel"].value.clone().requires_grad_()
    module = nn.Embedding(9, 4, padding_idx=2)
    module = fill(module, {"weight": torch.where(torch.arange(9).unsqueeze(1) == 2, 0, table.detach())})
    tokens = torch.tensor([[0, 2, 1, 2, 8]])
    found = Program(graph).run({"input": tokens}, {"e.kernel": table})["output"]
    torch.testing.assert_close(found, module(tokens))
    for output in (found, module(tokens)):
        output.square().sum().backward()
    torch.testing.assert_close(table.grad, module.weight.grad)


@pytest.mark.parametrize(
    ("layer", "shape", "function"),
    [
        ({"kind": "flatten", "first": 1}, (7, 4, 2), lambda x: x.flatten(2)),
        ({"kind": "flatten", "last": 1}, VOLUME, lambda x: x.flatten(1, 2)),
        ({"kind": "flatten"}, VOLUME, lambda x: x.flatten(1)),
        ({"kind": "reshape", "shape": [3, -1, 2]}, (4, 6), lambda x: x.reshape(-1, 3, 4, 2)),
        ({"kind": "permute", "axes": [3, 0, 1, 2]}, VOLUME, lambda x: x.permute(0, 4, 1, 2, 3)),
        ({"kind": "repeat_vector", "times": 3}, (6,), lambda x: x.unsqueeze(1).expand(-1, 3, -1)),
        ({"kind": "slice", "axis": 0, "start": -3}, (7, 8), lambda x: x[:, -3:]),
        ({"kind": "slice", "axis": -1, "start": 1, "stop": -1, "step": 2}, (7, 8), lambda x: x[:, :, 1:-1:2]),
        ({"kind": "select", "axis": 0, "index": -1}, (7, 8), lambda x: x[:, -1]),
        ({"kind": "squeeze", "axis": -2}, (1, 8), lambda x: x.squeeze(1)),
        ({"kind": "unsqueeze", "axis": -1}, (7, 8), lambda x: x.unsqueeze(-1)),
        ({"kind": "unsqueeze", "axis": 0}, (8,), lambda x: x.unsqueeze(1)),
    ],
)
def test_reshapes_are_torchs(
    layer: dict[str, Any], shape: tuple[int, ...], function: Callable[[Tensor], Tensor]
) -> None:
    torch.testing.assert_close(compute(build([layer], shape), draw(shape)), function(draw(shape)))


def test_batch_norm_over_a_sequence_is_torchs_with_the_channels_first() -> None:
    value = 3 * draw(SEQUENCE) + 1
    module = channels_first(nn.BatchNorm1d(8, affine=False).train())
    given = compute(build([{"kind": "batch_norm", "scale": False, "shift": False}], SEQUENCE), value, training=True)
    torch.testing.assert_close(given, module(value), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "module"),
    [
        ({"kind": "relu"}, nn.ReLU()),
        ({"kind": "relu6"}, nn.ReLU6()),
        ({"kind": "hard_tanh"}, nn.Hardtanh()),
        ({"kind": "soft_shrink"}, nn.Softshrink()),
        ({"kind": "hard_shrink"}, nn.Hardshrink()),
        ({"kind": "leaky_relu"}, nn.LeakyReLU()),
        ({"kind": "threshold", "threshold": 1}, nn.Threshold(1, 0)),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_no_gradient_passes_a_bend_that_passes_none_in_torch(layer: dict[str, Any], module: nn.Module) -> None:
    """Zeros are no rarity: a normalization gives them where a channel is dead."""
    ours, theirs = (torch.tensor([[-1.0, -0.5, 0.0, 0.5, 1.0, 6.0]]).requires_grad_() for _ in range(2))
    compute(build([layer], (6,)), ours).sum().backward()
    module(theirs).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
