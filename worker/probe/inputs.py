"""The batch's inputs as the first weights see them: scale, columns, layout, and the norm that stands in front.

The numbers are those of the one sweep; one forward pass more where an input is far from unit scale.  Root mean
squares and deviations have the input's unit.
Source: LeCun et al. 1998, Efficient BackProp, section 4.3.
"""

from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor

from service.contract.problem import Trouble
from service.contract.words import Mode
from worker.network.graph import Graph, Node, reads
from worker.network.layers import KERNELS, PLAIN
from worker.passes import count
from worker.probe.evidence import InputEvidence
from worker.probe.places import NORMS
from worker.probe.sweep import Sweep

_ARITHMETIC: Final = frozenset({"Add", "Sub", "Mul", "Div"})
_ELEMENTWISE: Final = frozenset({"Abs", "Exp", "Log", "Sqrt", "Identity", "Cast", "CastLike"})
"""Operators that give a number another scale, or none, one by one."""
_WAVES: Final = frozenset({"Sin", "Cos"})
_TABLE, _STEPS, _IMAGE = 2, 3, 4
"""Axes of a table, of a batch of sequences and of a batch of images."""
_USUAL: Final = (0.1, 10.0)
"""Root mean squares at which nobody asks whether the network minds."""
_SAME: Final = 0.01
"""Change of an output, by its own deviation between samples, that is none."""


def measure_inputs(sweep: Sweep) -> tuple[InputEvidence, ...]:
    """Return the scale of every float input, behind the arithmetic with constants that the network begins with."""
    floats = [name for name, value in sweep.subject.batch.inputs.items() if value.is_floating_point()]
    return tuple(_input(sweep, name) for name in floats)


def prepared(graph: Graph, value: str) -> str:
    """Return the value that is left of an input once constants are added, subtracted, multiplied and divided by.

    Logarithms, roots and the like in front count as preparation, too.
    """
    fixed = _fixed(graph)
    while True:
        readers = [node for node in graph.consumers(value) if node.op != "CastLike" or node.inputs[0] == value]
        if len(readers) != 1 or readers[0].op not in _ARITHMETIC | _ELEMENTWISE:
            return value
        if not all(name == value or name in fixed for name in readers[0].inputs):
            return value
        (value,) = readers[0].outputs


def _fixed(graph: Graph) -> set[str]:
    """Return the constants and the values that are made of constants alone."""
    fixed = set(graph.constants)
    for node in graph.nodes:
        read = node.inputs[:1] if node.op == "CastLike" else reads(node)
        if read and fixed.issuperset(read):
            fixed.update(node.outputs)
    return fixed


def _scaleless(sweep: Sweep, name: str, rms: float) -> bool:
    """Whether the output stays as it is when an input is brought to unit scale: the network does so itself."""
    inputs = sweep.subject.batch.inputs
    generator = torch.Generator(sweep.subject.device).manual_seed(sweep.subject.seed)
    count(forward=1)
    try:
        with torch.no_grad():
            training = sweep.subject.mode is Mode.TRAIN
            unit = {**inputs, name: inputs[name] / rms}
            after = sweep.program.run(unit, training=training, generator=generator)[sweep.subject.output]
    except (Trouble, RuntimeError, IndexError):  # what is looked up by the input, for one
        return False
    before = sweep.values[sweep.subject.output].detach().double()
    change = (after.double() - before).square().mean().sqrt()
    return bool(change < _SAME * (before - before.mean(0)).square().mean().sqrt())


def _input(sweep: Sweep, name: str) -> InputEvidence:
    graph, behind = sweep.subject.graph, prepared(sweep.subject.graph, name)
    value = sweep.values[behind].detach().double()
    finite = torch.where(value.isfinite(), value, torch.zeros_like(value))
    active = finite[finite != 0]
    norms = list(_front(graph, behind))
    rms = float(finite.square().mean().sqrt())
    return InputEvidence(
        name=name,
        rms=rms,
        mean=float(finite.mean()),
        std=float(finite.std(correction=0)),
        nonfinite=float((~value.isfinite()).double().mean()),
        constant=float((finite == finite[:1]).all(0).double().mean()) if finite.dim() and len(finite) > 1 else 0.0,
        zero=float((finite == 0).double().mean()),
        active=float(active.square().mean().sqrt()) if active.numel() else None,
        rescaled=behind != name,
        normalized=norms[0].name if norms and _normalize(norms) else "",
        scaleless=not _USUAL[0] < rms < _USUAL[1] and rms > 0 and _scaleless(sweep, name, rms),
        by_column=bool(norms) and all(node.op == "BatchNormalization" and behind in node.inputs for node in norms),
        positions=bool(norms) and all(node.op in _WAVES for node in norms),
        columns=value.shape[-1] if value.dim() in {_TABLE, _STEPS} else 0,
        contrast=_contrast(finite) if value.dim() in {_TABLE, _STEPS} else 1.0,
        shape=tuple(value.shape),
        channels_first=value.dim() == _IMAGE and {node.op for node in graph.consumers(behind)} == {"Conv"},
    )


def _normalize(nodes: list[Node]) -> bool:
    """Whether nodes are norms; or what older exports begin one with, a mean and what it is taken from."""
    return all(node.op in NORMS for node in nodes) or {node.op for node in nodes} == {"ReduceMean", "Sub"}


def _contrast(value: Tensor) -> float:
    """Return the largest standard deviation of a column by the median of those that vary."""
    spread = value.flatten(0, -2).std(0, correction=0)
    varying = spread[spread > 0]
    return float(varying.max() / varying.median()) if len(varying) > 1 else 1.0


def _front(graph: Graph, value: str) -> Iterator[Node]:
    """Yield the first operators that do more than move, shift or mix an input's numbers, past one weight layer.

    What is only shifted by a bias keeps its scale; a norm behind takes it away, forward and from the gradient.
    """
    waiting = [(value, False)]
    while waiting:
        name, weighed = waiting.pop()
        for node in graph.consumers(name):
            kernel = node.op in KERNELS and node.inputs[0] == name
            if _keeps_scale(graph, node, weighed=weighed) or (kernel and not weighed):
                waiting.append((node.outputs[0], weighed or kernel))
            elif node.op != "Shape":
                yield node


def _keeps_scale(graph: Graph, node: Node, *, weighed: bool) -> bool:
    """Whether a node moves, rounds or scales numbers alone, or adds a bias behind a weight layer."""
    if node.op == "Mul":
        return any(name in graph.parameters or name in graph.constants for name in node.inputs)
    bias = weighed and node.op == "Add" and any(name in graph.parameters for name in node.inputs)
    return bias or node.op in PLAIN | {"Pad"} - {"Cast"}
