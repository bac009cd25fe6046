"""A network as a file: torch's two exporters, for training and as people export who think of nothing but inference."""

import contextlib
import io
import math
import os
import sys
import warnings
from collections.abc import Iterator

import onnx
import torch
from torch import Tensor, nn

EXPORTERS = {"dynamo": (18, 24), "torchscript": (13, 17)}
"""Both exporters, with the versions of ONNX's operators that each is asked for."""
FURTHER = {
    **dict.fromkeys(("mlp", "cnn-batchnorm", "lstm", "prelu", "tcn"), (9, 11)),
    "spatial-transformer": (20,),
}
"""Networks that the older exporter writes for further versions."""


def versions(name: str, exporter: str) -> tuple[int, ...]:
    """Return the versions that an exporter is asked for with a network."""
    further = FURTHER.get(name, ()) if exporter == "torchscript" else ()
    return further + EXPORTERS[exporter]


def export(network: nn.Module, batch: tuple[Tensor, ...], exporter: str, opset: int) -> onnx.ModelProto:
    """Return a network as a file holds it; in training mode nothing is folded, else the exporter's defaults hold."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), _chatting_elsewhere():
        warnings.simplefilter("ignore")
        if exporter == "dynamo":
            torch.onnx.export(
                network,
                batch,
                buffer,
                dynamo=True,
                opset_version=opset,
                optimize=not network.training,
                verbose=False,
            )
        else:
            torch.onnx.export(
                network,
                batch,
                buffer,
                dynamo=False,
                opset_version=opset,
                training=torch.onnx.TrainingMode.TRAINING if network.training else torch.onnx.TrainingMode.EVAL,
                do_constant_folding=not network.training,
            )
    return onnx.load_from_string(buffer.getvalue())


@contextlib.contextmanager
def _chatting_elsewhere() -> Iterator[None]:
    """Have what exporters print about what they refuse, from C++ too, go to standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def spread(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give every parameter values that no other number has: odd numbers, shuffled, each times a power of two.

    A tensor of the file is then matched with torch's by its values, whatever the export did to its layout: transposed
    it, reordered an LSTM's gates, or joined two biases.  Running statistics become such as training leaves.
    """
    parameters = list(network.parameters())
    total = sum(parameter.numel() for parameter in parameters)
    generator = torch.Generator().manual_seed(seed)
    odd = (torch.randperm(total, generator=generator) * 2 + 1 - 2 * (total // 2)).float()
    fixed = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter, part in zip(parameters, odd.split([each.numel() for each in parameters]), strict=True):
            scale = 3 / parameter[0].numel() ** 0.5 if parameter.dim() > 1 else 1.0
            parameter.copy_(part.reshape(parameter.shape) * 2.0 ** round(math.log2(scale / 2 / total)))
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(0.2 * torch.randn(buffer.shape, generator=fixed))
            if name.endswith("running_var"):
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=fixed))
    return network
