"""Skips around hidden layers."""

from collections.abc import Iterator, Mapping, Sequence
from math import sqrt
from typing import Final, NamedTuple

from service.contract.words import Symptom, TreatmentKind
from worker.network.chains import Chain, chains
from worker.network.graph import Graph, Node, reads
from worker.network.layers import Layer
from worker.network.scaled import zeroed
from worker.network.skips import Skip, with_skips
from worker.probe.evidence import Evidence
from worker.probe.shapes import shapes
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

_RECTIFIERS: Final = frozenset({"Relu", "ThresholdedRelu", "Clip"})
"""Activations that leave alone what they made: a sum with one of their outputs goes in front of them."""


class _Block(NamedTuple):
    """Layers that a skip leads around."""

    start: str
    last: Layer
    after: Node
    zeroed: tuple[str, ...]
    """The parameters that make the branch nothing at first."""


@treatment(
    "add-skips",
    TreatmentKind.RESIDUAL,
    {
        Symptom.VANISHING_GRADIENT,
        Symptom.EXPLODING_GRADIENT,
        Symptom.SHATTERED_GRADIENT,
        Symptom.NORMALIZATION_MISUSE,
        Symptom.RANK_COLLAPSE,
        Symptom.STALLED_TRAINING,
    },
    cost=5,
    retrains=True,
    hints=Hints(
        """
        for part in model.modules():
            if type(part) is nn.Linear and part.in_features == part.out_features:
                nn.init.zeros_(part.weight)
                part.register_forward_hook(lambda part, inputs, output: inputs[0] + output)
        """,
        """
        def skip(layer, *given, **more):
            made = layer(*given, **more)
            return given[0] + $scale * made if layer.name[:5] == "dense" and given[0].shape == made.shape else made
        model = keras.models.clone_model(keras.Model(model.inputs[0], model.outputs[0]), call_function=skip)
        """,
    ),
)
def add_skips(subject: Subject, evidence: Evidence) -> Outcome:
    """Lead skips around the hidden layers

    What it changes
        Hidden layers that follow one another are taken by twos (one alone where two do not fit); where what a block
        makes has the shape of what it reads, the one is added to the other: in front of a rectifier, behind any other
        activation.  The branch's last weights, or the gain and bias of the norm behind them, are set to zero.

    Why it helps
        A block whose branch is zero at first passes signal and gradient on as they are: behind rectifiers its gain is
        exactly 1, whatever the weights within and however deep the network.  Training then opens the branches.

    When it is wrong
        The branches' last trained weights are lost.  Blocks that change the width or the size of maps get none, nor do
        those that something else reads, that share weights, or whose norm has no gain.  A branch that ends in a
        sigmoid adds one half per block at first.  In the first step only the zeroed weights learn.

    References
        He et al. 2016 (arXiv 1512.03385); Goyal et al. 2017 (arXiv 1706.02677, section 5.1: a last gain of zero); Zhang
        et al. 2019 (Fixup, arXiv 1901.09321); Bachlechner et al. 2020 (ReZero, arXiv 2003.04887).
    """
    found = _blocks(subject)
    if not found:
        return Inapplicable("No hidden layers, one behind the other, make what has the shape of what they read.")
    graph = with_skips(subject.graph, [_skip(block) for block in found])
    graph = _emptied(graph, [name for block in found for name in block.zeroed])
    first = found[0].last.node.origin or found[0].last.node.name
    changes = (
        f"Lead a skip around {len(found)} block{'s'[: len(found) > 1]} of hidden layers (the first ends at {first}).",
        "Set the last weights of each branch, or the gain and bias of the norm behind them, to zero.",
    )
    return Change(subject.replace(graph=graph), changes, {"scale": f"{1 / sqrt(2 * len(found)):.2g}"})


def _blocks(subject: Subject) -> list[_Block]:
    """Return the blocks of two layers, or one, whose output has the shape of their input, one behind the other."""
    graph = subject.graph
    found = chains(graph)
    sizes = shapes(subject, [layer.after.outputs[0] for chain in found for layer in chain if layer.after])
    readers = _readers(graph)
    return [block for chain in found for block in _cut(graph, chain, sizes, readers)]


def _cut(
    graph: Graph, chain: Chain, shapes: Mapping[str, tuple[int, ...]], readers: Mapping[str, int]
) -> Iterator[_Block]:
    ends = [layer.after.outputs[0] for layer in chain if layer.after is not None]
    at = 1
    while at < len(chain):
        for last in (at + 1, at):
            after = chain[last].after if last < len(chain) else None
            zeroed = _zeroed(graph, chain[last], readers) if after is not None else ()
            if after is not None and zeroed and shapes[ends[at - 1]] == shapes[ends[last]]:
                yield _Block(ends[at - 1], chain[last], after, zeroed)
                at = last
                break
        at += 1


def _zeroed(graph: Graph, layer: Layer, readers: Mapping[str, int]) -> tuple[str, ...]:
    """Return the parameters that end a branch, a norm's or a layer's own; none where they cannot be set to zero."""
    held = layer.norm.inputs[1:3] if layer.norm is not None else tuple(filter(None, (layer.kernel, layer.bias)))
    free = [name in graph.parameters and graph.parameters[name].trainable and readers[name] == 1 for name in held]
    return tuple(held) if held and all(free) else ()


def _skip(block: _Block) -> Skip:
    """Return the skip around a block: its sum stands in front of a rectifier, or behind another activation."""
    rectifies = block.after.op in _RECTIFIERS
    end = block.after.inputs[0] if rectifies else block.after.outputs[0]
    return Skip(block.start, end, block.last.node.origin)


def _emptied(graph: Graph, names: Sequence[str]) -> Graph:
    zero = {name: zeroed(graph.parameters[name]) for name in names}
    return graph.replace(parameters={**graph.parameters, **zero})


def _readers(graph: Graph) -> dict[str, int]:
    found: dict[str, int] = {}
    for node in graph.nodes:
        for value in reads(node):
            found[value] = found.get(value, 0) + 1
    return found
