"""Tables of positions, and steps put before a sequence."""

from math import log

import torch

from service.contract.architecture import Init, Shape
from service.contract.architecture.positions import ClassToken, PositionalEmbedding
from worker.load.builder import Builder
from worker.load.drawing import law_of
from worker.load.lowering import lowering
from worker.network.graph import Law
from worker.network.laws import Normal, fans


@lowering("positional_embedding")
def positional_embedding(layer: PositionalEmbedding, build: Builder, value: str, shape: Shape) -> str:
    """Add a table, learned or made of sines."""
    if layer.table == "learned":
        return build.node("Add", value, build.parameter("table", _table(layer.init, shape)))
    return build.node("Add", value, build.constant("table", sines(shape)))


@lowering("class_token")
def class_token(layer: ClassToken, build: Builder, value: str, shape: Shape) -> str:
    """Pad the sequence with zeros before it, the steps with zeros behind them, and add the two."""
    token = build.parameter("token", _table(layer.init, (layer.count, shape[1])))
    room = build.constant("room", torch.tensor([0, layer.count, 0, 0, 0, 0]))
    rest = build.constant("rest", torch.tensor([0, 0, shape[0], 0]))
    return build.node(
        "Add", build.node("Pad", value, room, role="moved"), build.node("Pad", token, rest, role="before")
    )


def _table(init: Init, size: Shape) -> Law:
    return law_of(init.kernel, size, fans(size, "Gather"), Normal(size, 0.02), "table")


def sines(shape: Shape) -> torch.Tensor:
    """Return sin and cos of position / 10000^(2i/features), in turns along the features (Vaswani et al. 2017)."""
    time, features = shape
    column = torch.arange(features)
    rate = torch.exp((column - column % 2) / features * -log(10_000.0))
    angle = torch.arange(time).unsqueeze(1) * rate
    return torch.where(column % 2 == 0, angle.sin(), angle.cos())
