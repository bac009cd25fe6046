"""What measuring costs beside the passes that it measures on: prints, per network, JSON with seconds and their ratio.

A probe counts its forward and backward passes.  The bare side runs as many through the same program and asks torch for
the gradients at the same values, but takes no number of them: the loss's gradient at every place and parameter once,
and the rest as random cotangents pulled back from the last hidden front to the others; forward passes beyond the first
keep no graph.  Both sides run in turn on one thread; the ratio is the median over pairs, in seconds of the processor.

    python benchmarks/probing.py [resnet transformer …]
"""

import json
import sys
from collections.abc import Callable, Mapping
from statistics import median
from time import process_time
from typing import Any

import torch
from torch import Tensor

from service.contract.architecture import parse
from service.contract.words import LossName
from worker.load.architecture import lower
from worker.loss import Loss
from worker.network.run import Program
from worker.passes import Passes, counted
from worker.probe.fronts import fronts
from worker.probe.measure import probe
from worker.probe.places import places
from worker.probe.sweep import sweep
from worker.subject import Batch, Subject

PAIRS = 7
Layer = dict[str, Any]


def resnet(widths: tuple[int, ...] = (48, 96, 192), blocks: int = 2) -> Subject:
    """Return a residual network on 32 images of 3×32×32, with 1.5 million parameters."""
    layers: list[Layer] = [_conv(widths[0]), {"kind": "batch_norm"}, {"kind": "relu"}]
    for width in widths:
        layers += [_conv(width, 2), {"kind": "batch_norm"}, {"kind": "relu"}]
        for _ in range(blocks):
            branch = [_conv(width), {"kind": "batch_norm"}, {"kind": "relu"}, _conv(width), {"kind": "batch_norm"}]
            layers += [{"kind": "residual", "layers": branch}, {"kind": "relu"}]
    return _subject([*layers, {"kind": "global_avg_pool"}, {"kind": "dense", "units": 10}], (3, 32, 32), 32, 10)


def transformer(width: int = 192, blocks: int = 4) -> Subject:
    """Return a pre-LN transformer on 32 sequences of 64 steps, with 1.8 million parameters."""
    block = {"kind": "transformer_block", "heads": 4}
    layers: list[Layer] = [{"kind": "dense", "units": width}]
    layers += [{"kind": "repeat", "times": blocks, "layers": [block]}]
    return _subject(
        [*layers, {"kind": "layer_norm"}, {"kind": "flatten"}, {"kind": "dense", "units": 10}], (64, 32), 32, 10
    )


NETWORKS: Mapping[str, Callable[[], Subject]] = {"resnet": resnet, "transformer": transformer}


def _conv(filters: int, stride: int = 1) -> Layer:
    return {"kind": "conv2d", "filters": filters, "kernel": 3, "stride": stride, "padding": "same", "bias": False}


def _subject(layers: list[Layer], shape: tuple[int, ...], size: int, classes: int) -> Subject:
    document = {"gradgate": "1", "input": {"shape": list(shape)}, "layers": layers}
    graph = lower(parse(json.dumps(document).encode()), seed=0)
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(classes, (size,), generator=generator)
    inputs = {"input": torch.randn(size, *shape, generator=generator)}
    return Subject(graph, Batch(inputs, target), Loss(LossName.CROSS_ENTROPY), output=graph.outputs[0])


class Bare:
    """The passes alone: a program made beforehand, and nothing read of what it gives."""

    def __init__(self, subject: Subject) -> None:
        """Find out beforehand what a probe asks for."""
        run = sweep(subject)
        self._subject, self._program = subject, Program(subject.graph)
        self._wanted = [value for _, value in places(run.path)]
        self._fronts = [front.values for front in fronts(run.path)]

    def run(self, passes: Passes) -> None:
        """Run as many passes as a probe did, with the same values wanted of them."""
        values, leaves, loss = self._forward()
        for _ in range(passes.forward - 1):
            with torch.no_grad():
                self._program.run(self._subject.batch.inputs, training=False)
        torch.autograd.grad(loss, [*(values[name] for name in self._wanted), *leaves.values()], retain_graph=True)
        tensors = [[values[name] for name in front] for front in self._fronts]
        for _ in range(passes.backward - 1):
            self._back(tensors)

    def _forward(self) -> tuple[Mapping[str, Tensor], dict[str, Tensor], Tensor]:
        subject = self._subject
        leaves = {name: each.value.clone().requires_grad_() for name, each in subject.graph.parameters.items()}
        values = self._program.trace(subject.batch.inputs, leaves, training=True).values
        return values, leaves, subject.loss(values[subject.output], subject.target)

    @staticmethod
    def _back(fronts: list[list[Tensor]]) -> None:
        ends = fronts[-1]
        torch.autograd.grad(
            ends,
            [value for front in fronts[:-1] for value in front],
            [torch.randn_like(end) for end in ends],
            retain_graph=True,
            allow_unused=True,
        )


def measure(subject: Subject) -> dict[str, object]:
    """Return the seconds of both sides, and their ratio."""
    with counted(Passes()) as passes:
        probe(subject)
    bare = Bare(subject)
    bare.run(passes)
    pairs = [(_seconds(lambda: probe(subject)), _seconds(lambda: bare.run(passes))) for _ in range(PAIRS)]
    return {
        "parameters": sum(each.value.numel() for each in subject.graph.parameters.values()),
        "batch": subject.batch.size,
        "forward": passes.forward,
        "backward": passes.backward,
        "probe_s": round(median(first for first, _ in pairs), 4),
        "bare_s": round(median(second for _, second in pairs), 4),
        "ratio": round(median(first / second for first, second in pairs), 3),
    }


def _seconds(run: Callable[[], object]) -> float:
    start = process_time()
    run()
    return process_time() - start


if __name__ == "__main__":
    torch.set_num_threads(1)
    chosen = sys.argv[1:] or list(NETWORKS)
    print(json.dumps({name: measure(NETWORKS[name]()) for name in chosen}, indent=2))
