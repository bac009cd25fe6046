"""Convolutions, pooling and resampling, against torch.nn with the same weights."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from service.contract.problem import Invalid
from tests.load.described import IMAGE, SEQUENCE, build, channels_first, compute, draw, fill
from worker.network.graph import Graph
from worker.network.laws import Uniform

VOLUME = (4, 5, 6, 7)
SHAPES = {1: SEQUENCE, 2: IMAGE, 3: VOLUME}
CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSES = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


def channels(axes: int) -> int:
    """Return how many channels the sample of this many inner axes has."""
    return SHAPES[axes][0] if axes > 1 else SHAPES[axes][-1]


def alike(graph: Graph, module: nn.Module, shape: tuple[int, ...]) -> None:
    """Hold a graph to a module: the same output, and the same gradient for the input."""
    ours, theirs = draw(shape).requires_grad_(), draw(shape).requires_grad_()
    found = compute(graph, ours)
    expected = (channels_first(module) if len(shape) == len(SEQUENCE) else module)(theirs)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    weights = draw(tuple(expected.shape[1:]), seed=1)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-5)


def loaded(module: nn.Module, graph: Graph) -> nn.Module:
    """Return the module with the weights of the graph's layer `c`."""
    return fill(module, {"weight": value(graph, "kernel"), "bias": value(graph, "bias")})


def value(graph: Graph, role: str) -> Tensor:
    """Return a weight of the layer `c`."""
    return graph.parameters[f"c.{role}"].value


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(
    "options",
    [
        {"kernel": 3},
        {"kernel": 3, "stride": 2, "padding": 1},
        {"kernel": 2, "dilation": 2, "groups": 2},
        {"kernel": 3, "padding": "same", "dilation": 2},
        {"kernel": 1, "groups": 4},
    ],
)
def test_convolutions_are_torchs(axes: int, options: dict[str, Any]) -> None:
    graph = build([{"kind": f"conv{axes}d", "filters": 8, "name": "c", **options}], SHAPES[axes])
    arguments = {{"kernel": "kernel_size"}.get(name, name): each for name, each in options.items()}
    alike(graph, loaded(CONVS[axes](channels(axes), 8, **arguments), graph), SHAPES[axes])


def test_padding_may_differ_between_axes() -> None:
    graph = build([{"kind": "conv2d", "filters": 6, "kernel": 3, "padding": [0, 2], "name": "c"}], IMAGE)
    alike(graph, loaded(nn.Conv2d(4, 6, 3, padding=(0, 2)), graph), IMAGE)


