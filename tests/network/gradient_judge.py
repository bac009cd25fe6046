"""Whether the gradient of a case of ONNX's suite is right.

A case runs in float64 on its own inputs, moved a little by seeded noise so that they are no ties.  All its float inputs
and tensors are judged together, but for those to which, by the operators' own marks, no gradient can come back
(indices, sizes, scales of a resize: `worker.network.flow`); of those it is checked that none does.

- torch's `gradcheck` holds autograd to central differences of our own forward pass: every element of every Jacobian
  up to `SLOW` elements of inputs and outputs, random projections of the Jacobian (`fast_mode`) beyond.
- The slope along a random direction is held to central differences of onnx's reference evaluator, which shares no code
  with ours, where that computes the case in float64.
- Where differences to the left and to the right disagree the point is a kink, and other noise is tried.
"""

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from case_in_float64 import Case, Floats
from differences import Slope, slope
from onnx import ModelProto
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError, gradcheck

from service.contract.problem import Trouble, UnsupportedModel, UnsupportedOperator

SLOW = 150
NOISE = (3e-3, 1e-2, 3e-2, 0.0)
"""Standard deviations of what is added to the inputs, in the order tried."""
EXACT, ROUNDED = 1e-11, 1e-5
"""Relative differences of outputs in float64 up to which two compute the same, and the same but for float32."""
UNWRITTEN = 1e100
"""Some stored inputs are memory that was never written to: numbers beyond this are drawn anew."""


@dataclass(frozen=True)
class Judgement:
    """What was found of a case's gradient."""

    verdict: str
    """`right`; `wrong`; `missing`: none comes back though differences move; `cut`: an operator's mark says that none
    does, and differences move all the same; `zero`: nothing moves; `kink`: wherever it was looked; `nothing float`;
    `unsupported`; `failed`: it does not compute in float64."""
    reason: str = ""
    reference: str = ""
    """`agrees`, `differs`, or why onnx's reference evaluator could not be asked."""


def judge(name: str, model: ModelProto, inputs: Sequence[Any], *, reference: bool = True) -> Judgement:
    """Return what is found of a case's gradient, the same at every call; `reference` asks onnx's evaluator too."""
    seed = zlib.crc32(name.encode())
    try:
        return _judged(Case(model, inputs, seed), seed, reference=reference)
    except (UnsupportedModel, UnsupportedOperator) as trouble:
        return Judgement("unsupported", trouble.detail)
    except Trouble as trouble:
        return Judgement("failed", trouble.detail)


def _judged(case: Case, seed: int, *, reference: bool) -> Judgement:
    if not case.start or not case.outputs(case.start):
        return Judgement("nothing float")
    points = [_moved(case.start, noise, seed + attempt) for attempt, noise in enumerate(NOISE)]
    points += [{name: value.abs() for name, value in point.items()} for point in points[:1]]
    points.sort(key=lambda point: -_finite(case.outputs(point)))
    found = Judgement("kink")
    for point in points:
        found = _Look(case, point, seed).judgement(reference=reference)
        if found.verdict != "kink":
            break
    return found


def _moved(start: Floats, noise: float, seed: int) -> Floats:
    generator = torch.Generator().manual_seed(seed)
    moved = {}
    for name, value in start.items():
        drawn = torch.randn(value.shape, generator=generator, dtype=value.dtype)
        moved[name] = torch.where(value.abs() > UNWRITTEN, drawn, value + noise * drawn)
    return moved


def _finite(outputs: Sequence[Tensor]) -> int:
    return sum(int(value.isfinite().sum()) for value in outputs)


