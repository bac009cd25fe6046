"""Recurrent networks, convolutions over time, and loops."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  its usual name
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from architectures.kinds import Architecture


class Sequence(nn.Module):
    """A recurrent layer and a head on its last step."""

    def __init__(self, recurrent: nn.RNNBase) -> None:
        """Take the layer; the head follows its width."""
        super().__init__()
        self.recurrent = recurrent
        self.head = nn.Linear(recurrent.hidden_size * (1 + recurrent.bidirectional), 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return one row per sample."""
        return self.head(self.recurrent(x)[0][:, -1])


class Stated(nn.Module):
    """An LSTM whose first states are learnt."""

    def __init__(self) -> None:
        """Make layer, states and head."""
        super().__init__()
        self.recurrent, self.head = nn.LSTM(6, 8), nn.Linear(8, 3)
        self.hidden, self.cell = nn.Parameter(torch.randn(1, 1, 8)), nn.Parameter(torch.randn(1, 1, 8))

    def forward(self, x: Tensor) -> Tensor:
        """Return one row per sample."""
        states = tuple(each.expand(-1, x.shape[0], -1).contiguous() for each in (self.hidden, self.cell))
        return self.head(self.recurrent(x.transpose(0, 1), states)[1][0][-1])


class Packed(nn.Module):
    """An LSTM over sentences of different lengths."""

    def __init__(self) -> None:
        """Make table, layer and head."""
        super().__init__()
        self.recurrent, self.head = nn.LSTM(6, 8, batch_first=True), nn.Linear(8, 3)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Return one row per sample and step."""
        packed = pack_padded_sequence(x, lengths, batch_first=True)
        return self.head(pad_packed_sequence(self.recurrent(packed)[0], batch_first=True)[0])


class Stepped(nn.Module):
    """An LSTM's and a GRU's cell, stepped by a loop that the exporter writes out."""

    def __init__(self) -> None:
        """Make both cells and the head."""
        super().__init__()
        self.first, self.second, self.head = nn.LSTMCell(5, 8), nn.GRUCell(8, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return one row per sample."""
        hidden, cell, top = x.new_zeros(len(x), 8), x.new_zeros(len(x), 8), x.new_zeros(len(x), 6)
        for step in x.unbind(1):
            hidden, cell = self.first(step, (hidden, cell))
            top = self.second(hidden, top)
        return self.head(top)


class Attending(nn.Module):
    """A GRU that reads, and one that writes by attending to what was read."""

    def __init__(self) -> None:
        """Make both, the attention's weights and the head."""
        super().__init__()
        self.reader, self.writer = nn.GRU(6, 8, batch_first=True), nn.GRU(5, 8, batch_first=True)
        self.query, self.key, self.score = nn.Linear(8, 8), nn.Linear(8, 8, bias=False), nn.Linear(8, 1, bias=False)
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return one row per sample and written step."""
        read, last = self.reader(x)
        written, _ = self.writer(y, last)
        scores = self.score(torch.tanh(self.query(written).unsqueeze(2) + self.key(read).unsqueeze(1))).squeeze(-1)
        return self.head(torch.cat([written, torch.softmax(scores, -1) @ read], -1))


class Recognizer(nn.Module):
    """Convolutions, an LSTM along the image's rows, and logarithms of probabilities at each step."""

    def __init__(self) -> None:
        """Make the layers for images of eight rows."""
        super().__init__()
        self.seen = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d((2, 1)))
        self.read, self.head = nn.LSTM(32, 8, batch_first=True, bidirectional=True), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Return one row per sample and column."""
        columns = self.seen(x).permute(0, 3, 1, 2).flatten(2)
        return torch.log_softmax(self.head(self.read(columns)[0]), -1)


class Causal(nn.Module):
    """Convolutions over time that look back only, farther at each layer."""

    def __init__(self) -> None:
        """Make three layers and the head."""
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv1d(8 if depth else 4, 8, 3, dilation=2**depth) for depth in range(3)])
        self.head = nn.Conv1d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return two numbers per step."""
        for depth, layer in enumerate(self.layers):
            x = torch.tanh(layer(F.pad(x, (2 * 2**depth, 0))))
        return self.head(x)


