"""A head that starts small."""

from typing import Final

from service.contract.words import LossName, Symptom, TreatmentKind
from worker.network.graph import Graph, reads
from worker.network.layers import PLAIN, Layer, weight_layers
from worker.network.scaled import times
from worker.probe.evidence import Evidence
from worker.probe.sweep import sweep
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

_NUMBERS: Final = frozenset({LossName.MSE, LossName.MAE, LossName.HUBER})
_HEADS: Final = PLAIN | {"Softmax", "LogSoftmax", "Sigmoid", "LogSigmoid"}
_ENOUGH: Final = 1.5
"""How far above its size a head may give before it is scaled."""
HINTS: Final = Hints(
    torch="""
        head = [layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1]
        scale = 1 / max(1.0, model(x).std().item())
        head.weight.data.mul_(scale)
        head.bias is None or head.bias.data.mul_(scale)
    """,
    keras="""
        head = [layer for layer in model.layers if layer.get_weights()][-1]
        scale = 1 / max(1.0, float(model.predict(x, verbose=0).std()))
        head.set_weights([scale * weight for weight in head.get_weights()])
    """,
)


@treatment(
    "scale-head",
    TreatmentKind.INIT,
    {Symptom.POOR_INIT_SCALE, Symptom.STALLED_TRAINING, Symptom.UNSTABLE_LEARNING_RATE, Symptom.EXPLODING_GRADIENT},
    cost=2,
    retrains=False,
    hints=HINTS,
)
def scale_head(subject: Subject, evidence: Evidence) -> Outcome:
    """Scale the head down so that it starts with an even guess

    What it changes
        The weights and biases of the last layer are multiplied by one number, so that its logits have a standard
        deviation of 1 on the batch, or its numbers the root mean square of the targets.  It is never scaled up.

    Why it helps
        Logits of standard deviation s cost ln K + s²/2, and the first steps, of large gradients, do nothing but shrink
        them.

    When it is wrong
        It does not cure what lies before the head.  In a trained model it takes away the conviction that was learnt.
        A head that shares its weights, with an embedding perhaps, is left alone.

    References
        Karpathy 2019, A Recipe for Training Neural Networks ("verify loss at init").
    """
    graph, head = subject.graph, _head(subject.graph, subject.output)
    if head is None:
        return Inapplicable("The output does not come from a trainable weight layer whose kernel is its own.")
    found = sweep(subject).values[head.output].detach().double()
    size = float(found.square().mean().sqrt() if subject.loss.name in _NUMBERS else found.std(correction=0))
    wanted = _wanted(subject)
    if not wanted * _ENOUGH < size < float("inf"):
        return Inapplicable(f"The head gives numbers of size {size:.3g}, and {wanted * _ENOUGH:.3g} is the limit.")
    names = [name for name in (head.kernel, head.bias) if name and graph.parameters[name].trainable]
    changed = {name: times(graph.parameters[name], wanted / size) for name in names}
    sentence = (
        f"Multiply the weights of the head ({head.node.origin or head.node.name}) by {wanted / size:.3g}: what it "
        f"gives on the batch has size {size:.3g}, and then {wanted:.3g}."
    )
    return Change(subject.replace(graph=graph.replace(parameters={**graph.parameters, **changed})), (sentence,))


def _head(graph: Graph, output: str) -> Layer | None:
    """Return the weight layer with a kernel of its own that an output comes from, through what classifiers end with."""
    producers, ends = graph.producers(), {layer.output: layer for layer in weight_layers(graph)}
    value = output
    while value not in ends and value in producers and producers[value].op in _HEADS:
        value = producers[value].inputs[0]
    head = ends.get(value)
    used = [name for node in graph.nodes for name in reads(node)]
    return head if head is not None and used.count(head.kernel) == 1 else None


def _wanted(subject: Subject) -> float:
    """Return the size that the head's numbers are to have: the targets', or 1 for logits."""
    if subject.loss.name not in _NUMBERS:
        return 1.0
    size = float(subject.target.double().square().mean().sqrt())
    return size if size > 0 else 1.0