class _Look:
    """A case at one point."""

    def __init__(self, case: Case, point: Floats, seed: int) -> None:
        """Draw a direction in the inputs and a weight for each output."""
        generator = torch.Generator().manual_seed(seed + 1)
        self.case, self.point = case, point
        outputs = case.outputs(point)
        self.finite = [value.isfinite() for value in outputs]
        self.weights = [torch.randn(value.shape, generator=generator, dtype=value.dtype) for value in outputs]
        self.direction = {
            name: torch.randn(value.shape, generator=generator, dtype=value.dtype) for name, value in point.items()
        }

    def judgement(self, *, reference: bool) -> Judgement:
        """Return the verdict on all that is judged; on what is not, where that is everything."""
        judged, others = self.case.judged, self.case.others
        if leaking := [name for name in others if self.autograd([name])]:
            return Judgement("wrong", f"a gradient comes back to {leaking[0]!r}, which is marked as having none")
        if not judged:
            moves = self.differences(others)
            return Judgement("zero" if moves.flat else "cut", ", ".join(self.case.cuts))
        verdict = self._verdict(judged)
        if verdict.verdict not in {"right", "zero"}:
            return verdict
        theirs = self._reference(judged) if reference else ""
        if theirs == "differs":
            return Judgement("wrong", "onnx's reference evaluator has another slope", theirs)
        return replace(verdict, reference=theirs)

    def _verdict(self, judged: Sequence[str]) -> Judgement:
        values = [self.point[name].clone().requires_grad_() for name in judged]
        elements = sum(value.numel() for value in values) + sum(map(int, map(torch.sum, self.finite)))
        try:
            gradcheck(
                lambda *given: self._finite(dict(zip(judged, given, strict=True))),
                values,
                rtol=1e-3,
                nondet_tol=1e-9,
                check_undefined_grad=False,
                fast_mode=elements > SLOW,
            )
        except GradcheckError as error:
            return self._at_fault(judged, str(error))
        slope_ = self.autograd(judged)
        return Judgement("right" if slope_ or not self.differences(judged).flat else "zero")

    def _at_fault(self, judged: Sequence[str], said: str) -> Judgement:
        """Return why a check failed: a kink, a gradient that is missing, or a wrong one."""
        for name in judged:
            moves = self.differences([name])
            if moves.value is None:
                return Judgement("kink", f"at {name!r}")
            if not math.isfinite(self.autograd([name])) and not all(bool(each.all()) for each in self.finite):
                return Judgement("kink", f"at {name!r}, beside outputs that are not finite")
            if not self.connected(name) and not moves.flat:
                return Judgement("missing", f"none comes back to {name!r}")
            if not moves.agrees(self.autograd([name])):
                return Judgement("wrong", f"at {name!r}: {self.autograd([name]):.6g} for {moves.value:.6g}")
        return Judgement("wrong", " ".join(said.split())[:200])

    def _finite(self, given: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        outputs = self.case.outputs({**self.point, **given})
        return tuple(value[finite] for value, finite in zip(outputs, self.finite, strict=True) if bool(finite.any()))

    def _projected(self, outputs: Sequence[Tensor]) -> Tensor:
        """Return one number made of all finite elements of the outputs."""
        weighted = zip(outputs, self.weights, self.finite, strict=True)
        return torch.stack([(value[finite] * weight[finite]).sum() for value, weight, finite in weighted]).sum()

    def connected(self, name: str) -> bool:
        """Whether autograd knows a way back to a tensor."""
        value = self.point[name].clone().requires_grad_()
        projected = self._projected(self.case.outputs({**self.point, name: value}))
        return projected.requires_grad and torch.autograd.grad(projected, value, allow_unused=True)[0] is not None

    def autograd(self, names: Sequence[str]) -> float:
        """Return the slope along the direction, of these tensors alone, that autograd finds."""
        values = {name: self.point[name].clone().requires_grad_() for name in names}
        projected = self._projected(self.case.outputs({**self.point, **values}))
        if not projected.requires_grad:
            return 0.0
        found = torch.autograd.grad(projected, list(values.values()), allow_unused=True, materialize_grads=True)
        return sum(float((each * self.direction[name]).sum()) for name, each in zip(names, found, strict=True))

    def along(self, names: Sequence[str], step: float) -> Floats:
        """Return the point, moved along the direction in these tensors."""
        return {**self.point, **{name: self.point[name] + step * self.direction[name] for name in names}}

    def differences(self, names: Sequence[str]) -> Slope:
        """Return the slope that differences of our own forward pass show."""
        with torch.no_grad():
            return slope(lambda step: float(self._projected(self.case.outputs(self.along(names, step)))))

    def _reference(self, names: Sequence[str]) -> str:
        """Hold autograd to onnx's reference evaluator."""
        try:
            theirs = self.case.reference()
            apart = _difference(self.case.outputs(self.point), theirs(self.point))
            if apart > ROUNDED:
                return "computes other values"
            moves = slope(lambda step: float(self._projected(theirs(self.along(names, step)))))
        except Exception as error:  # noqa: BLE001  whatever it raises, it cannot be asked
            return f"cannot: {type(error).__name__}"
        if moves.value is None:
            return "does not settle"
        if moves.agrees(self.autograd(names)):
            return "agrees"
        return "differs" if apart < EXACT else "rounds to float32"


def _difference(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    """Return the largest difference between outputs, by their largest number; infinite where they are not alike."""
    largest = 0.0
    for one, other in zip(ours, theirs, strict=True):
        finite = one.isfinite()
        if one.shape != other.shape or not torch.equal(finite, other.isfinite()):
            return math.inf
        apart, scale = ((one - other)[finite].abs(), one[finite].abs())
        largest = max(largest, float(apart.max() / scale.max().clamp(min=1))) if apart.numel() else largest
    return largest
