"""Skips around attention and feed-forward parts."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import prod, sqrt
from typing import Final, NamedTuple

from service.contract.words import Symptom, TreatmentKind
from worker.network.graph import Graph, reads
from worker.network.layers import Layer
from worker.network.scaled import times
from worker.network.skips import Skip, with_skips
from worker.network.sublayers import Sublayer, sublayers
from worker.probe.evidence import Evidence
from worker.probe.shapes import shapes
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

HINTS: Final = Hints(
    torch="""
        for part in model.modules():
            if isinstance(part, nn.MultiheadAttention):
                part.out_proj.weight.data.mul_($scale)
                part.register_forward_hook(lambda part, inputs, output: (inputs[0] + output[0], *output[1:]))
    """,
    keras="""
        def skip(layer, *given, **more):
            made = layer(*given, **more)
            return given[0] + $scale * made if isinstance(layer, keras.layers.MultiHeadAttention) else made
        model = keras.models.clone_model(keras.Model(model.inputs[0], model.outputs[0]), call_function=skip)
    """,
)


class _Way(NamedTuple):
    """A part, and the skip that leads around it."""

    part: Sublayer
    skip: Skip


@treatment(
    "attention-skips",
    TreatmentKind.RESIDUAL,
    {
        Symptom.RANK_COLLAPSE,
        Symptom.VANISHING_GRADIENT,
        Symptom.EXPLODING_GRADIENT,
        Symptom.STALLED_TRAINING,
    },
    cost=5,
    retrains=True,
    hints=HINTS,
)
def attention_skips(subject: Subject, evidence: Evidence) -> Outcome:
    """Lead skips around attention and feed-forward parts

    What it changes
        Each attention whose output has the shape of what its queries are made of gets a skip past it, and so does each
        feed-forward part of two layers beside them: x becomes x + f(x), and where f begins with a norm, the skip
        leads past that too.  The last weights of each of the L branches are multiplied by 1/√(2L).

    Why it helps
        Attention takes means over a sequence: one upon the other, they make all its places alike, at double exponential
        speed, and queries and keys then get no gradient.  What a skip leads past keeps the places apart, and branches
        scaled so add to the signal, together, what it brought along at most.

    When it is wrong
        A trained model computes something else, and must be trained further.  Parts that stand within a branch, that
        share weights or hold frozen ones, or that change the width get none.

    References
        Dong, Cordonnier and Loukas 2021 (arXiv 2103.03404); Noci et al. 2022 (arXiv 2206.03126).
    """
    ways = _ways(subject)
    if not ways:
        return Inapplicable(
            "No attention without a skip makes what has the shape of what it reads, by weights its own."
        )
    scale = 1 / sqrt(2 * len(ways))
    graph = with_skips(subject.graph, [way.skip for way in ways])
    last, read = [way.part.last for way in ways], _read(subject.graph)
    held = [name for layer in last for name in _held(subject.graph, layer, read)]
    scaled = {name: times(graph.parameters[name], scale) for name in held}
    counts = Counter("attention" if way.part.attends else "feed-forward" for way in ways)
    parts = " and ".join(f"{count} {kind} part{'s'[: count > 1]}" for kind, count in counts.items())
    first = ways[0].skip.origin or last[0].node.name
    changes = (
        f"Lead a skip around {parts} (the first ends at {first}).",
        f"Multiply the last weights of each branch ({len(ways)} in all) by {scale:.3g}.",
    )
    treated = subject.replace(graph=graph.replace(parameters={**graph.parameters, **scaled}))
    return Change(treated, changes, {"scale": f"{scale:.3g}"})


def _ways(subject: Subject) -> list[_Way]:
    graph, read = subject.graph, _read(subject.graph)
    parts = [part for part in sublayers(graph) if _own(graph, part, read)]
    sizes = shapes(subject, sorted({value for part in parts for value in (*part.starts, *part.ends)}))
    found = [_Way(part, skip) for part in parts for skip in _skips(part, sizes)]
    wide = {_rows(sizes[way.skip.start]) for way in found if way.part.attends}
    return [way for way in found if _rows(sizes[way.skip.start]) in wide]


def _rows(size: Sequence[int]) -> tuple[int, int]:
    """Return how many rows of how many features a value has."""
    return prod(size[:-1]), size[-1] if size else 1


def _read(graph: Graph) -> Counter[str]:
    """Return how often each value is read."""
    return Counter(value for node in graph.nodes for value in reads(node))


def _skips(part: Sublayer, sizes: Mapping[str, Sequence[int]]) -> Iterator[Skip]:
    """Yield the best skip around a part, if there is one."""
    fit = (Skip(start, end, part.last.node.origin) for start in part.starts for end in part.ends)
    for skip in fit:
        if sizes[skip.start] == sizes[skip.end]:
            yield skip
            return


def _own(graph: Graph, part: Sublayer, read: Mapping[str, int]) -> bool:
    """Whether the last kernel of a part is free, its own, and of the type of the first one."""
    kernel = part.last.kernel
    same = graph.parameters[kernel].value.dtype == graph.parameters[part.first.kernel].value.dtype
    return same and read[kernel] == 1


def _held(graph: Graph, layer: Layer, read: Mapping[str, int]) -> Iterator[str]:
    """Yield the kernel of a layer, and its bias where that is free and its own: exporters merge those that are zero."""
    yield layer.kernel
    if layer.bias and graph.parameters[layer.bias].trainable and read[layer.bias] == 1:
        yield layer.bias
