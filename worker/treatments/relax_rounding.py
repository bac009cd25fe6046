"""Steps that no gradient comes back through, exchanged for what they approximate."""

from dataclasses import replace
from typing import Final

from service.contract.words import Symptom, TreatmentKind
from worker.network.edit import expand
from worker.network.graph import Graph, Node
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

_RELAXED: Final = {"Round": "Identity", "Floor": "Identity", "Ceil": "Identity", "Sign": "Tanh"}
_FLOATS: Final = {1, 10, 11, 16}
"""ONNX's float32, float16, float64 and bfloat16."""


@treatment(
    "relax-rounding",
    TreatmentKind.ACTIVATION,
    {Symptom.NO_GRADIENT},
    cost=3,
    retrains=False,
    hints=Hints(
        """
        def rounded(x):
            return x + (x.round() - x).detach()  # forward rounds, backward is the identity
        first = next(part for part in model.modules() if isinstance(part, (nn.Linear, nn.Conv2d, nn.LSTM)))
        first.register_forward_pre_hook(lambda part, given: (rounded(given[0]), *given[1:]))
        """,
        """
        def rounded(x):
            return x + keras.ops.stop_gradient(keras.ops.round(x) - x)  # forward rounds, backward is the identity
        given = keras.Input(model.input_shape[1:])
        model = keras.Model(given, model(keras.layers.Lambda(rounded)(given)))
        """,
    ),
)
def relax_rounding(subject: Subject, evidence: Evidence) -> Outcome:
    """Leave out the rounding through which no gradient comes back

    What it changes
        Round, Floor, Ceil, and casts to whole numbers and back, become the identity, and Sign becomes tanh, where they
        cut weights off from the loss.

    Why it helps
        The slope of a step is zero wherever it exists.  The relaxed network has one, and learns what is rounded later.

    When it is wrong
        What is trained is the relaxed network; rounded again, it is another one.  A file cannot say what training
        scripts do instead: round on the way forth and pass the gradient straight through on the way back.  Where the
        script does that, nothing is wrong.

    References
        Bengio et al. 2013 (arXiv 1308.3432): straight-through estimators; Hubara et al. 2016: binarized networks.
    """
    graph = subject.graph
    cuts = {cut.node for each in evidence.parameters for cut in each.cuts if not cut.within}
    relaxed = {node.name: made for node in graph.nodes if node.name in cuts and (made := _relaxed(graph, node))}
    if not relaxed:
        return Inapplicable("No rounding cuts weights off from the loss.")
    nodes = [node for node in graph.nodes if node.name in relaxed]
    names, first = ", ".join(sorted({node.op for node in nodes})), nodes[0].origin or nodes[0].name
    changed = expand(graph, {name: (made,) for name, made in relaxed.items()})
    return Change(
        subject.replace(graph=changed), (f"Relax {len(nodes)} × {names} to what a gradient passes (first: {first}).",)
    )


def _relaxed(graph: Graph, node: Node) -> Node | None:
    """Return what stands for a step; None where the operator is none."""
    if node.domain:
        return None
    if node.op == "Cast":
        readers = list(graph.consumers(node.outputs[0]))
        back = bool(readers) and all(each.op == "Cast" and each.attributes.get("to") in _FLOATS for each in readers)
        return replace(node, op="Identity", attributes={}) if back else None
    op = _RELAXED.get(node.op)
    return None if op is None else replace(node, op=op, attributes={})
