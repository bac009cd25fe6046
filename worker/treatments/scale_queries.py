"""Attention scores brought to unit scale."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from torch import Tensor

from service.contract.words import Symptom, TreatmentKind
from worker.criticality import redrawable
from worker.network.graph import Graph, Node
from worker.network.layers import PLAIN, Layer
from worker.network.scaled import times
from worker.probe.evidence import Evidence
from worker.probe.sweep import Sweep, sweep
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

_MASKED: Final = -1e4
"""What masks put in place of a score, or less."""
_ENOUGH: Final = 1.5
"""Standard deviation of scores from which they are scaled."""
_SCALED: Final = frozenset({"Mul", "Div"})
HINTS: Final = Hints(
    torch="""
        for layer in [each for each in model.modules() if isinstance(each, nn.MultiheadAttention)]:
            queries_and_keys = layer.in_proj_weight.data[: 2 * layer.embed_dim]
            queries_and_keys /= queries_and_keys.std() * layer.embed_dim**0.5
    """,
    keras="""
        for layer in [each for each in model.layers if isinstance(each, keras.layers.MultiHeadAttention)]:
            for part in (layer.query_dense, layer.key_dense):
                part.kernel.assign(part.kernel / (part.kernel.shape[0] ** 0.5 * keras.ops.std(part.kernel)))
    """,
)


@dataclass(frozen=True)
class _Scores:
    """An attention's softmax, and the layers that its scores are a product of."""

    softmax: Node
    layers: tuple[Layer, Layer]


@treatment(
    "scale-queries",
    TreatmentKind.INIT,
    {Symptom.ATTENTION_COLLAPSE, Symptom.STALLED_TRAINING},
    cost=2,
    retrains=False,
    hints=HINTS,
)
def scale_queries(subject: Subject, evidence: Evidence) -> Outcome:
    """Scale queries and keys down until attention scores are of unit scale

    What it changes
        Where the scores of an attention have a standard deviation above 1 along a row, the weights and biases that
        give its queries and keys are both divided by the root of it.

    Why it helps
        A softmax of scores far apart gives all its weight to one position and has no slope: queries and keys stop
        learning.  At unit scale, the weights are spread and every position gets a gradient.

    When it is wrong
        Trained attention may be sharp by right.  Scores of unit scale can grow again: a norm on queries and keys holds
        them.  Where one matrix gives queries, keys and values together, nothing is done.

    References
        Zhai et al. 2023 (arXiv 2303.06296); Dehghani et al. 2023 (arXiv 2302.05442).
    """
    graph, found = subject.graph, list(_attentions(subject.graph))
    if not found:
        return Inapplicable("There is no attention whose queries and keys come from weights of their own.")
    spreads = _spreads(sweep(subject), found)
    wide = [(scores, spread) for scores, spread in zip(found, spreads, strict=True) if spread > _ENOUGH]
    if not wide:
        return Inapplicable(f"Attention scores have a standard deviation of {max(spreads):.3g} at most.")
    changed = {
        name: times(graph.parameters[name], spread**-0.5)
        for scores, spread in wide
        for layer in scores.layers
        for name in (layer.kernel, layer.bias)
        if name and graph.parameters[name].trainable
    }
    first, spread = wide[0]
    sentence = (
        f"Divide the query and key weights of {len(wide)} of {len(found)} attentions by the root of their scores' "
        f"standard deviation (first: {first.softmax.origin or first.softmax.name}, {spread:.3g})."
    )
    return Change(subject.replace(graph=graph.replace(parameters={**graph.parameters, **changed})), (sentence,))


def _attentions(graph: Graph) -> Iterator[_Scores]:
    """Yield the softmaxes whose input is a product of what two weight layers give."""
    producers = graph.producers()
    ends = {layer.output: layer for layer in redrawable(graph)}
    for node in graph.nodes:
        if node.op != "Softmax":
            continue
        scores = _behind(graph, producers, node.inputs[0])
        product = producers.get(scores)
        if product is None or product.op != "MatMul" or scores in ends:
            continue
        sides = [ends.get(_behind(graph, producers, value, ends)) for value in product.inputs]
        if sides[0] is not None and sides[1] is not None and sides[0].kernel != sides[1].kernel:
            yield _Scores(node, (sides[0], sides[1]))


def _behind(graph: Graph, producers: Mapping[str, Node], value: str, ends: Container[str] = ()) -> str:
    """Return the value that one is made of by moving it, scaling it by a constant and adding a mask, up to `ends`."""
    while value not in ends and (node := producers.get(value)) is not None:
        inputs = [name for name in node.inputs if name not in graph.constants]
        if node.op in PLAIN or (node.op in _SCALED and len(inputs) == 1):
            value = inputs[0] if node.op in _SCALED else node.inputs[0]
        elif node.op in {"Add", "Where"} and (signal := _signal(graph, producers, inputs)):
            value = signal
        else:
            break
    return value


def _signal(graph: Graph, producers: Mapping[str, Node], inputs: Sequence[str]) -> str | None:
    """Return the one of a sum's inputs that is a product, perhaps scaled; None where not exactly one is."""
    products = [name for name in inputs if _is_product(graph, producers, name)]
    return products[0] if len(products) == 1 else None


def _is_product(graph: Graph, producers: Mapping[str, Node], value: str) -> bool:
    node = producers.get(value)
    while node is not None and (node.op in _SCALED or node.op in PLAIN):
        inputs = [name for name in node.inputs if name not in graph.constants]
        node = producers.get(inputs[0]) if inputs else None
    return node is not None and node.op == "MatMul"


def _spreads(found: Sweep, attentions: Sequence[_Scores]) -> list[float]:
    """Return the standard deviation of each attention's scores along a row, masked ones left out."""
    return [_spread(found.values[scores.softmax.inputs[0]].detach().double()) for scores in attentions]


def _spread(scores: Tensor) -> float:
    seen = (scores > _MASKED).double()
    count = seen.sum(-1, keepdim=True).clamp(min=1)
    mean = (scores * seen).nan_to_num().sum(-1, keepdim=True) / count
    variance = ((scores - mean).square() * seen).nan_to_num().sum(-1, keepdim=True) / count
    return float(((variance * count).sum() / count.sum()).sqrt())
