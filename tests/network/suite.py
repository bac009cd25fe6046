"""ONNX's own backend suite, run by ONNX's own runner against our backend."""

import os
import re
import tempfile
import unittest
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import torch
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, TypeProto
from onnx.backend.base import Backend
from onnx.backend.test.case.test_case import TestCase as NodeCase
from onnx.backend.test.loader import load_model_tests
from onnx.backend.test.runner import Runner

from service.contract.problem import Trouble, UnsupportedModel, UnsupportedOperator
from worker.network import proto
from worker.network.backend import TorchBackend

Status = Literal["pass", "fail", "unsupported"]

KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator", "real")
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"

FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16}
QUANTIZED = re.compile("Quantize|QLinear|Integer$")
LOW_BIT = re.compile("FLOAT[468]|INT[24]$")
NAMED = {
    "random": re.compile("^Random|^Bernoulli$|^Multinomial$"),
    "sequence": re.compile("Sequence|^Optional"),
    "image": re.compile("^ImageDecoder$"),
    "string": re.compile("^String|^RegexFullMatch$|^TfIdfVectorizer$"),
}
"""Categories that an operator puts a case into."""
DOMAINS = {"ai.onnx.preview.training": "training", "ai.onnx.ml": "ai.onnx.ml"}


@dataclass(frozen=True)
class Case:
    """One of the suite's cases."""

    kind: str
    name: str
    model: ModelProto

    @property
    def key(self) -> str:
        """Kind and name."""
        return f"{self.kind}/{self.name}"

    @property
    def category(self) -> str:
        """What the case is about: float tensors, whole numbers, or a kind of value or operator beyond them."""
        return "light" if self.kind == "real" else _category(self.model, self.name)


@dataclass(frozen=True)
class Verdict:
    """How a case ended."""

    status: Status
    why: str = ""


@cache
def cases() -> dict[str, Case]:
    """Return all cases by key."""
    return {case.key: case for kind in KINDS for case in _of(kind)}


@cache
def node_cases() -> list[NodeCase]:
    """Return the node suite's cases, with their inputs and outputs."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return list(load_model_tests(kind="node"))


def _of(kind: str) -> Iterator[Case]:
    if kind == "node":
        yield from (Case(kind, case.name, case.model) for case in node_cases())
        return
    for case in sorted(load_model_tests(kind=kind), key=lambda case: str(case.name)):
        path = LIGHT / Path(case.url).name if kind == "real" else Path(case.model_dir) / "model.onnx"
        yield Case(kind, case.name, onnx.load(path))


@cache
def _tests(backend: type[Backend]) -> Mapping[str, unittest.TestCase]:
    """Return the runner's tests by kind and name."""
    os.environ.setdefault("ONNX_MODELS", tempfile.mkdtemp(prefix="light-"))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        groups = Runner(backend, __name__).test_cases
    kinds = {kind.replace("-", ""): kind for kind in KINDS}
    found = {}
    for group, tests in groups.items():
        kind = kinds[group.removeprefix("OnnxBackend").removesuffix("ModelTest").lower()]
        for name in unittest.defaultTestLoader.getTestCaseNames(tests):
            if name.endswith("_cpu"):
                found[f"{kind}/{name.removesuffix('_cpu')}"] = tests(name)
    return found


def verdict(key: str, backend: type[Backend] = TorchBackend) -> Verdict:
    """Return how a case ends when ONNX's runner puts it to a backend, which is ours unless another is named."""
    test = _tests(backend)[key]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            getattr(test, test._testMethodName)()  # noqa: SLF001  unittest has no other way to name it
    except (UnsupportedModel, UnsupportedOperator) as trouble:
        return Verdict("unsupported", trouble.detail)
    except Trouble as trouble:
        return Verdict("fail", trouble.detail)
    except Exception as error:  # noqa: BLE001  whatever a case raises is how it ended
        said = " ".join(str(error).split())
        return Verdict("fail", f"{type(error).__name__}: {said[:160]}")
    return Verdict("pass")


def tensor(value: np.ndarray | TensorProto) -> torch.Tensor:
    """Return one of the suite's tensors as torch's."""
    return proto.value(value)


def passes(case: NodeCase) -> bool:
    """Whether a case of the node suite gives the suite's outputs."""
    return verdict(f"node/{case.name}").status == "pass"


def _category(model: ModelProto, name: str) -> str:
    nodes = [*_nodes(model.graph.node), *(node for each in model.functions for node in _nodes(each.node))]
    types = set(_types(model))
    ends = {value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)}
    candidates = (
        *((DOMAINS[node.domain], True) for node in nodes if node.domain in DOMAINS),
        ("sequence", not types <= {"tensor", *TensorProto.DataType.keys()}),
        *((category, _any(nodes, pattern)) for category, pattern in NAMED.items()),
        ("string", "STRING" in types),
        ("low-bit", any(map(LOW_BIT.search, types))),
        ("quantized", _any(nodes, QUANTIZED)),
        ("random", "training_dropout" in name and "zero_ratio" not in name),
        ("float", bool(ends & FLOATS)),
        ("int/bool", True),
    )
    return next(category for category, holds in candidates if holds)


def _any(nodes: list[NodeProto], pattern: re.Pattern[str]) -> bool:
    return any(pattern.search(node.op_type) for node in nodes)


def _nodes(nodes: object) -> Iterator[NodeProto]:
    for node in nodes:  # type: ignore[attr-defined]
        yield node
        for attribute in node.attribute:
            yield from _nodes(attribute.g.node)


def _types(model: ModelProto) -> Iterator[str]:
    yield from _of_graph(model.graph)


def _of_graph(graph: GraphProto) -> Iterator[str]:
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield from _of_type(value.type)
    yield from (TensorProto.DataType.Name(each.data_type) for each in graph.initializer)
    for node in graph.node:
        for attribute in node.attribute:
            yield from _of_attribute(attribute)


def _of_attribute(attribute: AttributeProto) -> Iterator[str]:
    if attribute.type == AttributeProto.GRAPH:
        yield from _of_graph(attribute.g)
    if attribute.type == AttributeProto.TENSOR:
        yield TensorProto.DataType.Name(attribute.t.data_type)


def _of_type(kind: TypeProto) -> Iterator[str]:
    """Yield the names of what a type is made of."""
    which = kind.WhichOneof("value")
    if which == "tensor_type":
        yield TensorProto.DataType.Name(kind.tensor_type.elem_type)
    elif which is not None:
        yield which
        yield from _of_type(getattr(kind, which).elem_type) if which != "map_type" else ()