class Moving(nn.Module):
    """A convolutional LSTM over a film, stepped by a loop that the exporter writes out."""

    def __init__(self) -> None:
        """Make gates of four channels, and the head."""
        super().__init__()
        self.gates, self.head = nn.Conv2d(2 + 4, 16, 3, padding=1), nn.Conv2d(4, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return an image."""
        hidden = cell = x.new_zeros(len(x), 4, *x.shape[3:])
        for frame in x.unbind(1):
            taken, kept, shown, new = self.gates(torch.cat([frame, hidden], 1)).chunk(4, 1)
            cell = torch.sigmoid(kept) * cell + torch.sigmoid(taken) * torch.tanh(new)
            hidden = torch.sigmoid(shown) * torch.tanh(cell)
        return self.head(hidden)


class Scripted(nn.Module):
    """A loop and a branch that stay in the file: as many steps as the input has rows, of two kinds."""

    def __init__(self) -> None:
        """Make two layers and the head."""
        super().__init__()
        self.even, self.odd, self.head = nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return one row per sample."""
        state = torch.zeros_like(x[:, 0])
        for step in range(x.size(1)):
            if step % 2 == 0:
                state = torch.tanh(self.even(state + x[:, step]))
            else:
                state = torch.sigmoid(self.odd(state - x[:, step]))
        return self.head(state)


class Words(nn.Module):
    """An embedding, convolutions over time and a mean over the words that are there."""

    def __init__(self) -> None:
        """Make the layers for 50 words."""
        super().__init__()
        self.table, self.mix, self.head = nn.Embedding(50, 16), nn.Conv1d(16, 16, 3, padding=1), nn.Linear(16, 4)

    def forward(self, words: Tensor) -> Tensor:
        """Return one row per sentence."""
        there = (words != 0).unsqueeze(-1).float()
        mixed = F.silu(self.mix(self.table(words).transpose(1, 2))).transpose(1, 2)
        return self.head((mixed * there).sum(1) / there.sum(1).clamp(min=1))


class Bag(nn.Module):
    """A bag of words."""

    def __init__(self) -> None:
        """Make table and head for 30 words."""
        super().__init__()
        self.bag, self.head = nn.EmbeddingBag(30, 8, mode="mean"), nn.Linear(8, 3)

    def forward(self, words: Tensor) -> Tensor:
        """Return one row per sentence."""
        return self.head(self.bag(words))


def _time(features: int = 6, steps: int = 7) -> tuple[Tensor, ...]:
    return (torch.randn(4, steps, features),)


NETWORKS = {
    "rnn": Architecture(lambda: Sequence(nn.RNN(6, 8, batch_first=True)), _time),
    "rnn-relu": Architecture(lambda: Sequence(nn.RNN(6, 8, 2, nonlinearity="relu", batch_first=True)), _time),
    "lstm": Architecture(lambda: Sequence(nn.LSTM(6, 8, 2, batch_first=True, bidirectional=True)), _time),
    "lstm-stated": Architecture(Stated, _time),
    "lstm-packed": Architecture(Packed, lambda: (torch.randn(4, 7, 6), torch.tensor([7, 5, 5, 2]))),
    "gru": Architecture(lambda: Sequence(nn.GRU(6, 8, 2, batch_first=True)), _time),
    "gru-both": Architecture(
        lambda: Sequence(nn.GRU(6, 8, 1, bias=False, batch_first=True, bidirectional=True)), _time
    ),
    "cells": Architecture(Stepped, lambda: _time(5, 4)),
    "attending": Architecture(Attending, lambda: (torch.randn(4, 7, 6), torch.randn(4, 3, 5))),
    "recognizer": Architecture(Recognizer, lambda: (torch.randn(4, 1, 8, 10),)),
    "tcn": Architecture(Causal, lambda: (torch.randn(4, 4, 20),)),
    "convlstm": Architecture(Moving, lambda: (torch.randn(3, 4, 2, 6, 6),)),
    "scripted-loop": Architecture(lambda: torch.jit.script(Scripted()), lambda: _time(5, 6)),
    "words": Architecture(Words, lambda: (torch.randint(0, 50, (4, 9)),)),
    "bag-of-words": Architecture(Bag, lambda: (torch.randint(0, 30, (4, 5)),)),
}
