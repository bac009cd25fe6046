"""Weights that are shared, tied or made of others."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  its usual name
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from architectures.kinds import Architecture


class Twice(nn.Module):
    """One layer used three times, and its weight once more, turned."""

    def __init__(self) -> None:
        """Make the layer and a head."""
        super().__init__()
        self.layer, self.head = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return one row per sample."""
        for _ in range(3):
            x = torch.tanh(self.layer(x))
        return self.head(F.linear(x, self.layer.weight.T))


class Tied(nn.Module):
    """A language model whose head is its table, with a bias."""

    def __init__(self) -> None:
        """Make the table for 20 words, a recurrent layer and the head."""
        super().__init__()
        self.table, self.middle, self.head = nn.Embedding(20, 8), nn.GRU(8, 8, batch_first=True), nn.Linear(8, 20)
        self.head.weight = self.table.weight

    def forward(self, words: Tensor) -> Tensor:
        """Return one row per sample and word."""
        return self.head(self.middle(self.table(words))[0])


class Coder(nn.Module):
    """An autoencoder whose way back is its way in, turned."""

    def __init__(self) -> None:
        """Make two weights and their biases."""
        super().__init__()
        self.first, self.second = nn.Linear(12, 8), nn.Linear(8, 4)
        self.biases = nn.ParameterList([nn.Parameter(torch.randn(8)), nn.Parameter(torch.randn(12))])

    def forward(self, x: Tensor) -> Tensor:
        """Return the input as it comes back."""
        code = self.second(torch.tanh(self.first(x)))
        back = torch.tanh(F.linear(code, self.second.weight.T, self.biases[0]))
        return F.linear(back, self.first.weight.T, self.biases[1])


def _weight_norm() -> nn.Module:
    first, second = weight_norm(nn.Conv1d(4, 8, 3)), weight_norm(nn.Linear(8, 3))
    return nn.Sequential(first, nn.ELU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), second)


def _spectral_norm() -> nn.Module:
    first, second = spectral_norm(nn.Conv2d(2, 4, 3), eps=1e-6), spectral_norm(nn.Linear(16, 3))
    return nn.Sequential(first, nn.LeakyReLU(0.1), nn.Flatten(), second)


NETWORKS = {
    "shared-layer": Architecture(Twice, lambda: (torch.randn(4, 8),)),
    "tied-head": Architecture(Tied, lambda: (torch.randint(0, 20, (4, 5)),)),
    "tied-autoencoder": Architecture(Coder, lambda: (torch.randn(4, 12),)),
    "weight-norm": Architecture(_weight_norm, lambda: (torch.randn(4, 4, 9),)),
    "spectral-norm": Architecture(_spectral_norm, lambda: (torch.randn(4, 2, 4, 4),)),
}
