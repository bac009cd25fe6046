"""Batch norms exchanged for norms that look at one sample."""

from math import prod
from typing import Final

from service.contract.words import Symptom, TreatmentKind
from worker.network.found_norms import batch_norms, maps, spliced, without_unread
from worker.network.graph import Graph, Node
from worker.network.norming import HAS_STANDARDIZATION, Norming, groups
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

_TABLE: Final = 2
"""Axes of a table: samples and features."""


@treatment(
    "replace-batch-norm",
    TreatmentKind.NORMALIZATION,
    {
        Symptom.NORMALIZATION_MISUSE,
        Symptom.EXPLODING_GRADIENT,
        Symptom.GRADIENT_NOISE,
        Symptom.STALLED_TRAINING,
        Symptom.NON_FINITE,
        Symptom.RECURRENT_GAIN,
        Symptom.SHATTERED_GRADIENT,
    },
    cost=4,
    retrains=False,
    hints=Hints(
        torch="""
        for place, norm in [each for each in model.named_modules() if hasattr(each[1], "running_var")]:
            size, table = norm.num_features, isinstance(norm, nn.BatchNorm1d)  # a BatchNorm1d of rows, not of series
            model.set_submodule(place, nn.LayerNorm(size) if table else nn.GroupNorm(max(1, size // 16), size))
        """,
        keras="""
        def other(it, k=keras.layers):
            return k.GroupNormalization(1) if isinstance(it, k.BatchNormalization) else it
        model = keras.models.clone_model(model, clone_function=other)
        """,
    ),
)
def replace_batch_norm(subject: Subject, evidence: Evidence) -> Outcome:
    """Normalize each sample by itself in place of the batch

    What it changes
        Each batch norm becomes a group norm where it reads maps (up to 32 groups, each of two channels and 16 numbers
        at least), and elsewhere a layer norm over the features of a sample or of a step.  Gains and biases stay what
        and where they are; running statistics are no longer needed.

    Why it helps
        Nothing depends on the batch any more: neither on its size, nor on who else is in it, nor on whether training or
        evaluation asks.  Behind a layer norm ReLU has χ₁ = 1, where batch norm without skips has π/(π − 1) = 1.47.

    When it is wrong
        Where batches are large and skips lead around, batch norm often trains better.  Trained weights met other
        statistics: they need some more training.  Frozen norms and those within the body of a loop stay.

    References
        Wu and He 2018 (arXiv 1803.08494); Ba et al. 2016 (arXiv 1607.06450); Yang et al. 2019 (arXiv 1902.08129).
    """
    graph = subject.graph
    if graph.opsets.get("", 0) < HAS_STANDARDIZATION:
        return Inapplicable(f"Its operators need opset {HAS_STANDARDIZATION} or newer.")
    shapes = {place.node: place.shape for place in evidence.places}
    done: dict[str, list[Node]] = {"groups of channels": [], "layer": []}
    for norm in batch_norms(graph):
        shape = shapes.get(norm.name, ())
        if len(shape) < _TABLE:
            continue
        spatial = maps(graph, norm, len(shape))
        if (prod(shape[1:]) if spatial else shape[1]) > 1:
            graph = _exchanged(graph, norm, shape, spatial=spatial)
            done["groups of channels" if spatial else "layer"].append(norm)
    if not any(done.values()):
        return Inapplicable("There is no batch norm of several features that training may change.")
    return Change(subject.replace(graph=graph), tuple(_said(kind, norms) for kind, norms in done.items() if norms))


def _said(kind: str, norms: list[Node]) -> str:
    count = f"{len(norms)} batch norm{'s' if len(norms) > 1 else ''}"
    return f"Normalize each sample by {kind} in place of {count} (first: {norms[0].origin or norms[0].name})."


def _exchanged(graph: Graph, norm: Node, shape: tuple[int, ...], *, spatial: bool) -> Graph:
    value, gain, bias = norm.inputs[:3]
    given = graph.parameters[gain].value if gain in graph.parameters else graph.constants[gain]
    norming = Norming(graph, value, norm.outputs[0], given, norm.name, norm.origin)
    epsilon = norm.attributes.get("epsilon", 1e-5)
    epsilon = epsilon if isinstance(epsilon, float) else 1e-5
    if spatial:
        norming.group(gain, bias, groups(shape[1], prod(shape[2:])), len(shape), epsilon)
    else:
        norming.features(gain, bias, len(shape), epsilon)
    return without_unread(spliced(graph, norm.name, norming), norm.inputs[3:])
