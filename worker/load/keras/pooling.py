"""Pooling."""

import torch

from service.keras.base import Call
from service.keras.layers.pooling import Adaptive, Global, Pool, Pooling
from worker.load.builder import Builder
from worker.load.keras import Signal, lowers
from worker.load.keras.convolution import sliding
from worker.load.keras.layout import channels_first
from worker.load.keras.weights import sizes
from worker.load.shares import shared_out


def _pools(op: str, *names: str) -> None:
    @lowers(*names)
    def pool(layer: Pooling | Pool, build: Builder, call: Call[Signal]) -> str:
        shape = call.one.shape
        whole = layer.pooling(shape, build.pointer) if isinstance(layer, Pool) else layer
        window = sliding(whole, shape)
        del window["dilations"]
        return channels_first(whole, build, call.one.value, lambda given: build.node(op, given, **window))


_pools("MaxPool", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "ops.MaxPool")
_pools("AveragePool", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "ops.AveragePool")


def _adapts(*names: str, mean: bool) -> None:
    @lowers(*names)
    def pool(layer: Adaptive, build: Builder, call: Call[Signal]) -> str:
        before = sizes(layer.inside(call.one.shape))

        def inside(given: str) -> str:
            return shared_out(build, given, before, layer.sizes(), mean=mean)

        return channels_first(layer, build, call.one.value, inside)


_adapts("AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D", mean=True)
_adapts("AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D", mean=False)


@lowers("GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D")
def global_max(layer: Global, build: Builder, call: Call[Signal]) -> str:
    """ReduceMax over the inner axes."""
    return build.node("ReduceMax", call.one.value, _axes(layer, build), keepdims=int(layer.keepdims))


@lowers("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D")
def global_mean(layer: Global, build: Builder, call: Call[Signal]) -> str:
    """ReduceMean over the inner axes, or over the steps that a mask leaves."""
    axes, keep = _axes(layer, build), int(layer.keepdims)
    mask = call.one.mask
    if mask is None or layer.axes > 1:
        return build.node("ReduceMean", call.one.value, axes, keepdims=keep)
    channel = build.constant("channel", torch.tensor([1 if layer.first else 2]))
    counted = build.node("Unsqueeze", mask, channel, role="counted")
    zero = build.constant("zero", torch.tensor(0.0))
    kept = build.node("Where", counted, call.one.value, zero, role="kept")
    ones = build.node("Cast", counted, role="ones", to=1)
    total = build.node("ReduceSum", kept, axes, role="total", keepdims=keep)
    return build.node("Div", total, build.node("ReduceSum", ones, axes, role="count", keepdims=keep))


def _axes(layer: Global, build: Builder) -> str:
    first = 2 if layer.first else 1
    return build.constant("axes", torch.arange(first, first + layer.axes))
