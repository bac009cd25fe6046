"""Queries and keys of attention normalized before they meet."""

from dataclasses import replace
from math import sqrt
from typing import Final

from service.contract.words import Symptom, TreatmentKind
from worker.network.graph import Graph, Node, Parameter
from worker.network.laws import Constant
from worker.network.norming import BROADCASTS, Norming, with_rms_norm
from worker.network.scores import Operand, normed, scores
from worker.probe.evidence import Evidence
from worker.probe.sweep import sweep
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

_ROUNDING: Final = 1e-3


@treatment(
    "qk-norm",
    TreatmentKind.NORMALIZATION,
    {Symptom.ATTENTION_COLLAPSE, Symptom.STALLED_TRAINING, Symptom.UNSTABLE_LEARNING_RATE},
    cost=4,
    retrains=False,
    hints=Hints(
        torch="""
        for layer in model.modules():  # where queries and keys are at hand: q = nn.functional.rms_norm(q, q.shape[-1:])
            if isinstance(layer, nn.MultiheadAttention):  # it has no place for that: bound its weights (σReparam)
                nn.utils.parametrizations.spectral_norm(layer, "in_proj_weight")
        """,
        keras="""
        class Normed(keras.layers.MultiHeadAttention):
            def _compute_attention(self, query, key, *rest, unit=keras.ops.rms_normalization, **more):
                return super()._compute_attention(unit(query), unit(key), *rest, **more)
        for it in model.layers: it.__class__ = Normed if isinstance(it, keras.layers.MultiHeadAttention) else type(it)
        """,
    ),
)
def qk_norm(subject: Subject, evidence: Evidence) -> Outcome:
    """Normalize queries and keys before they are compared

    What it changes
        Each head's queries and keys are divided by their root mean square and multiplied by a learned gain, right
        before their product.  The gains begin where scores have a standard deviation of about one.

    Why it helps
        A score can then grow no larger than the gains let it: a softmax keeps its slope whatever the scale of the
        weights behind queries and keys, and at large learning rates, too.

    When it is wrong
        Attention that learnt to look at one position on purpose must learn that anew.  Tokens that have become alike
        stay alike: a rank that is lost needs skips, not this.

    References
        Henry et al. 2020 (arXiv 2010.04245); Dehghani et al. 2023 (arXiv 2302.05442); Wortsman et al. 2023
        (arXiv 2309.14322).
    """
    if subject.graph.opsets.get("", 0) < BROADCASTS:
        return Inapplicable(f"Its operators need opset {BROADCASTS} or newer.")
    graph = with_rms_norm(subject.graph)
    found = [each for each in scores(graph) if not normed(graph, each.query.value)]
    if not found:
        return Inapplicable("No product of queries and keys is in sight that has no norm before it.")
    values = sweep(subject).values
    for each in found:
        for operand, side in ((each.query, "query"), (each.key, "key")):
            width = values[operand.value].shape[operand.axis]
            start = (1 / (abs(each.scale) * sqrt(width))) ** 0.5
            graph = _with_norm(graph, operand, f"{each.softmax.name}.{side}_norm", width=width, start=start)
    logits = [evidence.attention[each.softmax.name].logit for each in found if each.softmax.name in evidence.attention]
    grown = f", whose scores reached {max(logits):.3g}" if logits else ""
    count = f"{len(found)} attention{'s' if len(found) > 1 else ''}"
    first = found[0].softmax.origin or found[0].softmax.name
    return Change(
        subject.replace(graph=graph),
        (f"Divide queries and keys of {count} by their root mean square (first: {first}{grown}).",),
    )


def _with_norm(graph: Graph, operand: Operand, stem: str, *, width: int, start: float) -> Graph:
    """Return the graph with a norm between a value and one of its readers."""
    stem = graph.fresh(stem)
    size = (width, *(1,) * (-1 - operand.axis))
    like = next(each.value for each in graph.parameters.values() if each.value.is_floating_point())
    origin = next(node.origin for node in graph.nodes if node.name == operand.reader)
    start = 1.0 if abs(start - 1) < _ROUNDING else start
    gain = Parameter(like.new_full(size, start), Constant(size, start), origin=origin)
    norming = Norming(graph, operand.value, graph.fresh(f"{stem}.out"), like, stem, origin)
    norming.root_mean_square(f"{stem}.gain", width, operand.axis)
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.name == operand.reader:
            inputs = tuple(norming.fresh if name == operand.value else name for name in node.inputs)
            nodes += [*norming.nodes, replace(node, inputs=inputs)]
        else:
            nodes.append(node)
    return graph.replace(
        nodes=tuple(nodes),
        parameters={**graph.parameters, f"{stem}.gain": gain},
        constants={**graph.constants, **norming.constants},
    )
