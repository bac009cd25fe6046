"""A softmax that runs over the wrong axis."""

from dataclasses import replace

from service.contract.words import Symptom, TreatmentKind
from worker.head import COPIES, LAYOUT, source
from worker.network.edit import exchange
from worker.network.graph import Graph, Node
from worker.probe.evidence import Evidence
from worker.probe.shapes import shapes
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

_FLATTENS = 13
"""Opset before which a softmax takes all axes from its own on as one."""


@treatment(
    "softmax-axis",
    TreatmentKind.LOSS,
    {Symptom.LOSS_MISMATCH, Symptom.STRUCTURE_FAULT},
    cost=1,
    retrains=False,
    hints=Hints(
        """
        model = nn.Sequential(model, nn.LogSoftmax(dim=1))  # dim 0 is the batch; where the model has its own: its dim
        loss_fn = nn.NLLLoss()
        """,
        """
        model = keras.Sequential([model, keras.layers.Softmax(axis=-1)])  # axis 0 is the batch
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy())
        """,
    ),
)
def softmax_axis(subject: Subject, evidence: Evidence) -> Outcome:
    """Let the softmax run over the classes

    What it changes
        A softmax (or its logarithm) at the end whose shares sum to one over the batch sums them over the classes.

    Why it helps
        Over the batch, samples compete with each other: a sample's probabilities depend on which others are drawn with
        it, and need not sum to one.

    When it is wrong
        Where the first axis is no batch: contrasts between all pairs of samples, or a single unbatched sample.

    References
        Goodfellow et al. 2016, Deep Learning, section 6.2.2.3.
    """
    graph, node = subject.graph, _softmax(subject.graph, subject.output)
    if node is None:
        return Inapplicable("The model does not end in a softmax.")
    rank, axis = len(shapes(subject, [node.inputs[0]])[node.inputs[0]]), _axis(graph, node)
    if rank < 2 or axis % rank or evidence.loss.of_pairs:  # noqa: PLR2004  samples and classes
        return Inapplicable("The softmax at the end does not run over the batch.")
    if rank > 2 and graph.opsets.get("", 0) < _FLATTENS:  # noqa: PLR2004
        return Inapplicable(f"Before opset {_FLATTENS} a softmax takes all axes behind its own as one.")
    to = 1 if rank >= 4 else rank - 1  # noqa: PLR2004  images
    made = replace(node, attributes={**node.attributes, "axis": to})
    return Change(
        subject.replace(graph=exchange(graph, {node.name: made})),
        (f"Let the {node.op} at the end run over axis {to}, the classes, instead of axis {axis}, the batch.",),
    )


def _softmax(graph: Graph, output: str) -> Node | None:
    """Return the softmax that the output comes from, perhaps through its logarithm."""
    node = source(graph, output, LAYOUT)
    if node is not None and node.op == "Log":
        node = source(graph, node.inputs[0], COPIES)
    return node if node is not None and node.op in {"Softmax", "LogSoftmax"} else None


def _axis(graph: Graph, node: Node) -> int:
    axis = node.attributes.get("axis", -1 if graph.opsets.get("", 0) >= _FLATTENS else 1)
    return axis if isinstance(axis, int) else -1
