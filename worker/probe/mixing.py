"""Whether samples reach each other's outputs: a wrong reshape, a transpose too few, a softmax over the batch.

In eval mode, the inputs of a half of the batch, drawn at random, are exchanged for those of the other half, whose
outputs are compared: root mean square of the change by their standard deviation, without a unit.  Two forward passes;
two more where outputs change, to find the first node that does.
Source: Karpathy 2019, A Recipe for Training Neural Networks ("use backprop to chart dependencies").
"""

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from service.contract.problem import Trouble
from worker.network.graph import Graph, torch_stream
from worker.passes import count
from worker.probe.evidence import Mixing
from worker.probe.sweep import Sweep

_TABLE: Final = 2
_TRACE: Final = 1e-3
"""Change, by the deviation, from which on it is sought where samples meet: rounding is far below."""


def measure_mixing(sweep: Sweep) -> Mixing:
    """Return how far outputs depend on other samples, or why that cannot be said."""
    unjudged = _unjudged(sweep)
    if unjudged:
        return Mixing(unjudged=unjudged)
    subject = sweep.subject
    order = torch.randperm(subject.batch.size, generator=torch_stream(subject.seed, "mixing"))
    kept, others = order[: len(order) // 2], order[len(order) // 2 :]
    try:
        before = _evaluated(sweep, subject.batch.inputs)[kept].double()
        after = _evaluated(sweep, _exchanged(subject.batch.inputs, kept, others))[kept].double()
    except (Trouble, RuntimeError):
        return Mixing(unjudged="the model does not run in eval mode")
    spread = float((before - before.mean(0)).square().mean().sqrt())
    change = float((after - before).square().mean().sqrt())
    scale = max(spread, float(before.square().mean().sqrt()) * torch.finfo(torch.float32).eps ** 0.5)
    if not bool(before.isfinite().all()) or not bool(after.isfinite().all()):
        return Mixing(unjudged="the outputs are not finite in eval mode")
    relative = change / scale if scale else 0.0
    where = _meeting(sweep, kept, others) if relative > _TRACE else ""
    return Mixing(relative, _purpose(sweep), where=where, fixed=_fixed(sweep))


def _unjudged(sweep: Sweep) -> str:
    """Return why samples cannot be told apart here; "" where they can."""
    subject = sweep.subject
    size, output = subject.batch.size, sweep.values[subject.output]
    if subject.batch.synthetic:
        return "the batch was drawn, and what its first axis counts is not known"
    if size < 2:  # noqa: PLR2004  one sample has no others
        return "a single sample has no others beside it"
    if not output.dim() or len(output) != size:
        return "the output does not have one row for each sample"
    if any(not value.dim() or len(value) != size for value in subject.batch.inputs.values()):
        return "not every input has one row for each sample"
    return ""


def _evaluated(sweep: Sweep, inputs: Mapping[str, Tensor]) -> Tensor:
    subject = sweep.subject
    generator = torch.Generator(subject.device).manual_seed(subject.seed)
    count(forward=1)
    with torch.no_grad():
        return sweep.program.run(inputs, training=False, generator=generator)[subject.output]


def _exchanged(inputs: Mapping[str, Tensor], kept: Tensor, others: Tensor) -> dict[str, Tensor]:
    """Return inputs in which `others` hold samples of those that are kept."""
    order = torch.arange(len(kept) + len(others))
    order[others] = kept[torch.arange(len(others)) % len(kept)]
    return {name: value[order.to(value.device)] for name, value in inputs.items()}


def _meeting(sweep: Sweep, kept: Tensor, others: Tensor) -> str:
    """Return the first node whose rows for the samples that were kept change, if it has a row for each sample."""
    subject, inputs = sweep.subject, sweep.subject.batch.inputs
    traces = []
    for given in (inputs, _exchanged(inputs, kept, others)):
        count(forward=1)
        with torch.no_grad():
            generator = torch.Generator(subject.device).manual_seed(subject.seed)
            traces.append(sweep.program.trace(given, training=False, generator=generator).values)
    before, after = traces
    for node in subject.graph.nodes:
        for name in node.outputs:
            counted = name in before and before[name].shape[:1] == (subject.batch.size,)
            if counted and _differ(before[name][kept].double(), after[name][kept].double()):
                return node.name
    return ""


def _differ(before: Tensor, after: Tensor) -> bool:
    """Whether two values differ by more than rounding."""
    return bool((before - after).norm() > _TRACE * before.norm())


def _purpose(sweep: Sweep) -> str:
    """Return why samples may meet by right; "" where nothing says so."""
    subject, size = sweep.subject, sweep.subject.batch.size
    if sweep.values[subject.output].shape[1:2] == (size,):
        return "the output holds a number for each pair of samples"
    if any(given.shape[:1] == given.shape[1:2] != ("?",) for given in subject.graph.inputs):
        return "an input holds a number for each pair of samples"
    if any(tuple(value.shape[-2:]) == (size, size) for value in subject.graph.constants.values()):
        return "the model holds a number for each pair of samples"
    if any(size not in state.shape[:1] for states in sweep.states.values() for state in states[:1]):
        return "a recurrent layer steps along the first axis"
    return _between_rows(sweep, subject.graph)


def _fixed(sweep: Sweep) -> bool:
    """Whether the file fixes what its first axis counts: samples, or the nodes of a graph or steps of one sequence."""
    return any(isinstance(given.shape[0], int) for given in sweep.subject.graph.inputs if given.shape)


def _between_rows(sweep: Sweep, graph: Graph) -> str:
    """Say so where attention compares the rows of a table, which may be the positions of one sequence."""
    size = sweep.subject.batch.size
    tables = all(value.dim() <= _TABLE for value in sweep.subject.batch.inputs.values())
    for node in graph.nodes:
        value = sweep.values.get(node.outputs[0]) if node.op == "Softmax" else None
        if tables and value is not None and tuple(value.shape[-2:]) == (size, size):
            return "attention compares the rows of the batch, which may be the positions of one sequence"
    return ""
