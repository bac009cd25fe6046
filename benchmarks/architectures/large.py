"""Networks of a few million parameters, where what an interpreter adds should vanish beside the arithmetic."""

import torch
from torch import Tensor, nn

from architectures.kinds import Architecture


class Residual(nn.Module):
    """The basic block of ResNet."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        """Make two convolutions with normalization, and the way around them."""
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(inner, outer, 3, stride, 1, bias=False), nn.BatchNorm2d(outer), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(outer, outer, 3, 1, 1, bias=False), nn.BatchNorm2d(outer))
        around = nn.Sequential(nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))
        self.around = around if inner != outer else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the rectified sum of both ways."""
        return torch.relu(self.second(self.first(x)) + self.around(x))


class Transformer(nn.Module):
    """A transformer encoder over words, pre-norm with GELU."""

    def __init__(self, width: int = 256, depth: int = 6) -> None:
        """Make an embedding, blocks and a head."""
        super().__init__()
        block = nn.TransformerEncoderLayer(width, 8, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.table = nn.Embedding(1000, width)
        self.blocks = nn.TransformerEncoder(block, depth, enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)

    def forward(self, words: Tensor) -> Tensor:
        """Return one row per sentence."""
        return self.head(self.blocks(self.table(words)).mean(1))


def _resnet() -> nn.Module:
    """Return ResNet-18 with half its width, for images of CIFAR's size."""
    stem = nn.Sequential(nn.Conv2d(3, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
    sizes = [(32, 32, 1), (32, 32, 1), (32, 64, 2), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2)]
    blocks = [Residual(*each) for each in (*sizes, (256, 256, 1))]
    return nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10))


LARGE: dict[str, Architecture] = {
    "resnet-large": Architecture(_resnet, lambda: (torch.randn(16, 3, 32, 32),)),
    "transformer-large": Architecture(Transformer, lambda: (torch.randint(0, 1000, (8, 64)),)),
}
