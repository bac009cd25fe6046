"""The suite's cases that have inputs, as gradients are judged on them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, defs
from onnx.backend.test.loader import load_model_tests
from suite import node_cases

from tests.network.test_versions import CASES, opsets
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
    """Yield the cases of all kinds."""
    for case in node_cases():
        if case.data_sets:
            yield GradientCase("node", case.name, case.model, tuple(case.data_sets[0][0]))
    for kind in STORED:
        for each in sorted(load_model_tests(kind=kind), key=lambda test: str(test.name)):
            folder = Path(each.model_dir)
            yield GradientCase(kind, each.name, onnx.load(folder / "model.onnx"), tuple(_stored(folder)))


def version_cases() -> Iterator[GradientCase]:
    """Yield the cases of every version of every operator that opsets 7 and newer put in force, at its oldest opset."""
    for place, case in enumerate(CASES):
        inputs = tuple(value for value in case.inputs if value is not None)
        versions: dict[int, int] = {}
        for opset in opsets(case):
            version = defs.get_schema(case.operator, opset, "").since_version
            versions[version] = min(opset, versions.get(version, opset))
        for opset in versions.values():
            yield GradientCase("versions", f"{case.operator}-{place}-{opset}", case.model(opset), inputs)


def _count(value: Any) -> int:  # noqa: ANN401  an array, a proto, or a sequence of arrays
    if isinstance(value, list):
        return sum(map(_count, value))
    return math.prod(value.dims) if isinstance(value, TensorProto) else np.size(value)


def _stored(folder: Path) -> Iterator[TensorProto]:
    files = sorted((folder / "test_data_set_0").glob("input_*.pb"), key=lambda path: int(path.stem.split("_")[1]))
    for path in files:
        value = TensorProto()
        value.ParseFromString(path.read_bytes())
        yield value
