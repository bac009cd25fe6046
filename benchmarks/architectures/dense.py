"""Dense networks: activations, normalizations, joints of several inputs, mixtures and routing."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  its usual name

from architectures.kinds import Applied, Architecture, Around


class Activations(nn.Module):
    """Fourteen activations, each behind a dense layer and beside a way around."""

    def __init__(self) -> None:
        """Make the layers, of width 12."""
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(12, 12) for _ in range(14)])
        self.activations = [
            F.gelu,
            F.silu,
            F.mish,
            lambda x: F.gelu(x, approximate="tanh"),
            F.elu,
            F.selu,
            F.softplus,
            F.softsign,
            lambda x: F.leaky_relu(x, 0.2),
            F.hardtanh,
            F.logsigmoid,
            lambda x: F.celu(x, 1.3),
            lambda x: F.softshrink(x, 0.3),
            lambda x: F.glu(torch.cat([x, x.flip(-1)], -1)),
        ]

    def forward(self, x: Tensor) -> Tensor:
        """Return logarithms of probabilities."""
        for layer, activation in zip(self.layers, self.activations, strict=True):
            x = activation(layer(x)) + 0.1 * x
        return torch.log_softmax(x, -1)


class Joint(nn.Module):
    """Two inputs, two outputs: a bilinear form and an outer product."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.first, self.second, self.form = nn.Linear(6, 8), nn.Linear(4, 8), nn.Bilinear(8, 8, 5)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the form's rows, and every product of features."""
        first, second = torch.sigmoid(self.first(x)), self.second(y)
        return self.form(first, second), torch.einsum("bi,bj->bij", first, second)


class Siamese(nn.Module):
    """One tower for two inputs, and the distance and likeness of what it makes of them."""

    def __init__(self) -> None:
        """Make the tower."""
        super().__init__()
        self.tower = nn.Sequential(nn.Linear(10, 16), nn.Tanh(), nn.Linear(16, 8))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return distance and cosine, as two columns."""
        first, second = self.tower(x), self.tower(y)
        return torch.stack([(first - second).square().sum(-1), F.cosine_similarity(first, second)], -1)


class Density(nn.Module):
    """A mixture of Gaussians: weights, means and widths from one trunk."""

    def __init__(self) -> None:
        """Make trunk and heads, for five parts."""
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(6, 16), nn.Tanh())
        self.share, self.mean, self.width = nn.Linear(16, 5), nn.Linear(16, 5), nn.Linear(16, 5)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the logarithm of the density at y."""
        hidden = self.trunk(x)
        width = F.softplus(self.width(hidden)) + 1e-3
        inside = -0.5 * ((y - self.mean(hidden)) / width).square() - width.log()
        return torch.logsumexp(torch.log_softmax(self.share(hidden), -1) + inside, -1)


class Mixture(nn.Module):
    """Every expert on every sample, weighed by a gate: one einsum."""

    def __init__(self) -> None:
        """Make three experts of width 8."""
        super().__init__()
        self.gate, self.experts = nn.Linear(8, 3), nn.Parameter(torch.randn(3, 8, 8))

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed rows."""
        return torch.einsum("be,bd,edf->bf", torch.softmax(self.gate(x), -1), x, self.experts)


class Routed(nn.Module):
    """The two best experts of four, chosen by the gate's top-k."""

    def __init__(self) -> None:
        """Make four experts of width 8."""
        super().__init__()
        self.gate, self.experts = nn.Linear(8, 4), nn.ModuleList([nn.Linear(8, 8) for _ in range(4)])

    def forward(self, x: Tensor) -> Tensor:
        """Return the chosen experts' rows, weighed."""
        gate = self.gate(x)
        best, chosen = torch.topk(gate, 2, -1)
        weights = torch.zeros_like(gate).scatter(1, chosen, torch.softmax(best, -1))
        each = torch.stack([torch.relu(expert(x)) for expert in self.experts], 1)
        return (each * weights.unsqueeze(-1)).sum(1)


class Rezero(nn.Module):
    """Residual blocks, each behind a gate of one number."""

    def __init__(self) -> None:
        """Make three blocks of width 8."""
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(8, 8) for _ in range(3)])
        self.gates = nn.ParameterList([nn.Parameter(torch.zeros(1)) for _ in range(3)])

    def forward(self, x: Tensor) -> Tensor:
        """Return the last block's rows."""
        for block, gate in zip(self.blocks, self.gates, strict=True):
            x = x + gate * torch.relu(block(x))
        return x


class Tempered(nn.Module):
    """Likeness of two embeddings by a temperature without an axis, as CLIP has."""

    def __init__(self) -> None:
        """Make two projections and the temperature."""
        super().__init__()
        self.first, self.second = nn.Linear(6, 8, bias=False), nn.Linear(6, 8, bias=False)
        self.temperature = nn.Parameter(torch.tensor(1.3))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return every pair's logit."""
        first, second = F.normalize(self.first(x), dim=-1), F.normalize(self.second(y), dim=-1)
        return self.temperature.exp() * (first @ second.T)


def _dropping() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.0), nn.Linear(16, 4))


def _mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 5))


def _slopes() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 6, 3), nn.PReLU(6), nn.Conv2d(6, 4, 3), nn.PReLU(), nn.Flatten(), nn.Linear(64, 3)
    )


def _norms() -> nn.Module:
    first = (nn.Conv2d(3, 8, 3), nn.GroupNorm(4, 8), nn.ELU(), nn.InstanceNorm2d(8, affine=True))
    return nn.Sequential(*first, nn.LayerNorm([8, 6, 6]), nn.LocalResponseNorm(3), nn.Conv2d(8, 2, 1))


def _mixer() -> nn.Module:
    turned = Applied(lambda x: x.transpose(1, 2))
    tokens = Around(nn.LayerNorm(8), turned, nn.Linear(6, 12), nn.GELU(), nn.Linear(12, 6), turned)
    features = Around(nn.LayerNorm(8), nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
    return nn.Sequential(nn.Linear(5, 8), tokens, features, nn.LayerNorm(8))


NETWORKS = {
    "mlp": Architecture(_mlp, lambda: (torch.randn(4, 16),)),
    "mlp-batchnorm": Architecture(_dropping, lambda: (torch.randn(6, 8),)),
    "activations": Architecture(Activations, lambda: (torch.randn(4, 12),)),
    "prelu": Architecture(_slopes, lambda: (torch.randn(3, 2, 8, 8),)),
    "norms": Architecture(_norms, lambda: (torch.randn(3, 3, 8, 8),)),
    "mixer": Architecture(_mixer, lambda: (torch.randn(3, 6, 5),)),
    "bilinear": Architecture(Joint, lambda: (torch.randn(4, 6), torch.randn(4, 4))),
    "siamese": Architecture(Siamese, lambda: (torch.randn(4, 10), torch.randn(4, 10))),
    "mixture-density": Architecture(Density, lambda: (torch.randn(4, 6), torch.randn(4, 1))),
    "experts": Architecture(Mixture, lambda: (torch.randn(4, 8),)),
    "experts-routed": Architecture(Routed, lambda: (torch.randn(6, 8),)),
    "rezero": Architecture(Rezero, lambda: (torch.randn(4, 8),)),
    "temperature": Architecture(Tempered, lambda: (torch.randn(4, 6), torch.randn(4, 6))),
}