def test_causal_windows_do_not_see_the_future() -> None:
    layer = {"kind": "conv1d", "filters": 6, "kernel": 3, "dilation": 2, "padding": "causal", "name": "c"}
    graph = build([layer], SEQUENCE)
    padded = nn.Sequential(nn.ConstantPad1d((4, 0), 0.0), loaded(nn.Conv1d(8, 6, 3, dilation=2), graph))
    alike(graph, padded, SEQUENCE)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(
    "options",
    [
        {"kernel": 3},
        {"kernel": 4, "stride": 2, "padding": 1},
        {"kernel": 3, "stride": 2, "padding": 1, "output_padding": 1},
        {"kernel": 2, "stride": 3, "output_padding": 2, "groups": 2},
        {"kernel": 3, "dilation": 2, "output_padding": 1, "groups": 4},
    ],
)
def test_transposed_convolutions_are_torchs(axes: int, options: dict[str, Any]) -> None:
    graph = build([{"kind": f"conv{axes}d_transpose", "filters": 8, "name": "c", **options}], SHAPES[axes])
    arguments = {{"kernel": "kernel_size"}.get(name, name): each for name, each in options.items()}
    alike(graph, loaded(TRANSPOSES[axes](channels(axes), 8, **arguments), graph), SHAPES[axes])


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [*itertools.product((1, 2, 3, 5), (1, 2, 3), (1, 2))])
def test_a_same_transposed_convolution_is_the_adjoint_of_a_same_convolution(
    kernel: int, stride: int, dilation: int
) -> None:
    """〈conv(x), y〉 = 〈x, transposed(y)〉 for the x that the transposed one makes, a kernel and no bias."""
    options = {"filters": 1, "kernel": kernel, "stride": stride, "dilation": dilation, "padding": "same", "bias": False}
    there = build([{"kind": "conv1d", "name": "c", **options}], (5 * stride, 1))
    back = build([{"kind": "conv1d_transpose", "name": "c", **options}], (5, 1))
    back = back.with_parameters({"c.kernel": value(there, "kernel")})
    x, y = draw((5 * stride, 1)), draw((5, 1), seed=1)
    torch.testing.assert_close((compute(there, x) * y).sum(), (x * compute(back, y)).sum(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("multiplier", [1, 3])
def test_depthwise_convolutions_are_torchs_with_a_group_per_channel(axes: int, multiplier: int) -> None:
    layer = {"kind": f"depthwise_conv{axes}d", "kernel": 3, "stride": 2, "multiplier": multiplier, "name": "c"}
    graph, count = build([layer], SHAPES[axes]), channels(axes)
    alike(graph, loaded(CONVS[axes](count, multiplier * count, 3, stride=2, groups=count), graph), SHAPES[axes])


@pytest.mark.parametrize("axes", [1, 2])
def test_separable_convolutions_are_a_depthwise_and_a_pointwise_one(axes: int) -> None:
    layer = {
        "kind": f"separable_conv{axes}d",
        "filters": 6,
        "kernel": 3,
        "dilation": 2,
        "multiplier": 2,
        "name": "c",
        "init": {"kernel": "zeros", "bias": "ones"},
        "depthwise_init": {"law": "uniform", "low": 1, "high": 2},
    }
    graph, count = build([layer], SHAPES[axes]), channels(axes)
    assert graph.parameters["c.depthwise"].law == Uniform((2 * count, 1, *[3] * axes), 1, 2)
    assert not value(graph, "kernel").any()
    graph = graph.with_parameters({"c.kernel": draw((2 * count, *[1] * axes), 6)})
    deep = fill(
        CONVS[axes](count, 2 * count, 3, dilation=2, groups=count, bias=False), {"weight": value(graph, "depthwise")}
    )
    alike(graph, nn.Sequential(deep, loaded(CONVS[axes](2 * count, 6, 1), graph)), SHAPES[axes])


@pytest.mark.parametrize(
    ("layer", "module"),
    [
        ({"kind": "conv3d", "filters": 64}, lambda: nn.Conv3d(4, 64, 3)),
        ({"kind": "conv2d_transpose", "filters": 64}, lambda: nn.ConvTranspose2d(4, 64, 3)),
        ({"kind": "depthwise_conv2d", "multiplier": 200}, lambda: nn.Conv2d(4, 800, 3, groups=4)),
    ],
)
def test_the_default_law_is_pytorchs(layer: dict[str, Any], module: Callable[[], nn.Module]) -> None:
    """The largest weight and bias are at PyTorch's bound, which the module's own draw comes close to."""
    shape = VOLUME if "3d" in layer["kind"] else IMAGE
    graph = build([{"kernel": 3, "name": "c", **layer}], shape)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = module()
    for role, theirs in (("kernel", drawn.weight), ("bias", drawn.bias)):
        assert value(graph, role).shape == theirs.shape
        assert value(graph, role).abs().max().item() == pytest.approx(theirs.abs().max().item(), rel=0.1)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "ceil"),
    [(2, None, 0, False), (3, 2, 1, False), (3, 2, 1, True), (2, 3, 1, True), (3, 2, 0, True), (3, 1, 1, True)],
)
@pytest.mark.parametrize("option", [False, True])
def test_pooling_is_torchs(axes: int, kernel: int, stride: int | None, padding: int, ceil: bool, option: bool) -> None:  # noqa: FBT001, PLR0917  parameters of pytest's
    """`option` is the dilation of a maximum, and whether padding counts in a mean."""
    shape, options = SHAPES[axes], {"kernel": kernel, "stride": stride, "padding": padding, "ceil": ceil}
    arguments = {"kernel_size": kernel, "stride": stride, "padding": padding, "ceil_mode": ceil}
    largest, mean = getattr(nn, f"MaxPool{axes}d"), getattr(nn, f"AvgPool{axes}d")
    graph = build([{"kind": f"max_pool{axes}d", "dilation": 1 + option, **options}], shape)
    alike(graph, largest(dilation=1 + option, **arguments), shape)
    graph = build([{"kind": f"avg_pool{axes}d", "count_padding": option, **options}], shape)
    alike(graph, mean(count_include_pad=option, **arguments), shape)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("wanted", [1, 2, 3, 4, 5, 7, 11])
