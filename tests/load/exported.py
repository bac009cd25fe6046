"""Networks that torch's exporters write with a fixed batch unless told otherwise."""

import contextlib
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional


class Recurrent(nn.Module):
    """A stacked recurrent network; its initial states are zeros that the module makes, or the caller."""

    def __init__(self, kind: type[nn.RNNBase], *, states: bool = False, bidirectional: bool = False) -> None:
        """Take five features to three."""
        super().__init__()
        self.cells = kind(5, 6, num_layers=2, batch_first=True, bidirectional=bidirectional)
        self.head, self.states = nn.Linear(12 if bidirectional else 6, 3), states

    def forward(self, x: Tensor) -> Tensor:
        """Return what the last step gives."""
        zeros = torch.zeros(4 if self.cells.bidirectional else 2, x.shape[0], 6)
        given = ((zeros, zeros.clone()) if isinstance(self.cells, nn.LSTM) else zeros,) if self.states else ()
        return self.head(self.cells(x, *given)[0][:, -1])


class Vision(nn.Module):
    """A transformer of image patches with a class token."""

    def __init__(self) -> None:
        """Take 8 × 8 pixels to four classes."""
        super().__init__()
        self.patches, self.token = nn.Conv2d(3, 16, 4, 4), nn.Parameter(torch.randn(1, 1, 16))
        self.places = nn.Parameter(torch.randn(1, 5, 16))
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.0)
        self.body, self.head = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the class token gives."""
        patches = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(x.shape[0], -1, -1), patches], 1)
        return self.head(self.body(tokens + self.places)[:, 0])


class Padded(nn.Module):
    """A transformer with a mask of its own and one that comes with the samples."""

    def __init__(self) -> None:
        """Take six steps of five features to four."""
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.0)
        self.body = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.enter, self.head = nn.Linear(5, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        """Return four numbers per step."""
        return self.head(self.body(self.enter(x), src_key_padding_mask=padding))


class Words(nn.Module):
    """A decoder block with positions and a causal mask, both written out for every sample."""

    def __init__(self, *, flat: bool = False) -> None:
        """Know twenty words."""
        super().__init__()
        self.words, self.places = nn.Embedding(20, 16), nn.Embedding(6, 16)
        self.asked, self.head = nn.Linear(16, 48), nn.Linear(16, 20)
        self.register_buffer("seen", torch.tril(torch.ones(6, 6)).view(1, 1, 6, 6))
        self.flat = flat

    def forward(self, words: Tensor) -> Tensor:
        """Return the logits of every place."""
        size, steps = words.shape
        x = self.words(words) + self.places(torch.arange(steps).unsqueeze(0).expand(size, steps))
        query, key, value = (each.view(size, steps, 2, 8).transpose(1, 2) for each in self.asked(x).split(16, 2))
        logits = (query @ key.transpose(-2, -1)) / math.sqrt(8)
        logits = logits.masked_fill(self.seen.expand(size, 2, 6, 6) == 0, float("-inf"))
        y = self.head(x + (logits.softmax(-1) @ value).transpose(1, 2).reshape(size, steps, 16))
        return y.view(-1, 20) if self.flat else y


class Shaped(nn.Module):
    """Images down, and up to their own size again."""

    def __init__(self) -> None:
        """Take three channels to two."""
        super().__init__()
        self.down, self.deep = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 8, 3, 2, padding=1)
        self.up = nn.Conv2d(12, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return images of the same size."""
        first = self.down(x).relu()
        back = functional.interpolate(self.deep(first).relu(), size=first.shape[-2:], mode="bilinear")
        return self.up(torch.cat([first, back], 1))


class Stepwise(nn.Module):
    """A cell in a loop that the exporter unrolls."""

    def __init__(self) -> None:
        """Take five features to two."""
        super().__init__()
        self.cell, self.head = nn.GRUCell(5, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the last state gives."""
        state = torch.zeros(x.shape[0], 6)
        for step in range(x.shape[1]):
            state = self.cell(x[:, step], state)
        return self.head(state)


class Lookup(nn.Module):
    """Samples, and a table that all of them share."""

    def __init__(self) -> None:
        """Take three features to five."""
        super().__init__()
        self.enter = nn.Linear(3, 5)

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        """Return the samples' products with the table."""
        return self.enter(x) @ table


class Mixed(nn.Module):
    """Samples less their mean: no sample by itself."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the differences."""
        return x - x.mean(0, keepdim=True)


@dataclass(frozen=True)
class Network:
    """A module, and a batch of any size for it."""

    make: Callable[[], nn.Module]
    batch: Callable[[int], tuple[Tensor, ...]]


def _steps(size: int) -> tuple[Tensor, ...]:
    return (torch.randn(size, 7, 5),)


def _pixels(size: int) -> tuple[Tensor, ...]:
    return (torch.randn(size, 3, 8, 8),)


def _words(size: int) -> tuple[Tensor, ...]:
    return (torch.randint(20, (size, 6)),)


def _dense() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 3))


def _convolutions() -> nn.Module:
    layers = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 5))


NETWORKS: Mapping[str, Network] = {
    "dense": Network(_dense, lambda size: (torch.randn(size, 3, 4),)),
    "convolutions": Network(_convolutions, _pixels),
    "lstm": Network(lambda: Recurrent(nn.LSTM), _steps),
    "lstm-states": Network(lambda: Recurrent(nn.LSTM, states=True, bidirectional=True), _steps),
    "gru": Network(lambda: Recurrent(nn.GRU), _steps),
    "gru-states": Network(lambda: Recurrent(nn.GRU, states=True), _steps),
    "rnn": Network(lambda: Recurrent(nn.RNN), _steps),
    "stepwise": Network(Stepwise, _steps),
    "vision": Network(Vision, _pixels),
    "padded": Network(Padded, lambda size: (torch.randn(size, 6, 5), torch.zeros(size, 6, dtype=torch.bool))),
    "words": Network(Words, _words),
    "flat-words": Network(lambda: Words(flat=True), _words),
    "u-net": Network(Shaped, _pixels),
    "lookup": Network(Lookup, lambda size: (torch.randn(size, 3), torch.randn(5, 2))),
}


def export(network: nn.Module, batch: tuple[Tensor, ...], exporter: str) -> onnx.ModelProto:
    """Return what an exporter of torch's writes of a module by default."""
    if exporter == "dynamo":
        with contextlib.redirect_stdout(io.StringIO()):
            program = torch.onnx.export(network, batch, dynamo=True, opset_version=20)
        assert program is not None
        return program.model_proto
    file = io.BytesIO()
    torch.onnx.export(network, batch, file, dynamo=False, opset_version=17)
    return onnx.load_from_string(file.getvalue())
