"""Where NaN and infinities come from: the first operator that made one out of finite numbers, forward or backward.

An infinity on the way (a mask of −inf before a softmax) is no fault; only what reaches the loss or a gradient is.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import torch
from torch import Tensor

from worker.network.graph import Node
from worker.probe.evidence import NonFinite
from worker.probe.sweep import Sweep

_SHOWN: Final = 5


def find_nonfinite(sweep: Sweep) -> NonFinite | None:
    """Return the origin of what is not finite in the loss or its gradients; None where all is well."""
    subject = sweep.subject
    for name, value in subject.batch.inputs.items():
        if _bad(value):
            return NonFinite(name, "", "batch", f"the input {name} itself holds them", _share(value), _samples(value))
    for name, parameter in subject.graph.parameters.items():
        if _bad(parameter.value):
            return NonFinite(name, "", "weights", f"the weight {name} itself holds them", _share(parameter.value))
    if _bad(subject.target):
        share, samples = _share(subject.target), _samples(subject.target)
        return NonFinite("target", "", "batch", "the target itself holds them", share, samples)
    if not bool(sweep.loss.isfinite()):
        return _forward(sweep)
    return _backward(sweep)


def _forward(sweep: Sweep) -> NonFinite:
    size = sweep.subject.batch.size
    infinite = None
    for node in sweep.path.nodes:
        outputs = [sweep.values[name] for name in node.outputs if name in sweep.values]
        fed = [sweep.values[name] for name in node.inputs if name in sweep.values]
        worst = next((value for value in outputs if _bad(value)), None)
        if worst is None:
            continue
        found = _named(node, "forward", _cause(node, fed), worst, size)
        if bool(worst.isnan().any()):
            return found if infinite is None else infinite
        infinite = infinite or found
    return infinite or NonFinite("loss", sweep.subject.loss.name, "forward", "its own arithmetic overflowed", 1.0)


def _backward(sweep: Sweep) -> NonFinite | None:
    parameters = sweep.gradients(list(sweep.parameters))
    if not any(_bad(gradient) for gradient in parameters.values()):
        return None
    path = sweep.path
    gradients = sweep.gradients(path.values)
    for node in reversed(path.nodes):
        inputs = [name for name in node.inputs if name in path.members]
        bad = next((gradients[name] for name in inputs if name in gradients and _bad(gradients[name])), None)
        if bad is not None:
            fed = [sweep.values[name] for name in node.inputs if name in sweep.values]
            return _named(node, "backward", _cause(node, fed, backward=True), bad, sweep.subject.batch.size)
    name, gradient = next((name, value) for name, value in parameters.items() if _bad(value))
    return NonFinite(name, "", "backward", "the gradient of this weight overflows", _share(gradient))


def _named(node: Node, stage: str, cause: str, value: Tensor, size: int) -> NonFinite:
    samples = _samples(value) if value.dim() and len(value) == size else ()
    return NonFinite(node.name, node.op, stage, cause, _share(value), samples, node.origin)


def _cause(node: Node, fed: Iterable[Tensor], *, backward: bool = False) -> str:
    """Say in half a sentence what the operator was fed that it cannot bear."""
    values = [value.detach() for value in fed if value.is_floating_point() and value.numel()]
    if not values:
        return "its own arithmetic fails"
    low, divisor = float(values[0].min()), float(values[-1].abs().min())
    causes: Mapping[str, tuple[bool, str]] = {
        "Log": (low <= 0, f"it takes the logarithm of {low:.3g}"),
        "Sqrt": (low <= 0, f"it takes the root of {low:.3g}" + (", where its slope is infinite" if backward else "")),
        "Div": (divisor == 0, "it divides by zero"),
        "Reciprocal": (divisor == 0, "it divides by zero"),
        "Pow": (low <= 0, f"it raises {low:.3g} to a power"),
        "Exp": (float(values[0].max()) > 80, f"it takes the exponential of {float(values[0].max()):.3g}"),  # noqa: PLR2004
    }
    holds, sentence = causes.get(node.op, (False, ""))
    largest = max(float(value.abs().max()) for value in values)
    return sentence if holds else f"numbers as large as {largest:.3g} reach it, and float32 ends at 3.4e38"


def _bad(value: Tensor) -> bool:
    return value.is_floating_point() and not bool(value.isfinite().all())


def _share(value: Tensor) -> float:
    return float((~value.isfinite()).double().mean())


def _samples(value: Tensor) -> tuple[int, ...]:
    rows = (~value.detach().isfinite()).reshape(len(value), -1).any(1) if value.dim() else torch.zeros(0)
    return tuple(int(index) for index in rows.nonzero()[:_SHOWN, 0]) if rows.numel() else ()
