"""The suite's cases that have inputs, as gradients are judged on them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto
from onnx.backend.test.loader import load_model_tests
from suite import node_cases

from worker.network.ops import find
from worker.network.proto import domain

STORED = ("pytorch-converted", "pytorch-operator", "simple")
"""Kinds whose inputs lie in files."""
EXPANDED = "_expanded"


@dataclass(frozen=True)
class GradientCase:
    """A model with inputs."""

    kind: str
    name: str
    model: ModelProto
    inputs: tuple[Any, ...]

    @property
    def key(self) -> str:
        """Kind and name."""
        return f"{self.kind}/{self.name}"

    @property
    def size(self) -> int:
        """How many numbers it is given."""
        return sum(map(_count, self.inputs))

    @property
    def form(self) -> tuple[str, ...]:
        """What tells it from most others: operators, the last one's version and attributes, and how many inputs."""
        last = self.model.graph.node[-1]
        versions = [str(each.version) for each in self.model.opset_import if domain(each.domain) == domain(last.domain)]
        attributes = sorted(f"{each.name}={each.s.decode()}" for each in last.attribute)
        written = EXPANDED if EXPANDED in self.name else ""
        return last.op_type, *versions, *attributes, str(len(last.input)), written


def gradient_cases() -> Iterator[GradientCase]:
    """Yield the cases of all kinds.

    An operator that we compute by its definition is judged on the suite's form with the definition written out, which
    can be widened to float64: some definitions round to float32.
    """
    nodes = {case.name: case for case in node_cases() if case.data_sets}
    for name, case in nodes.items():
        written = [] if _computed(case.model) else [each for each in nodes if each.startswith(f"{name}{EXPANDED}")]
        model = nodes[written[0]].model if written else case.model
        yield GradientCase("node", name, model, tuple(case.data_sets[0][0]))
    for kind in STORED:
        for each in sorted(load_model_tests(kind=kind), key=lambda test: str(test.name)):
            folder = Path(each.model_dir)
            yield GradientCase(kind, each.name, onnx.load(folder / "model.onnx"), tuple(_stored(folder)))


def _count(value: Any) -> int:  # noqa: ANN401  an array, a proto, or a sequence of arrays
    if isinstance(value, list):
        return sum(map(_count, value))
    return math.prod(value.dims) if isinstance(value, TensorProto) else np.size(value)


def _computed(model: ModelProto) -> bool:
    """Whether every operator of a model has a function of ours."""
    opsets = {domain(each.domain): each.version for each in model.opset_import}
    return all(find(domain(node.domain), node.op_type, opsets.get(domain(node.domain), 0)) for node in model.graph.node)


def _stored(folder: Path) -> Iterator[TensorProto]:
    files = sorted((folder / "test_data_set_0").glob("input_*.pb"), key=lambda path: int(path.stem.split("_")[1]))
    for path in files:
        value = TensorProto()
        value.ParseFromString(path.read_bytes())
        yield value
