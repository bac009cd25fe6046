"""What an examination costs beside a bare pass: prints, per network, times as multiples of torch's own in the same run.

A step is a forward and a backward pass of the exported network through our interpreter, by the same of the torch module
that it was exported from: both run in turn on the same batch, and the multiple is the median over pairs.  A probe is
everything that is measured without training.

    python benchmarks/passes.py [network …]
"""

import json
import logging
import sys
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median, quantiles
from time import perf_counter

import onnx
import torch
from architectures import NETWORKS
from architectures.exporting import export
from architectures.large import LARGE
from torch import Tensor, nn

from service.contract.words import LossName
from worker.load.onnx import interpret
from worker.loss import Loss
from worker.network.graph import Graph
from worker.network.run import Program
from worker.probe.measure import probe
from worker.subject import Batch, Subject

PAIRS, PROBES = 15, 3
SMALL = ("mlp", "cnn-batchnorm", "resnet", "lstm", "gru", "transformer-pre", "vit", "u-net")
EXPORTERS = {"torchscript": 17, "dynamo": 20}


def seconds(run: Callable[[], object]) -> float:
    """Return how long a run takes."""
    start = perf_counter()
    run()
    return perf_counter() - start


def measure(network: nn.Module, batch: tuple[Tensor, ...], model: onnx.ModelProto) -> dict[str, object]:
    """Return the multiples for one network and its file."""
    graph = interpret(model)
    inputs = dict(zip((given.name for given in graph.inputs), batch, strict=True))
    theirs = partial(_bare, network, batch)
    ours = partial(_ours, Program(graph), inputs, _leaves(graph))
    theirs()
    ours()
    pairs = [(seconds(theirs), seconds(ours)) for _ in range(PAIRS)]
    low, middle, high = quantiles([mine / bare for bare, mine in pairs], n=4)
    bare = median(first for first, _ in pairs)
    probing = median(seconds(partial(probe, _subject(graph, inputs))) for _ in range(PROBES))
    return {
        "parameters": sum(each.numel() for each in network.parameters()),
        "bare_ms": round(bare * 1e3, 3),
        "step": round(middle, 2),
        "quartiles": [round(low, 2), round(high, 2)],
        "probe": round(probing / bare, 1),
    }


def _bare(network: nn.Module, batch: tuple[Tensor, ...]) -> None:
    loss = network(*batch).square().mean()
    torch.autograd.grad(loss, list(network.parameters()), allow_unused=True)


def _leaves(graph: Graph) -> dict[str, Tensor]:
    return {name: each.value.clone().requires_grad_() for name, each in graph.parameters.items()}


def _ours(program: Program, inputs: Mapping[str, Tensor], leaves: Mapping[str, Tensor]) -> None:
    output = program.run(inputs, leaves, training=True)[program.graph.outputs[0]]
    torch.autograd.grad(output.square().mean(), list(leaves.values()), allow_unused=True)


def _subject(graph: Graph, inputs: Mapping[str, Tensor]) -> Subject:
    output = graph.outputs[0]
    target = torch.zeros_like(Program(graph).run(inputs, training=True)[output])
    return Subject(graph, Batch(inputs, target), Loss(LossName.MSE), output=output)


def main() -> None:
    """Print the table as JSON."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    rows = {}
    for name in sys.argv[1:] or (*SMALL, *LARGE):
        for exporter, opset in EXPORTERS.items():
            architecture = {**NETWORKS, **LARGE}[name]
            network, batch = architecture.make().train(), architecture.batch()
            rows[f"{name}/{exporter}"] = measure(network, batch, export(network, batch, exporter, opset))
    print(json.dumps({"benchmark": "passes", "torch": torch.__version__, "networks": rows}, indent=2))


if __name__ == "__main__":
    main()
