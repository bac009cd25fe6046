"""What an examination costs beside a bare pass: prints, per network, times as multiples of torch's own in the same run.

A step is a forward and a backward pass of the exported network through our interpreter, by the same of the torch module
that it was exported from.  A probe is everything that is measured without training.

    python benchmarks/passes.py [network …]
"""

import importlib.util
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import torch
from torch import Tensor

from service.contract.words import LossName
from worker.load.onnx import interpret
from worker.loss import Loss
from worker.network.run import Program
from worker.probe.measure import probe
from worker.subject import Batch, Subject

ROUNDS = 15


def sibling(name: str):  # noqa: ANN201  a module
    """Return the benchmark beside this one, which is a script and no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def seconds(run: Callable[[], object]) -> float:
    """Return the median time of a run, after one that warms up."""
    run()
    times = []
    for _ in range(ROUNDS):
        start = perf_counter()
        run()
        times.append(perf_counter() - start)
    return median(times)


def measure(make: Callable[[], torch.nn.Module], batch: Tensor, export: Callable[..., object]) -> dict[str, float]:
    """Return the multiples for one network."""
    network = make().train()
    graph = interpret(export(network, batch, "torchscript", 17))
    program, name = Program(graph), graph.inputs[0].name
    leaves = {key: each.value.clone().requires_grad_() for key, each in graph.parameters.items()}
    output = graph.outputs[0]

    def bare() -> None:
        torch.autograd.grad(network(batch).square().mean(), list(network.parameters()), allow_unused=True)

    def ours() -> None:
        loss = program.run({name: batch}, leaves, training=True)[output].square().mean()
        torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)

    target = torch.zeros_like(program.run({name: batch}, training=True)[output])
    subject = Subject(graph, Batch({name: batch}, target), Loss(LossName.MSE), output=output)
    base = seconds(bare)
    return {
        "bare_ms": round(base * 1e3, 3),
        "step": round(seconds(ours) / base, 2),
        "probe": round(seconds(lambda: probe(subject)) / base, 1),
    }


def main() -> None:
    """Print the table as JSON."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    gradients = sibling("gradients")
    chosen = sys.argv[1:] or list(gradients.NETWORKS)
    networks = {name: gradients.NETWORKS[name] for name in chosen}
    rows = {name: measure(make, draw(), gradients.export) for name, (make, draw) in networks.items()}
    print(json.dumps({"benchmark": "passes", "torch": torch.__version__, "networks": rows}, indent=2))


if __name__ == "__main__":
    main()
