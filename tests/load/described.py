"""Described networks for tests: built, computed, and compared with torch.nn's modules."""

import json
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from service.contract.architecture import parse
from worker.load.architecture import lower
from worker.network.graph import Graph
from worker.network.run import Program

VECTOR, SEQUENCE, IMAGE = (6,), (7, 8), (4, 9, 8)


def build(layers: list[Any], shape: tuple[int, ...], **given: str) -> Graph:
    """Return the graph of these layers; it must have the shape and the number of weights that the file promises."""
    document = {"gradgate": "1", "input": {"shape": list(shape), **given}, "layers": layers}
    architecture = parse(json.dumps(document).encode())
    graph = lower(architecture, seed=0)
    assert sum(each.value.numel() for each in graph.parameters.values()) == architecture.weights()
    sample = torch.zeros(2, *shape, dtype=graph.inputs[0].dtype)
    assert compute(graph, sample).shape[1:] == architecture.output_shape()
    return graph


def compute(graph: Graph, value: Tensor, *, training: bool = False) -> Tensor:
    """Return the graph's output."""
    return Program(graph).run({"input": value}, training=training)["output"]


def draw(shape: tuple[int, ...], size: int = 5, seed: int = 0) -> Tensor:
    """Return samples from the standard normal law."""
    return torch.randn(size, *shape, generator=torch.Generator().manual_seed(seed))


def fill(module: nn.Module, values: dict[str, Tensor]) -> nn.Module:
    """Return the module in evaluation mode with these weights."""
    missing = module.load_state_dict(values, strict=False).missing_keys
    assert all(name.split(".")[-1].startswith(("running", "num_batches")) for name in missing)
    return module.eval()


def channels_first(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return the module as a function of (batch, time, features)."""
    return lambda value: module(value.transpose(1, 2)).transpose(1, 2)
