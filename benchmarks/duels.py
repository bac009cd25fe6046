"""What training a duel's runs together saves: prints, per network, JSON with seconds of both ways and their ratio.

One side of a duel's first round is nine runs of twenty steps, three seeds at three rates.  Both ways train them from
the same weights in turn, in seconds of the processor on one thread; the ratio is the median over pairs, one after
another by together.  `together` is whether an examination trains this network's runs together.  `difference` is the
largest between the ends of both ways, logarithms of losses; `rounding` is the largest that moving each weight by a
unit in its last place makes to runs that are trained one after another, since some networks magnify any rounding.

    python benchmarks/duels.py [network …]
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from statistics import median
from time import process_time
from typing import Any

import torch

from service.contract.architecture import parse
from service.contract.words import LossName
from worker.budget import Deadline, pass_seconds
from worker.load.architecture import lower
from worker.loss import Loss
from worker.network.run import Program
from worker.subject import Batch, Subject
from worker.trial.alike import worthwhile
from worker.trial.duel import FIRST, RATES, log_loss, together

PAIRS = 5
ROUNDING = 2**-23
"""A unit in the last place of float32."""
Layer = dict[str, Any]
RELU: Layer = {"kind": "relu"}


def dense(units: int) -> Layer:
    """Return a dense layer."""
    return {"kind": "dense", "units": units, "init": "he_normal"}


def convolution(filters: int) -> Layer:
    """Return a convolution that keeps the size."""
    return {"kind": "conv2d", "filters": filters, "kernel": 3, "padding": "same"}


BRANCH: Layer = {"kind": "residual", "layers": [dense(64), RELU, dense(64)]}
BLOCK: Layer = {"kind": "transformer_block", "heads": 2}
FLAT: Layer = {"kind": "flatten"}
NETWORKS: Mapping[str, tuple[list[Layer], tuple[int, ...], int]] = {
    "dense, 20 layers of 32": ([dense(32), RELU] * 20, (16,), 64),
    "dense, 8 layers of 128": ([dense(128), RELU] * 8, (64,), 64),
    "dense, 8 layers of 256": ([dense(256), RELU] * 8, (64,), 64),
    "batch norm, 12 layers of 64": ([dense(64), {"kind": "batch_norm"}, RELU] * 12, (16,), 64),
    "residual, 8 blocks of 64": ([dense(64), *[BRANCH] * 8], (16,), 64),
    "transformer, 2 blocks of 16": ([BLOCK, BLOCK, FLAT], (8, 16), 32),
    "convolutions, 6 of 4 on 8x8": ([convolution(4), RELU] * 6 + [FLAT], (3, 8, 8), 32),
    "convolutions, 6 of 16 on 16x16": ([convolution(16), RELU] * 6 + [FLAT], (3, 16, 16), 32),
}
"""Layers before a dense head of four, the shape of a sample, and the size of a batch."""


def subject(layers: list[Layer], shape: tuple[int, ...], size: int) -> Subject:
    """Return the network on normal inputs and targets, with the planned seconds of its pass."""
    document = {"gradgate": "1", "input": {"shape": list(shape)}, "layers": [*layers, dense(4)]}
    graph = lower(parse(json.dumps(document).encode()), seed=0)
    generator = torch.Generator().manual_seed(0)
    inputs = {graph.inputs[0].name: torch.randn(size, *shape, generator=generator)}
    planned = pass_seconds(graph, Program(graph).trace(inputs).values)
    batch = Batch(inputs, torch.randn(size, 4, generator=generator))
    return Subject(graph, batch, Loss(LossName.MSE), output=graph.outputs[0], pass_s=planned)


def measure(given: Subject) -> dict[str, object]:
    """Return what nine runs take in both ways."""
    subjects = {seed: given.redrawn(seed) for seed in range(FIRST)}
    joint, apart = partial(together, subjects, RATES, Deadline.after(1e9)), partial(one_after_another, subjects)
    wanted, found = apart(), joint()
    if found is None:
        return {"together": False}
    pairs = [(seconds(apart), seconds(joint)) for _ in range(PAIRS)]
    return {
        "together": worthwhile(given, FIRST * len(RATES)),
        "single_s": round(median(single for single, _ in pairs), 3),
        "batched_s": round(median(batched for _, batched in pairs), 3),
        "ratio": round(median(single / batched for single, batched in pairs), 2),
        "difference": apart_by(wanted, found),
        "rounding": apart_by(wanted, one_after_another({seed: nudged(each) for seed, each in subjects.items()})),
    }


def apart_by(one: Mapping[int, float], other: Mapping[int, float]) -> float:
    """Return the largest difference between ends, to three digits."""
    return float(f"{max(abs(one[seed] - other[seed]) for seed in one):.2e}")


def nudged(given: Subject) -> Subject:
    """Return the subject with each weight moved by a rounding error, up or down."""
    generator = torch.Generator().manual_seed(given.seed)
    moved = {}
    for name, each in given.graph.parameters.items():
        signs = torch.randint(2, each.value.shape, generator=generator) * 2 - 1
        moved[name] = replace(each, value=each.value * (1 + ROUNDING * signs))
    return given.replace(graph=given.graph.replace(parameters=moved))


def one_after_another(subjects: Mapping[int, Subject]) -> dict[int, float]:
    """Return how each seed's runs end."""
    return {seed: log_loss(each, seed, RATES, Deadline.after(1e9)) for seed, each in subjects.items()}


def seconds(run: Callable[[], object]) -> float:
    """Return the processor's seconds of a run."""
    start = process_time()
    run()
    return process_time() - start


def main() -> None:
    """Print what both ways take, per network, as JSON."""
    torch.set_num_threads(1)
    rows = {name: measure(subject(*NETWORKS[name])) for name in sys.argv[1:] or NETWORKS}
    print(json.dumps({"benchmark": "duels", "torch": torch.__version__, "networks": rows}, indent=2))


if __name__ == "__main__":
    main()
