"""Outputs and gradients of exported networks against torch's own and onnxruntime's: prints the errors as JSON.

Each network is exported by both of torch's exporters, in train mode, and read back.  Every weight of a network is a
different number, so that a tensor of the file is matched with torch's by its values, whatever the export did to its
layout: transposed it, reordered an LSTM's gates, or joined two biases.

    python benchmarks/gradients.py [network …]
"""

import io
import json
import logging
import math
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass

import onnx
import torch
from torch import Tensor, nn

from worker.load.fidelity import compare
from worker.load.onnx import interpret
from worker.network.graph import Graph
from worker.network.run import Program

FLOOR = 1e-3
"""Gradients are compared relative to their tensor's largest, or this share of the network's largest if that is more:
a bias that a normalization cancels has a gradient of nothing but rounding."""


class Residual(nn.Module):
    """Two convolutions with batch normalization, and a way around them."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        """Make the layers; the way around has a convolution where sizes change."""
        super().__init__()
        self.inside = nn.Sequential(
            nn.Conv2d(inner, outer, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outer),
            nn.ReLU(),
            nn.Conv2d(outer, outer, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outer),
        )
        around = nn.Sequential(nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))
        self.around = around if stride > 1 or inner != outer else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the rectified sum of both ways."""
        return torch.relu(self.inside(x) + self.around(x))


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


class Encoder(nn.Module):
    """A transformer encoder between two dense layers."""

    def __init__(self, *, norm_first: bool, activation: str) -> None:
        """Make two blocks of width 16 with four heads."""
        super().__init__()
        block = nn.TransformerEncoderLayer(16, 4, 32, 0.0, activation, batch_first=True, norm_first=norm_first)
        self.before = nn.Linear(8, 16)
        self.blocks = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)
        self.after = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return one row per sample."""
        return self.after(self.blocks(self.before(x)).mean(1))


class Words(nn.Module):
    """An embedding, convolutions over time and a mean over the words that are there."""

    def __init__(self) -> None:
        """Make the layers for 50 words."""
        super().__init__()
        self.table, self.mix, self.head = nn.Embedding(50, 16), nn.Conv1d(16, 16, 3, padding=1), nn.Linear(16, 4)

    def forward(self, words: Tensor) -> Tensor:
        """Return one row per sentence."""
        there = (words != 0).unsqueeze(-1).float()
        mixed = nn.functional.silu(self.mix(self.table(words).transpose(1, 2))).transpose(1, 2)
        return self.head((mixed * there).sum(1) / there.sum(1).clamp(min=1))


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
        second = self.deep(nn.functional.max_pool2d(first, 2))
        third = nn.functional.interpolate(
            nn.functional.avg_pool2d(self.up(second), 2), scale_factor=2.0, mode="bilinear"
        )
        return self.out(torch.cat([first, third], 1))


def _mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 5))


def _cnn() -> nn.Module:
    first = (nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
    second = (nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(16, 4))


def _resnet() -> nn.Module:
    stem = (nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
    trunk = (Residual(8, 8, 1), Residual(8, 16, 2), Residual(16, 24, 2))
    return nn.Sequential(*stem, *trunk, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 10))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor]]] = {
    "mlp": (_mlp, lambda: torch.randn(4, 16)),
    "cnn-batchnorm": (_cnn, lambda: torch.randn(4, 3, 16, 16)),
    "resnet": (_resnet, lambda: torch.randn(4, 3, 32, 32)),
    "lstm": (lambda: Sequence(nn.LSTM(6, 8, 2, batch_first=True, bidirectional=True)), lambda: torch.randn(4, 7, 6)),
    "gru": (lambda: Sequence(nn.GRU(6, 8, 2, batch_first=True)), lambda: torch.randn(4, 7, 6)),
    "transformer-post": (lambda: Encoder(norm_first=False, activation="relu"), lambda: torch.randn(4, 5, 8)),
    "transformer-pre": (lambda: Encoder(norm_first=True, activation="gelu"), lambda: torch.randn(4, 5, 8)),
    "words": (Words, lambda: torch.randint(0, 50, (4, 9))),
    "u-net": (UNet, lambda: torch.randn(4, 3, 16, 16)),
}
EXPORTERS = {"dynamo": 20, "torchscript": 17}
"""The exporters, with the version of ONNX's operators that each is asked for."""


@dataclass(frozen=True)
class Errors:
    """The largest relative errors of one network."""

    torch_outputs: float
    """Outputs in training mode, against torch's."""
    onnxruntime_outputs: float | None
    """Outputs in evaluation mode, against onnxruntime's."""
    gradients: float
    """Parameter gradients in training mode, against torch's."""
    parameters: int
    """How many numbers were matched."""
    unmatched: int
    """How many of torch's numbers the graph does not hold as parameters."""


