"""ONNX's node suite through our operators: outputs, and gradients against central differences; prints JSON.

Each case's first float input is moved by a random direction in float64, and the change of a random projection of the
outputs is compared with what autograd says of it.  Cases where two step sizes disagree (kinks) are counted apart; the
suite's second form of a case, with the operator's definition written out, is not counted twice.
"""

import json
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from onnx.backend.test.case.test_case import TestCase as Case
from torch import Tensor

from service.contract.problem import Trouble
from worker.load.onnx import interpret
from worker.network.run import Program

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "network"))

from test_conformance import cases, passes, tensor

STEPS = (1e-6, 1e-4, 1e-3)
CLOSE = 1e-3
JITTER = 3e-3


def judged(case: Case) -> str:
    """Return whether a case's gradient is right, wrong, missing, at a kink, or absent by nature."""
    program = Program(interpret(case.model))
    given = {
        value.name: tensor(each) for value, each in zip(case.model.graph.input, case.data_sets[0][0], strict=False)
    }
    moved = {name: value.double() if value.is_floating_point() else value for name, value in given.items()}
    name = next((name for name, value in moved.items() if value.is_floating_point() and value.numel()), None)
    if name is None or not moved[name].isfinite().all():
        return "nothing to differentiate"
    start = moved[name] + JITTER * torch.randn_like(moved[name])
    with torch.no_grad():
        outputs = program.run({**moved, name: start})
    weights = {
        key: torch.randn_like(value)
        for key, value in outputs.items()
        if value.dtype == torch.float64 and value.numel() and value.isfinite().all()
    }
    if not weights:
        return "nothing to differentiate"

    def projected(x: Tensor) -> Tensor:
        found = program.run({**moved, name: x})
        return torch.stack([(found[key] * weight).sum() for key, weight in weights.items()]).sum()

    direction = torch.randn_like(start)
    x = start.clone().requires_grad_()
    value = projected(x)
    slope = 0.0
    if value.requires_grad:
        (gradient,) = torch.autograd.grad(value, x, allow_unused=True, materialize_grads=True)
        slope = float((gradient * direction).sum())
    return _verdict(slope, projected, start, direction, known=value.requires_grad)


def _verdict(
    slope: float, projected: Callable[[Tensor], Tensor], start: Tensor, direction: Tensor, *, known: bool
) -> str:
    """Return what central differences say of a slope; the larger steps are for cases that round to float32 inside."""
    verdict = "kink"
    for step in STEPS:
        with torch.no_grad():
            near, far = (
                float(projected(start + size * direction) - projected(start - size * direction)) / (2 * size)
                for size in (step, 4 * step)
            )
        if abs(near - far) > CLOSE * max(abs(near), abs(far)) + STEPS[0]:
            continue
        if abs(slope - near) <= CLOSE * max(abs(slope), abs(near)) + STEPS[0]:
            return "right" if known else "zero"
        verdict = "wrong" if known else "missing"
    return verdict


def main() -> None:
    """Print how many cases pass, and how their gradients are."""
    torch.manual_seed(0)
    warnings.simplefilter("ignore")
    suite = cases()
    passing = [case for case in suite if passes(case)]
    gradients: Counter[str] = Counter()
    for case in passing:
        if case.name.endswith("_expanded"):
            continue
        try:
            gradients[judged(case)] += 1
        except Trouble:
            gradients["not in float64"] += 1
    print(
        json.dumps({"cases": len(suite), "pass": len(passing), "gradients": dict(sorted(gradients.items()))}, indent=2)
    )


if __name__ == "__main__":
    main()
