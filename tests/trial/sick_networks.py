"""Networks of torch's that do not train as they stand, and the ONNX files that its exporters write of them."""

import contextlib
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

CLASSES = 4


class Branch(nn.Module):
    """Adds to what it reads two layers of it, at full scale."""

    def __init__(self, width: int) -> None:
        """Draw the weights."""
        super().__init__()
        self.inner, self.outer = nn.Linear(width, width), nn.Linear(width, width)
        for layer in (self.inner, self.outer):
            nn.init.kaiming_normal_(layer.weight)

    def forward(self, value: Tensor) -> Tensor:
        """Return the output."""
        return value + self.outer(torch.relu(self.inner(value)))


class Recurrent(nn.Module):
    """A recurrent layer whose recurrent weights are far too large, read at its last step."""

    def __init__(self, width: int) -> None:
        """Draw the weights."""
        super().__init__()
        self.steps, self.head = nn.RNN(8, width, batch_first=True), nn.Linear(width, CLASSES)
        with torch.no_grad():
            self.steps.weight_hh_l0.mul_(8)

    def forward(self, value: Tensor) -> Tensor:
        """Return the output."""
        last: Tensor = self.head(self.steps(value)[0][:, -1])
        return last


class LogOfRelu(nn.Module):
    """Takes the logarithm of what is 0 for some of its inputs."""

    def forward(self, value: Tensor) -> Tensor:
        """Return the output."""
        return torch.relu(value).log()


def sigmoids() -> nn.Module:
    sizes = [16, *[24] * 12]
    layers = [each for size in pairwise(sizes) for each in (nn.Linear(*size), nn.Sigmoid())]
    return nn.Sequential(*layers, nn.Linear(24, CLASSES))


def convolutions() -> nn.Module:
    sizes = [3, *[8] * 10]
    pairs = pairwise(sizes)
    layers = [each for size in pairs for each in (nn.Conv2d(*size, 3, padding=1), nn.ReLU())]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, CLASSES))


def residual() -> nn.Module:
    return nn.Sequential(nn.Linear(16, 16), *[Branch(16) for _ in range(24)], nn.Linear(16, CLASSES))


def guarded() -> nn.Module:
    head = nn.Linear(32, CLASSES)
    nn.init.constant_(head.bias, 0.75)
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), head, LogOfRelu())


@dataclass(frozen=True)
class Sick:
    """A network that does not train, the shape of a sample, and how it is written."""

    build: Callable[[], nn.Module]
    shape: tuple[int, ...] = (16,)
    newer: bool = False
    """Whether torch's newer exporter writes it."""
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam
    rate: float = 0.003


MOMENTUM = partial(torch.optim.SGD, momentum=0.9)
NETWORKS = {
    "sigmoids": Sick(sigmoids),
    "convolutions": Sick(convolutions, (3, 6, 6), newer=True, optimizer=MOMENTUM, rate=0.003),
    "residual": Sick(residual, optimizer=torch.optim.SGD, rate=0.01),
    "recurrent": Sick(lambda: Recurrent(32), (24, 8)),
    "logarithm": Sick(guarded),
}


def exported(network: nn.Module, inputs: Tensor, *, newer: bool) -> bytes:
    """Return the ONNX file that an exporter of torch's writes."""
    free: dict[str, Any] = {"input_names": ["x"], "output_names": ["scores"]}
    buffer = io.BytesIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        if newer:
            shapes = ({0: torch.export.Dim("n")},)
            program = torch.onnx.export(network, (inputs,), dynamo=True, dynamic_shapes=shapes, **free)
            return bytes(program.model_proto.SerializeToString())
        axes = {"x": {0: "n"}, "scores": {0: "n"}}
        torch.onnx.export(network, (inputs,), buffer, dynamo=False, opset_version=17, dynamic_axes=axes, **free)
    return buffer.getvalue()