def test_adaptive_pooling_is_torchs_for_every_size(axes: int, wanted: int) -> None:
    for what, name in (("avg", "Avg"), ("max", "Max")):
        graph = build([{"kind": f"adaptive_{what}_pool{axes}d", "size": wanted}], SHAPES[axes])
        alike(graph, getattr(nn, f"Adaptive{name}Pool{axes}d")(wanted), SHAPES[axes])


def test_adaptive_pooling_takes_a_size_per_axis_and_keeps_what_is_null() -> None:
    graph = build([{"kind": "adaptive_avg_pool2d", "size": [None, 3]}], IMAGE)
    alike(graph, nn.AdaptiveAvgPool2d((None, 3)), IMAGE)
    assert "Gather" in {node.op for node in graph.nodes}


def test_adaptive_pooling_into_equal_windows_is_one_operator() -> None:
    graph = build([{"kind": "adaptive_avg_pool2d", "size": [3, 4]}], IMAGE)
    assert [node.op for node in graph.nodes] == ["AveragePool"]


@pytest.mark.parametrize("keep", [False, True])
def test_global_pooling_leaves_one_number_per_channel(keep: bool) -> None:  # noqa: FBT001  a parameter of pytest's
    for shape, axes in ((SEQUENCE, (1,)), (IMAGE, (2, 3)), (VOLUME, (2, 3, 4))):
        mean = compute(build([{"kind": "global_avg_pool", "keep": keep}], shape), draw(shape))
        torch.testing.assert_close(mean, draw(shape).mean(axes, keepdim=keep))
        largest = compute(build([{"kind": "global_max_pool", "keep": keep}], shape), draw(shape))
        torch.testing.assert_close(largest, draw(shape).amax(axes, keepdim=keep))


SAMPLINGS = [(axes, "nearest", False) for axes in (1, 2, 3)]
SAMPLINGS += [(axes, "linear", corners) for axes in (1, 2, 3) for corners in (False, True)]
SAMPLINGS += [(2, "cubic", corners) for corners in (False, True)]


@pytest.mark.parametrize(("axes", "mode", "corners"), SAMPLINGS)
def test_upsampling_is_torchs(axes: int, mode: str, corners: bool) -> None:  # noqa: FBT001  a parameter of pytest's
    shape = SHAPES[axes]
    theirs = {"linear": {1: "linear", 2: "bilinear", 3: "trilinear"}[axes], "cubic": "bicubic"}.get(mode, mode)
    for options in ({"factor": 2}, {"factor": 3.0}, {"factor": 1.7}, {"factor": 0.5}, {"size": 13}, {"size": 1}):
        graph = build([{"kind": "upsample", "mode": mode, "align_corners": corners, **options}], shape)
        arguments = {"scale_factor": options.get("factor"), "size": options.get("size")}
        alike(graph, nn.Upsample(mode=theirs, align_corners=None if mode == "nearest" else corners, **arguments), shape)


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_padding_is_torchs(mode: str) -> None:
    cases = [(SEQUENCE, [[2, 1]], (2, 1)), (IMAGE, [3, [0, 2]], (0, 2, 3, 3)), (VOLUME, 2, (2,) * 6)]
    for shape, amounts, order in cases:
        layer = {"kind": "pad", "amounts": amounts, "mode": mode, **({"value": 0.5} if mode == "constant" else {})}
        fill_in = {"value": 0.5} if mode == "constant" else {}
        module = Function(lambda x, order=order, more=fill_in: functional.pad(x, order, mode, **more))
        alike(build([layer], shape), module, shape)


