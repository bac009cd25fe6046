"""ONNX's own node suite: what passes once must go on passing.

`conformance.txt` lists the cases whose outputs are the suite's; run as a script, this file rewrites it.
"""

import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto
from onnx.backend.test.case.test_case import TestCase as Case
from onnx.backend.test.loader import load_model_tests

from service.contract.problem import Trouble
from worker.load.onnx import interpret
from worker.network import proto
from worker.network.run import Program

ROOT = Path(__file__).parents[2]
PASSING = Path(__file__).with_name("conformance.txt")
RANDOM = ("bernoulli", "random", "dropout_default_mask_ratio", "training_dropout")


@cache
def cases() -> list[Case]:
    """Return the suite's cases that are made of tensors."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = load_model_tests(kind="node")
    return [case for case in found if not any(word in case.name for word in RANDOM)]


def tensor(value: np.ndarray | TensorProto) -> torch.Tensor:
    """Return one of the suite's values as a tensor."""
    if isinstance(value, TensorProto):
        return proto.tensor(value)
    array = np.array(value)
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def differences(case: Case) -> Iterator[str]:
    """Yield what is wrong with our outputs for a case."""
    graph = interpret(case.model)
    program = Program(graph)
    for inputs, expected in case.data_sets:
        names = [value.name for value in case.model.graph.input]
        with torch.no_grad():
            outputs = program.run({name: tensor(value) for name, value in zip(names, inputs, strict=False)})
        for name, value in zip(graph.outputs, map(tensor, expected), strict=True):
            ours = outputs[name]
            if ours.dtype != value.dtype or ours.shape != value.shape:
                yield f"{name}: {ours.dtype} {tuple(ours.shape)} for {value.dtype} {tuple(value.shape)}"
            elif not close(ours, value, case):
                yield f"{name}: values differ"


def close(ours: torch.Tensor, value: torch.Tensor, case: Case) -> bool:
    """Whether two values agree to the suite's tolerance; half precision to two units in the last place."""
    if not value.is_floating_point():
        return torch.equal(ours, value)
    finite = value[value.isfinite()]
    scale = float(finite.abs().max()) if finite.numel() else 0.0
    rtol = max(case.rtol, 2 * torch.finfo(value.dtype).eps)
    return torch.allclose(ours.double(), value.double(), rtol, max(case.atol, 1e-6 * scale), equal_nan=True)


def passes(case: Case) -> bool:
    """Whether a case gives the suite's outputs."""
    try:
        return not list(differences(case))
    except (Trouble, TypeError, ValueError, RuntimeError, AttributeError):
        return False


@pytest.mark.filterwarnings("ignore")
def test_what_passed_passes() -> None:
    expected = set(PASSING.read_text().split())
    found = {case.name for case in cases() if case.name in expected and passes(case)}
    assert not expected - found, "run this file as a script to see why, and to rewrite the list"
    assert len(expected) > 1000


@pytest.mark.filterwarnings("ignore")
def test_gradients_are_central_differences() -> None:
    """One case per operator; `benchmarks/operators.py` judges all."""
    spec = spec_from_file_location("operators_benchmark", ROOT / "benchmarks" / "operators.py")
    assert spec is not None
    assert spec.loader is not None
    benchmark = module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    torch.manual_seed(0)
    expected = set(PASSING.read_text().split())
    chosen = {case.model.graph.node[-1].op_type: case for case in cases() if case.name in expected}
    verdicts = {}
    for name, case in chosen.items():
        with suppress(Trouble):
            verdicts[name] = benchmark.judged(case)
    assert not [name for name, verdict in verdicts.items() if verdict in {"wrong", "missing"}]
    assert sum(verdict == "right" for verdict in verdicts.values()) > 80


if __name__ == "__main__":
    suite = cases()
    good = sorted(case.name for case in suite if passes(case))
    if "--list" not in sys.argv:
        PASSING.write_text("\n".join(good) + "\n")
    print(f"{len(good)} of {len(suite)} pass")  # noqa: T201  the script's answer