def measure(name: str, exporter: str, opset: int | None = None) -> Errors:
    """Export a network, read it back, and return how far it is from torch."""
    make, batch = NETWORKS[name]
    torch.manual_seed(sum(map(ord, name)))
    network, x = make().train(), batch()
    _spread(network)
    model = export(network, x, exporter, opset or EXPORTERS[exporter])
    graph = interpret(model)
    inputs = {graph.inputs[0].name: x}
    held = {key: each.value.clone().requires_grad_() for key, each in graph.parameters.items()}
    ours = Program(graph).run(inputs, held, training=True)[graph.outputs[0]]
    theirs = network(x)
    cotangent = torch.randn_like(theirs)
    found = _gradients(held, torch.autograd.grad(ours, list(held.values()), cotangent, allow_unused=True))
    parameters = dict(network.named_parameters())
    wanted = torch.autograd.grad(theirs, list(parameters.values()), cotangent)
    gradients, matched, unmatched = _compared(parameters, dict(zip(parameters, wanted, strict=True)), found)
    return Errors(
        torch_outputs=float((ours - theirs).detach().abs().max() / theirs.detach().abs().max()),
        onnxruntime_outputs=_reference(model, graph, inputs),
        gradients=gradients,
        parameters=matched,
        unmatched=unmatched,
    )


def export(network: nn.Module, x: Tensor, exporter: str, opset: int) -> onnx.ModelProto:
    """Return a network as a file holds it; in train mode it is exported so that batch normalization stays."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "dynamo":
            kept = {"optimize": False, "verbose": False}
            torch.onnx.export(network, (x,), buffer, dynamo=True, opset_version=opset, **kept)
        else:
            training = torch.onnx.TrainingMode.TRAINING if network.training else torch.onnx.TrainingMode.EVAL
            kept = {"training": training, "do_constant_folding": not network.training}
            torch.onnx.export(network, (x,), buffer, dynamo=False, opset_version=opset, **kept)
    return onnx.load_from_string(buffer.getvalue())


def _spread(network: nn.Module) -> None:
    """Give every parameter of a network values that no other has: odd numbers, each times a power of two."""
    parameters = list(network.parameters())
    total = sum(parameter.numel() for parameter in parameters)
    odd = torch.randperm(total).float() * 2 + 1 - 2 * (total // 2)
    with torch.no_grad():
        for parameter, part in zip(parameters, odd.split([each.numel() for each in parameters]), strict=True):
            scale = 3 / parameter[0].numel() ** 0.5 if parameter.dim() > 1 else 1.0
            parameter.copy_(part.reshape(parameter.shape) * 2.0 ** round(math.log2(scale / 2 / total)))


def _gradients(held: dict[str, Tensor], gradients: tuple[Tensor | None, ...]) -> dict[float, float]:
    """Return the gradient at each number that the graph's parameters hold."""
    found = {}
    for value, gradient in zip(held.values(), gradients, strict=True):
        given = torch.zeros_like(value) if gradient is None else gradient
        found.update(zip(value.detach().flatten().tolist(), given.flatten().tolist(), strict=True))
    return found


def _compared(
    parameters: dict[str, Tensor], wanted: dict[str, Tensor], found: dict[float, float]
) -> tuple[float, int, int]:
    """Return the largest relative error, how many numbers were matched, and how many were not."""
    largest = max(float(gradient.abs().max()) for gradient in wanted.values())
    worst, matched, unmatched = 0.0, 0, 0
    for name, parameter in parameters.items():
        values = parameter.detach().flatten().tolist()
        mine = torch.tensor([found.get(value, torch.nan) for value in values])
        there = mine.isfinite()
        matched, unmatched = matched + int(there.sum()), unmatched + int((~there).sum())
        theirs = wanted[name].flatten()
        scale = max(float(theirs.abs().max()), FLOOR * largest)
        if there.any():
            worst = max(worst, float((mine - theirs)[there].abs().max()) / scale)
    return worst, matched, unmatched


def _reference(model: onnx.ModelProto, graph: Graph, inputs: dict[str, Tensor]) -> float | None:
    return compare(model.SerializeToString(), graph, inputs).max_relative_error


def main() -> None:
    """Print every network's errors, and the largest."""
    logging.disable(logging.WARNING)
    chosen = sys.argv[1:] or list(NETWORKS)
    found = {f"{name}/{exporter}": measure(name, exporter) for name in chosen for exporter in EXPORTERS}
    worst = {
        "torch_outputs": max(errors.torch_outputs for errors in found.values()),
        "onnxruntime_outputs": max(errors.onnxruntime_outputs or 0 for errors in found.values()),
        "gradients": max(errors.gradients for errors in found.values()),
    }
    print(json.dumps({"worst": worst, "networks": {name: asdict(errors) for name, errors in found.items()}}, indent=2))


if __name__ == "__main__":
    main()