class Function(nn.Module):
    """A function as a module."""

    def __init__(self, function: Any) -> None:  # noqa: ANN401  any function of a tensor
        """Keep it."""
        super().__init__()
        self.forward = function


def test_cropping_takes_the_sides_off() -> None:
    for shape, amounts, cut in (
        ((6,), 2, (..., slice(2, 4))),
        (SEQUENCE, [[1, 2]], (..., slice(1, 5), slice(None))),
        (IMAGE, [[0, 3], 1], (..., slice(0, 6), slice(1, 7))),
        (VOLUME, [1, [2, 0], 0], (..., slice(1, 4), slice(2, 6), slice(0, 7))),
    ):
        graph = build([{"kind": "crop", "amounts": amounts}], shape)
        torch.testing.assert_close(compute(graph, draw(shape)), draw(shape)[cut])


@pytest.mark.parametrize(
    ("layer", "module", "shape"),
    [
        ({"kind": "pixel_shuffle", "factor": 2}, nn.PixelShuffle(2), (8, 3, 5)),
        ({"kind": "pixel_shuffle", "factor": 3}, nn.PixelShuffle(3), (18, 2, 1)),
        ({"kind": "pixel_unshuffle", "factor": 2}, nn.PixelUnshuffle(2), (3, 4, 6)),
        ({"kind": "channel_shuffle", "groups": 3}, nn.ChannelShuffle(3), (6, 2, 3)),
    ],
)
def test_shuffles_are_torchs(layer: dict[str, Any], module: nn.Module, shape: tuple[int, ...]) -> None:
    torch.testing.assert_close(compute(build([layer], shape), draw(shape)), module(draw(shape)))


NUMBERS = st.integers(1, 4) | st.tuples(st.integers(1, 4), st.integers(1, 4)).map(list)
AMOUNTS = st.integers(0, 2) | st.tuples(st.integers(0, 2), st.integers(0, 2)).map(list)
EDGES = st.sampled_from(["same", "valid"]) | AMOUNTS
SLIDING = {"kernel": NUMBERS, "stride": NUMBERS, "padding": EDGES, "dilation": NUMBERS}
OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "conv2d": {**SLIDING, "filters": st.just(4), "groups": st.sampled_from([1, 2, 4])},
    "conv2d_transpose": {**SLIDING, "filters": st.just(4), "groups": st.just(2), "output_padding": AMOUNTS},
    "separable_conv2d": {**SLIDING, "filters": st.just(3), "multiplier": st.integers(1, 3)},
    "max_pool2d": {**SLIDING, "ceil": st.booleans()},
    "avg_pool2d": {"kernel": NUMBERS, "stride": NUMBERS, "padding": EDGES, "ceil": st.booleans()},
    "adaptive_max_pool2d": {"size": NUMBERS},
    "upsample": {"factor": st.floats(0.2, 3), "mode": st.sampled_from(["nearest", "linear", "cubic"])},
    "pad": {"amounts": AMOUNTS, "mode": st.sampled_from(["constant", "reflect", "replicate", "circular"])},
    "crop": {"amounts": AMOUNTS},
}


@pytest.mark.parametrize("kind", OPTIONS)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_what_comes_out_has_the_promised_shape_or_is_refused(kind: str, data: st.DataObject) -> None:
    layer = {"kind": kind, **{name: data.draw(each, name) for name, each in OPTIONS[kind].items()}}
    shape = (4, data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9)))
    try:
        graph = build([layer], shape)
    except Invalid as problem:
        assert (problem.pointer or "").startswith("/layers/0")  # noqa: PT017  the claim is that nothing else is raised
    else:
        assert compute(graph, draw(shape)).isfinite().all()


def test_a_factor_that_misses_a_whole_size_by_rounding_is_meant_whole() -> None:
    graph = build([{"kind": "upsample", "factor": 1.9999999999999996}], (4, 1, 3))
    assert compute(graph, draw((4, 1, 3))).shape[2:] == (2, 6)
