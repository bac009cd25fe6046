"""Writes the example models, each with a batch beside it: `python examples/models.py OUT_DIR`.

The ONNX files are exported for diagnosis: in training mode and without constant folding, so that every parameter and
every normalization is still there.
"""

import shutil
import sys
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import batches
import numpy as np
import onnx
import torch
from torch import Tensor, nn

HERE = Path(__file__).parent
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def deep(depth: int, width: int, activation: type[nn.Module], draw: Callable[[Tensor], object]) -> nn.Module:
    """Return a multilayer perceptron from clusters to their number, kernels drawn by `draw`, biases zero."""
    sizes = [batches.FEATURES, *[width] * depth]
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), activation()]
    network = nn.Sequential(*layers, nn.Linear(width, batches.CLUSTERS))
    for layer in network:
        if isinstance(layer, nn.Linear):
            draw(layer.weight)
            nn.init.zeros_(layer.bias)
    return network


def vanishing() -> nn.Module:
    """Twelve sigmoid layers by Xavier's law: each takes the gradient's square down by a factor of about 18."""
    return deep(12, 64, nn.Sigmoid, nn.init.xavier_uniform_)


def exploding() -> nn.Module:
    """Twenty ReLU layers whose weights have three times He's variance: each triples the gradient's square."""
    return deep(20, 64, nn.ReLU, lambda weight: nn.init.normal_(weight, std=(6 / weight.shape[1]) ** 0.5))


class Block(nn.Module):
    """A residual block: two convolutions with batch normalization."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        """Make a block between these numbers of channels."""
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.skip = nn.Identity() if before == after else nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        """Add the branch to the image."""
        branch = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(image)))))
        return torch.relu(branch + self.skip(image))


def resnet() -> nn.Module:
    """A small residual network for images of 3 x 32 x 32, as He et al. (2016) initialise it."""
    network = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        Block(16, 16, 1),
        Block(16, 32, 2),
        Block(32, 64, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, batches.DIRECTIONS),
    )
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return network


class Recurrent(nn.Module):
    """An LSTM over waves; its last state names the frequency."""

    def __init__(self) -> None:
        """Make the LSTM and its head."""
        super().__init__()
        self.lstm = nn.LSTM(2, 32, batch_first=True)
        self.head = nn.Linear(32, 3)

    def forward(self, series: Tensor) -> Tensor:
        """Read the series, answer from the last step."""
        states, _ = self.lstm(series)
        return self.head(states[:, -1])


class Attention(nn.Module):
    """Self-attention, written out, so that every exporter keeps its softmax."""

    def __init__(self, features: int, heads: int) -> None:
        """Make the four kernels."""
        super().__init__()
        self.heads, self.width = heads, features // heads
        self.project = nn.Linear(features, 3 * features)
        self.output = nn.Linear(features, features)

    def forward(self, series: Tensor) -> Tensor:
        """Mix the steps."""
        query, key, value = (part.transpose(1, 2) for part in self._heads(self.project(series)))
        weights = torch.softmax(query @ key.transpose(2, 3) / self.width**0.5, dim=-1)
        return self.output((weights @ value).transpose(1, 2).flatten(2))

    def _heads(self, projected: Tensor) -> list[Tensor]:
        return [part.unflatten(2, (self.heads, self.width)) for part in projected.chunk(3, dim=2)]


class Transformer(nn.Module):
    """Two pre-norm blocks over tokens; the mean over the steps names the class."""

    def __init__(self, features: int = 32, heads: int = 4) -> None:
        """Make tables, blocks and head."""
        super().__init__()
        self.tokens = nn.Embedding(batches.TOKENS, features)
        self.places = nn.Parameter(torch.randn(batches.LENGTH, features) * 0.02)
        self.norms = nn.ModuleList(nn.LayerNorm(features) for _ in range(5))
        self.mixers = nn.ModuleList(Attention(features, heads) for _ in range(2))
        self.wide = nn.ModuleList(nn.Linear(features, 4 * features) for _ in range(2))
        self.narrow = nn.ModuleList(nn.Linear(4 * features, features) for _ in range(2))
        self.head = nn.Linear(features, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        """Look up, mix, answer."""
        series = self.tokens(tokens) + self.places
        for block in range(2):
            series = series + self.mixers[block](self.norms[2 * block](series))
            hidden = self.wide[block](self.norms[2 * block + 1](series))
            series = series + self.narrow[block](nn.functional.gelu(hidden))
        return self.head(self.norms[4](series).mean(1))


EXPORTED: dict[str, tuple[Callable[[], nn.Module], batches.Batch]] = {
    "vanishing_sigmoid": (vanishing, batches.clusters()),
    "exploding": (exploding, batches.clusters()),
    "resnet": (resnet, batches.bars()),
    "lstm": (Recurrent, batches.waves()),
    "transformer": (Transformer, batches.tokens()),
}
DESCRIBED: dict[str, batches.Batch] = {
    "mlp": batches.clusters(),
    "sigmoid": batches.clusters(),
    "described/resnet": batches.bars(),
    "described/unet": {"image": (images := batches.bars())["input"], "target": images["target"]},
    "described/two_towers": batches.pairs(),
    "described/transformer": batches.tokens(),
    "described/lstm": batches.waves(),
    "described/exploding": batches.clusters(),
    "keras/sequential": batches.photos(),
    "keras/functional": batches.clusters(),
    "keras/tf_keras_2": batches.clusters(),
    "articles/a_deep": batches.clusters(),
    "articles/b_deep": batches.plane(),
    "articles/b_sigmoid_tanh": batches.plane(),
    "articles/c_cnn": batches.bars(),
    "articles/c_deep": batches.bars(),
    "articles/d_deep": batches.line(),
    "articles/d_one_unit": batches.line(),
    "articles/d_tanh": batches.line(),
    "articles/e_deep": batches.strokes(),
    "articles/e_mlp": batches.strokes(),
}


def export(network: nn.Module, batch: batches.Batch, path: Path) -> None:
    """Write a network as ONNX with a free batch axis."""
    name = next(iter(batch))
    example = torch.from_numpy(batch[name][:4])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, on which exporter to use
        torch.onnx.export(
            network.train(),
            (example,),
            path,
            input_names=[name],
            output_names=["output"],
            dynamic_axes={name: {0: "batch"}, "output": {0: "batch"}},
            training=torch.onnx.TrainingMode.TRAINING,
            do_constant_folding=False,
            opset_version=17,
            dynamo=False,
        )


def write(folder: Path) -> None:
    """Write every example and its batch into `folder`."""
    for place in ("articles", "described", "keras"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    for name, (make, batch) in EXPORTED.items():
        torch.manual_seed(0)
        export(make(), batch, folder / f"{name}.onnx")
        np.savez_compressed(folder / f"{name}.npz", **batch)  # type: ignore[arg-type]
    for name, batch in DESCRIBED.items():
        shutil.copy(HERE / f"{name}.json", folder / f"{name}.json")
        np.savez_compressed(folder / f"{name}.npz", **batch)  # type: ignore[arg-type]
    shutil.copy(LIGHT / "light_resnet50.onnx", folder / "light_resnet50.onnx")


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004  the script and its folder
        sys.exit("usage: python examples/models.py OUT_DIR")
    write(Path(sys.argv[1]))
