"""Convolutional networks."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  its usual name

from architectures.kinds import Architecture


def _unit(inner: int, outer: int, size: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Return a convolution that keeps the image's size, batch normalization and a rectifier."""
    convolution = nn.Conv2d(inner, outer, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outer), nn.ReLU())


def _head(channels: int, classes: int = 5) -> tuple[nn.Module, ...]:
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)


class Residual(nn.Module):
    """Two convolutions with batch normalization, and a way around them."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        """Make the layers; the way around has a convolution where sizes change."""
        super().__init__()
        second = (nn.Conv2d(outer, outer, 3, 1, 1, bias=False), nn.BatchNorm2d(outer))
        self.inside = nn.Sequential(*_unit(inner, outer, stride=stride), *second)
        around = nn.Sequential(nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))
        self.around = around if stride > 1 or inner != outer else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the rectified sum of both ways."""
        return torch.relu(self.inside(x) + self.around(x))


class Dense(nn.Module):
    """Layers that each read everything before them."""

    def __init__(self) -> None:
        """Make three layers of growth 4 on 6 channels."""
        super().__init__()
        widths = (6, 10, 14)
        self.layers = nn.ModuleList(
            [nn.Sequential(nn.BatchNorm2d(w), nn.ReLU(), nn.Conv2d(w, 4, 3, padding=1, bias=False)) for w in widths]
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return all layers' channels."""
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return x


class Inception(nn.Module):
    """Four ways of different reach, joined."""

    def __init__(self, inner: int) -> None:
        """Make the ways, 16 channels in all."""
        super().__init__()
        third = nn.Sequential(_unit(inner, 4, 1), _unit(4, 4, 5))
        fourth = nn.Sequential(nn.MaxPool2d(3, 1, 1), _unit(inner, 4, 1))
        self.ways = nn.ModuleList([_unit(inner, 4, 1), _unit(inner, 4), third, fourth])

    def forward(self, x: Tensor) -> Tensor:
        """Return the ways' channels."""
        return torch.cat([way(x) for way in self.ways], 1)


class Squeezed(nn.Module):
    """MobileNet's block: widened, depthwise, squeezed and excited, narrowed."""

    def __init__(self, channels: int, activation: type[nn.Module], gate: type[nn.Module]) -> None:
        """Make the layers, four times as wide inside."""
        super().__init__()
        wide = 4 * channels
        depthwise = nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False)
        widened = (nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide), activation())
        self.wide = nn.Sequential(*widened, depthwise, nn.BatchNorm2d(wide), activation())
        squeezed = (nn.AdaptiveAvgPool2d(1), nn.Conv2d(wide, 4, 1), nn.ReLU())
        self.gate = nn.Sequential(*squeezed, nn.Conv2d(4, wide, 1), gate())
        self.narrow = nn.Sequential(nn.Conv2d(wide, channels, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both ways."""
        wide = self.wide(x)
        return x + self.narrow(wide * self.gate(wide))


class UNet(nn.Module):
    """Down, up again by a transposed convolution and by interpolation, with what was seen on the way down."""

    def __init__(self) -> None:
        """Make the layers, with group and instance normalization."""
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.GELU())
        self.deep = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.InstanceNorm2d(8, affine=True), nn.Mish())
        self.up = nn.ConvTranspose2d(8, 8, 2, 2)
        self.out = nn.Conv2d(16, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return an image of two channels."""
        first = self.down(x)
        second = self.deep(F.max_pool2d(first, 2))
        third = F.interpolate(F.avg_pool2d(self.up(second), 2), scale_factor=2.0, mode="bilinear")
        return self.out(torch.cat([first, third], 1))


class Upsampled(nn.Module):
    """Every mode of resizing between a convolution and a transposed one."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.turned = nn.ConvTranspose2d(4, 4, 4, 2, 1, output_padding=1, dilation=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return an image of 11 by 13."""
        x = self.turned(F.interpolate(self.first(x), scale_factor=2, mode="nearest"))
        x = F.interpolate(x, size=(20, 20), mode="bicubic", align_corners=True)
        return F.interpolate(F.interpolate(x, size=(15, 9), mode="bilinear"), size=(11, 13), mode="nearest")


class Sampled(nn.Module):
    """A spatial transformer: where each pixel is taken from is learnt."""

    def __init__(self) -> None:
        """Make the layer that says from where, and a convolution."""
        super().__init__()
        self.where, self.out = nn.Linear(3 * 8 * 8, 6), nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return an image of four channels."""
        turn = 0.1 * self.where(x.flatten(1)).view(-1, 2, 3) + torch.tensor([[1.0, 0, 0], [0, 1, 0]])
        grid = F.affine_grid(turn, list(x.shape), align_corners=False)
        return self.out(F.grid_sample(x, grid, align_corners=False))


class Standardized(nn.Conv2d):
    """A convolution whose weights are standardized and scaled by a gain, as networks without normalizers have."""

    def __init__(self, inner: int, outer: int) -> None:
        """Make weights and gain."""
        super().__init__(inner, outer, 3, padding=1)
        self.gain = nn.Parameter(torch.ones(outer, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution with standardized weights."""
        spread, mean = torch.var_mean(self.weight, dim=(1, 2, 3), keepdim=True)
        weight = (self.weight - mean) * torch.rsqrt(spread * self.weight[0].numel() + 1e-4) * self.gain
        return F.conv2d(x, weight, self.bias, padding=1)


class Padded(nn.Module):
    """Circular and reflected borders, pooling with borders, and a shuffle of pixels."""

    def __init__(self) -> None:
        """Make two convolutions."""
        super().__init__()
        self.first = nn.Conv2d(2, 8, 3, padding=1, padding_mode="circular")
        self.second = nn.Conv2d(8, 4, 3, padding=1, padding_mode="reflect")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return sums along rows, the largest numbers, and pixels of length one."""
        x = F.pixel_shuffle(F.avg_pool2d(self.second(torch.tanh(self.first(x))), 3, 2, 1), 2)
        return x.cumsum(-1), torch.topk(x.flatten(1), 3)[0], F.normalize(x, dim=1) + x.std((2, 3), keepdim=True)


def _cnn() -> nn.Module:
    first = (nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
    second = (nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.ReLU())
    return nn.Sequential(*first, *second, *_head(16, 4))


def _resnet() -> nn.Module:
    stem = (nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
    trunk = (Residual(8, 8, 1), Residual(8, 16, 2), Residual(16, 24, 2))
    return nn.Sequential(*stem, *trunk, *_head(24, 10))


def _vgg() -> nn.Module:
    first = (nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    second = (nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    return nn.Sequential(*first, *second, nn.Linear(48, 32), nn.ReLU(), nn.Dropout(0.0), nn.Linear(32, 5))


def _reaching() -> nn.Module:
    dilated = (nn.Conv2d(3, 8, 3, padding=2, dilation=2), nn.SiLU())
    separable = (nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 12, 1), nn.ReLU6(), nn.AvgPool2d(2))
    grouped = (nn.Conv2d(12, 12, 3, groups=3), nn.Hardswish())
    return nn.Sequential(*dilated, *separable, *grouped, nn.ConvTranspose2d(12, 4, 3, 2, 1, groups=2, dilation=1))


def _volume() -> nn.Module:
    first = (nn.Conv3d(1, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU(), nn.AvgPool3d(2))
    second = (nn.Conv3d(4, 8, 3, padding=1), nn.Tanh(), nn.MaxPool3d(2), nn.Flatten())
    return nn.Sequential(*first, *second, nn.Linear(64, 3))


def _normalizer_free() -> nn.Module:
    return nn.Sequential(Standardized(3, 8), nn.SiLU(), Standardized(8, 8), nn.SiLU(), *_head(8))


def _images(size: int, channels: int = 3) -> tuple[Tensor, ...]:
    return (torch.randn(4, channels, size, size),)


NETWORKS = {
    "cnn-batchnorm": Architecture(_cnn, lambda: _images(16)),
    "resnet": Architecture(_resnet, lambda: _images(32)),
    "densenet": Architecture(lambda: nn.Sequential(_unit(3, 6), Dense(), *_head(18)), lambda: _images(8)),
    "inception": Architecture(
        lambda: nn.Sequential(_unit(3, 8), Inception(8), Inception(16), *_head(16)), lambda: _images(8)
    ),
    "mobilenet": Architecture(
        lambda: nn.Sequential(_unit(3, 6, stride=2), Squeezed(6, nn.Hardswish, nn.Hardsigmoid), *_head(6)),
        lambda: _images(12),
    ),
    "efficientnet": Architecture(
        lambda: nn.Sequential(_unit(3, 6, stride=2), Squeezed(6, nn.SiLU, nn.Sigmoid), *_head(6)), lambda: _images(12)
    ),
    "vgg": Architecture(_vgg, lambda: _images(8)),
    "dilated-grouped-transposed": Architecture(_reaching, lambda: _images(10)),
    "u-net": Architecture(UNet, lambda: _images(16)),
    "upsampling": Architecture(Upsampled, lambda: _images(5)),
    "pixel-shuffle": Architecture(Padded, lambda: _images(8, 2)),
    "spatial-transformer": Architecture(Sampled, lambda: _images(8)),
    "conv3d": Architecture(_volume, lambda: (torch.randn(3, 1, 8, 8, 8),)),
    "normalizer-free": Architecture(_normalizer_free, lambda: _images(8)),
}
