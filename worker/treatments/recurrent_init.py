"""Recurrent weights that keep a state's length."""

from dataclasses import replace
from typing import Final

import torch

from service.contract.words import Symptom, TreatmentKind
from worker.network.graph import Graph, Law, Node, Parameter, stream
from worker.network.laws import Constant, Orthogonal, Permuted, Reordered, Reshaped, Shifted, Stacked
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, gathering, treatment

_GATES: Final = {"RNN": 1, "GRU": 3, "LSTM": 4}
_FORGET: Final = 2
"""The forget gate's place among the LSTM's gates: ONNX orders them input, output, forget, cell."""
HINTS: Final = Hints(
    torch="""
        for name, weight in model.named_parameters():
            if "weight_hh" in name:
                for gate in weight.data.split(weight.shape[1]):
                    nn.init.orthogonal_(gate)
    """,
    keras="""
        for layer in [each for each in model.layers if isinstance(each, keras.layers.RNN)]:
            kernel = layer.cell.recurrent_kernel
            kernel.assign(keras.initializers.Orthogonal()(kernel.shape))
    """,
)


@treatment(
    "recurrent-init",
    TreatmentKind.INIT,
    {Symptom.RECURRENT_GAIN, Symptom.EXPLODING_GRADIENT, Symptom.VANISHING_GRADIENT, Symptom.STALLED_TRAINING},
    cost=2,
    retrains=True,
    hints=HINTS,
)
@gathering
def recurrent_init(subject: Subject, evidence: Evidence) -> Outcome:
    """Draw orthogonal recurrent weights

    What it changes
        The recurrent matrix of each gate becomes orthogonal, and the forget gate of an LSTM starts with a bias of 1.
        Where a file draws all gates as one matrix, as Keras does, that matrix becomes orthogonal, and biases stay.

    Why it helps
        An orthogonal matrix keeps the length of a state and of its gradient from step to step; an open forget gate lets
        the cell remember.

    When it is wrong
        Trained weights are lost.  An LSTM can still explode through its hidden state where other weights are large.

    References
        Saxe et al. 2014; Jozefowicz et al. 2015 (forget bias); Le et al. 2015 (arXiv 1504.00941).
    """
    graph, done = subject.graph, []
    for node in graph.nodes:
        if node.op in _GATES and len(node.inputs) > 2 and node.inputs[2] in graph.parameters:  # noqa: PLR2004
            if not graph.parameters[node.inputs[2]].trainable:
                continue
            redrawn = _redrawn(graph, node, subject.seed)
            done.extend([node.name] if redrawn is not graph else [])
            graph = redrawn
    if not done:
        return Inapplicable("No recurrent layer reads weights of its own that are not orthogonal already.")
    return Change(subject.replace(graph=graph), (f"Draw orthogonal recurrent weights in {', '.join(done)}.",))


def _redrawn(graph: Graph, node: Node, seed: int) -> Graph:
    name = node.inputs[2]
    recurrent = graph.parameters[name]
    directions, _, hidden = recurrent.value.shape
    shape = tuple(recurrent.value.shape)
    each = Stacked((Orthogonal((hidden, hidden)),) * (directions * _GATES[node.op]), shape)
    law = _in_place(recurrent.law) or each
    if law == recurrent.law and law != each:
        return graph
    value = law(stream(seed, name)).to(recurrent.value)
    changed = {name: replace(recurrent, value=value, law=law)}
    bias = graph.parameters.get(node.inputs[3]) if node.op == "LSTM" and len(node.inputs) > 3 else None  # noqa: PLR2004
    if bias is not None:
        changed[node.inputs[3]] = _remembering(bias, node.inputs[3], hidden, seed)
    return graph.replace(parameters={**graph.parameters, **changed})


def _in_place(law: Law | None) -> Law | None:
    """Return the law with an orthogonal matrix in place of the one that it lays out; None where it lays out none."""
    if not isinstance(law, Permuted | Reordered | Reshaped):
        return None
    shape = getattr(law.law, "shape", ())
    matrix = Orthogonal(shape) if len(shape) == 2 else None  # noqa: PLR2004  (in, gates · units)
    inner = _in_place(law.law) or matrix
    return replace(law, law=inner) if inner is not None else None


def _remembering(bias: Parameter, name: str, hidden: int, seed: int) -> Parameter:
    """Return an LSTM's biases [directions, 8 · hidden] with the forget gates' at 1: by their law, else their sum."""
    directions = len(bias.value)
    if isinstance(bias.law, Stacked) and len(bias.law.laws) == 2 * _GATES["LSTM"] * directions:
        law = _opened(bias.law, directions)
        return replace(bias, value=law(stream(seed, name)).to(bias.value), law=law)
    changed = bias.value.clone()
    gate = slice(_FORGET * hidden, (_FORGET + 1) * hidden)
    changed[:, gate] = torch.ones_like(changed[:, gate])
    changed[:, 4 * hidden :][:, gate] = 0
    return replace(bias, value=changed, law=None)


def _opened(law: Stacked, directions: int) -> Stacked:
    """Return the law of an LSTM's biases with what the forget gates' draw raised by 1."""
    laws = list(law.laws)
    for place in range(_FORGET, len(laws), len(laws) // directions):
        drawn = laws[place]
        base = drawn.law if isinstance(drawn, Shifted) else drawn
        laws[place] = replace(base, value=1.0) if isinstance(base, Constant) else Shifted(base, 1.0)
    return replace(law, laws=tuple(laws))
