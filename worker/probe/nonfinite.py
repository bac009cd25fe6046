"""Where NaN and infinities come from: the first operator that made one out of finite numbers, forward or backward.

An infinity on the way (a mask of −inf before a softmax) is no fault; only what reaches the loss or a gradient is, and
what is blamed is what made it: a logarithm of zero, though NaN shows up five layers later; but the softmax whose row a
mask shut, and not the mask.  Shares have no unit.  Costs no pass where all is finite; else one backward pass, and
log₂ B forward passes over parts of the batch where the operator's output does not tell the samples apart.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from service.contract.problem import Trouble
from worker.network.graph import Node, reads
from worker.probe.causes import cause, not_finite, suspects
from worker.probe.evidence import NonFinite
from worker.probe.sweep import Sweep, sweep
from worker.subject import Subject

_SHOWN: Final = 5


def find_nonfinite(sweep: Sweep) -> NonFinite | None:
    """Return the origin of what is not finite in the loss or its gradients; None where all is well.

    Inputs may hold NaN that a network masks; weights and targets may not.
    """
    given = _given(sweep.subject)
    if given is not None and given.node not in sweep.subject.batch.inputs:
        return given
    found = _backward(sweep) if bool(sweep.loss.isfinite()) else _forward(sweep)
    if found is not None and given is not None:
        return given
    if found is None or found.samples or sweep.subject.batch.size < 2:  # noqa: PLR2004
        return found
    return replace(found, samples=_culprit(sweep.subject))


def _given(subject: Subject) -> NonFinite | None:
    """Return what was not finite from the start: inputs, weights, targets."""
    inputs, weights = subject.batch.inputs, {name: each.value for name, each in subject.graph.parameters.items()}
    for name in suspects(inputs):
        value = inputs[name]
        return NonFinite(name, "", "batch", f"the input {name!r} itself holds them", _share(value), _rows(value))
    for name in suspects(weights):
        return NonFinite(name, "", "weights", f"the weight {name!r} itself holds them", _share(weights[name]))
    if suspects({"target": subject.target}):
        told = "the target itself holds them"
        return NonFinite("target", "", "batch", told, _share(subject.target), _rows(subject.target))
    return None


def _forward(sweep: Sweep) -> NonFinite:
    bad = set(suspects(sweep.values))
    origin = _origins(sweep, bad).get(sweep.subject.output)
    if origin is None:
        return NonFinite("loss", sweep.subject.loss.name, "forward", "its own arithmetic overflowed", 1.0)
    worst = next(sweep.values[name] for name in origin.outputs if name in bad)
    return _named(sweep, origin, "forward", worst)


def _origins(sweep: Sweep, bad: set[str]) -> dict[str, Node | None]:
    """Return, per value that is not finite, the operator to blame; None where it is a mask's infinity."""
    blamed: dict[str, Node | None] = {}
    for node in sweep.path.graph.nodes:
        for name in node.outputs:
            if name in bad:
                blamed[name] = _blamed(sweep, node, name, bad, blamed)
    return blamed


def _blamed(sweep: Sweep, node: Node, name: str, bad: set[str], blamed: Mapping[str, Node | None]) -> Node | None:
    fed = [each for each in reads(node) if each in bad]
    spoilt = [each for each in fed if bool(sweep.values[each].isnan().any())]
    if bool(sweep.values[name].isnan().any()):
        before = (blamed.get(each) for each in (spoilt or fed))
        return next((each for each in before if each is not None), node)
    if fed:
        return next((blamed[each] for each in fed if blamed.get(each) is not None), None)
    return None if _masks(sweep, node) else node


def _masks(sweep: Sweep, node: Node) -> bool:
    """Whether a node was given its infinities: by a constant, or for want of any number to compute with."""
    constants = sweep.path.graph.constants
    given = [constants[name] for name in reads(node) if name in constants]
    floats = [name for name in reads(node) if name in sweep.values and sweep.values[name].is_floating_point()]
    return any(map(not_finite, given)) or not floats


def _backward(sweep: Sweep) -> NonFinite | None:
    parameters = sweep.gradients(name for name, leaf in sweep.parameters.items() if leaf.requires_grad)
    lost = suspects(parameters)
    if not lost:
        return None
    path = sweep.path
    gradients = sweep.gradients(path.values)
    bad = set(suspects(gradients))
    if sweep.subject.output in bad:
        share = _share(gradients[sweep.subject.output])
        told = "the slope of the loss is infinite at what the network gives"
        rows = _rows(gradients[sweep.subject.output])
        return NonFinite("loss", sweep.subject.loss.name, "backward", told, share, rows)
    for node in reversed(path.nodes):
        name = next((each for each in node.inputs if each in bad), None)
        if name is not None:
            return _named(sweep, node, "backward", gradients[name])
    name = lost[0]
    return NonFinite(name, "", "backward", "the gradient of this weight overflows", _share(parameters[name]))


def _named(sweep: Sweep, node: Node, stage: str, value: Tensor) -> NonFinite:
    known = {**sweep.path.graph.constants, **sweep.values}
    told = cause(node.op, [known[name] for name in node.inputs if name in known], backward=stage == "backward")
    return NonFinite(node.name, node.op, stage, told, _share(value), _samples(sweep, value), node.origin)


def _samples(sweep: Sweep, value: Tensor) -> tuple[int, ...]:
    """Return the samples at fault, where exactly one axis counts them and the fault is not everywhere."""
    size = sweep.subject.batch.size
    axes = [axis for axis, length in enumerate(value.shape) if length == size]
    if len(axes) != 1 and axes[:1] != [0]:
        return ()
    return _rows(value.movedim(axes[0], 0))


def _culprit(subject: Subject) -> tuple[int, ...]:
    """Return one sample that is enough to spoil the loss or its gradient, by halving the batch; none where all are."""
    low, high = 0, subject.batch.size
    try:
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if _spoilt(subject, range(low, middle)) else (middle, high)
        alone = _spoilt(subject, range(low, high))
        everywhere = low == 0 and _spoilt(subject, range(subject.batch.size - 1, subject.batch.size))
    except (RuntimeError, IndexError, ValueError, Trouble):
        return ()
    return (low,) if alone and not everywhere else ()


def _spoilt(subject: Subject, rows: Iterable[int]) -> bool:
    """Whether the loss of these samples, or its gradient, is not finite."""
    batch, chosen = subject.batch, torch.tensor(list(rows), device=subject.device)
    inputs = {name: value[chosen] if len(value) == batch.size else value for name, value in batch.inputs.items()}
    run = sweep(subject.replace(batch=replace(batch, inputs=inputs, target=subject.target[chosen])))
    if not bool(run.loss.isfinite()):
        return True
    return bool(suspects(run.gradients(name for name, leaf in run.parameters.items() if leaf.requires_grad)))


def _share(value: Tensor) -> float:
    return float((~value.isfinite()).double().mean())


def _rows(value: Tensor) -> tuple[int, ...]:
    rows = (~value.detach().isfinite()).reshape(len(value), -1).any(1) if value.dim() else torch.zeros(0)
    return tuple(int(index) for index in rows.nonzero()[:_SHOWN, 0]) if rows.numel() else ()
