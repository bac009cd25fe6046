"""Choices that no gradient comes back through, exchanged for shares."""

from collections.abc import Iterator

from service.contract.words import Symptom, TreatmentKind
from worker.network.edit import expand
from worker.network.graph import Graph, Node
from worker.probe.evidence import Evidence
from worker.probe.shapes import shapes
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

_MATRIX = 2


@treatment(
    "soften-choice",
    TreatmentKind.ACTIVATION,
    {Symptom.NO_GRADIENT},
    cost=5,
    retrains=False,
    hints=Hints(
        """
        table, scores = nn.Embedding(8, 16), nn.LazyLinear(8)
        chosen = scores(x.float()).softmax(-1) @ table.weight  # in place of table(scores(x).argmax(-1))
        optimizer.add_param_group({"params": [*table.parameters(), *scores.parameters()]})
        """,
        """
        table = keras.layers.Dense(model.output_shape[-1], use_bias=False)  # the rows that were looked up
        chosen = table(keras.layers.Softmax()(model.outputs[0]))  # in place of a look-up at the argmax
        model = keras.Model(model.inputs[0], chosen)
        """,
    ),
)
def soften_choice(subject: Subject, evidence: Evidence) -> Outcome:
    """Weigh all rows instead of looking one up

    What it changes
        Where the place of the largest score (ArgMax) looks a row of a table up, all rows are summed, each weighted by
        the softmax of its score.

    Why it helps
        A choice has no slope; the shares of a softmax have one, so the layers that score learn.

    When it is wrong
        The network reads mixtures of rows in training; choose again afterwards, when the shares have become sharp.

    References
        Jang et al. 2017 (arXiv 1611.01144) and Maddison et al. 2017 (arXiv 1611.00712): relaxed choices.
    """
    graph = subject.graph
    cuts = {cut.node for each in evidence.parameters for cut in each.cuts if not cut.within}
    choices = [node for node in graph.nodes if node.op == "ArgMax" and node.name in cuts and _over_last(subject, node)]
    found = [(choice, look) for choice in choices for look in _look_ups(graph, choice)]
    if not found:
        return Inapplicable("No choice of the largest score, which cuts weights off, looks up the row of a table.")
    nodes = {look.name: _mixed(graph, choice, look) for choice, look in found}
    first = found[0][0].origin or found[0][0].name
    return Change(
        subject.replace(graph=expand(graph, nodes)),
        (f"Weigh the rows of {len(found)} tables by a softmax instead of an ArgMax (first: {first}).",),
    )


def _over_last(subject: Subject, node: Node) -> bool:
    """Whether a choice is among the numbers of the last axis, which it leaves out."""
    axis, rank = node.attributes.get("axis", 0), len(shapes(subject, [node.inputs[0]])[node.inputs[0]])
    left_out = not node.attributes.get("keepdims", 1)
    return isinstance(axis, int) and axis % rank == rank - 1 and left_out


def _look_ups(graph: Graph, choice: Node) -> Iterator[Node]:
    """Yield the look-ups of rows of a matrix by a choice."""
    held = {**graph.constants, **{name: each.value for name, each in graph.parameters.items()}}
    for node in graph.consumers(choice.outputs[0]):
        table = held.get(node.inputs[0]) if node.op == "Gather" else None
        if table is not None and table.dim() == _MATRIX and node.attributes.get("axis", 0) == 0:
            yield node


def _mixed(graph: Graph, choice: Node, look: Node) -> tuple[Node, ...]:
    """Return the rows of a table, weighed by the softmax of the scores."""
    shares = graph.fresh(f"{look.name}.shares")
    (scores, *_), axis = choice.inputs, choice.attributes["axis"]
    return (
        Node("Softmax", (scores,), (shares,), shares, {"axis": axis}, origin=choice.origin),
        Node("MatMul", (shares, look.inputs[0]), look.outputs, look.name, origin=look.origin),
    )
