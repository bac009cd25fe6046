"""Forget gates that start open."""

from typing import Final

from service.contract.words import Symptom, TreatmentKind
from worker.network.gate_biases import opened
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, gathering, treatment

_OPEN: Final = 1.0
HINTS: Final = Hints(
    torch="""
        for layer in [m for m in model.modules() if isinstance(m, nn.LSTM)]:
            for bias in [each for name, each in layer.named_parameters() if name.startswith("bias_ih")]:
                bias.data[layer.hidden_size : 2 * layer.hidden_size] += $by
    """,
    keras="""
        for layer in [each for each in model.layers if isinstance(each, keras.layers.LSTM)]:
            *kernels, bias = layer.get_weights()
            bias[layer.units : 2 * layer.units] += $by
            layer.set_weights([*kernels, bias])
    """,
)


@treatment(
    "forget-bias",
    TreatmentKind.INIT,
    {Symptom.RECURRENT_GAIN, Symptom.VANISHING_GRADIENT, Symptom.STALLED_TRAINING},
    cost=2,
    retrains=False,
    hints=HINTS,
)
@gathering
def forget_bias(subject: Subject, evidence: Evidence) -> Outcome:
    """Start an LSTM's forget gates open

    What it changes
        Where the forget gates' biases have a mean below 1, they are raised by what is missing.  All other weights
        stay, trained ones too.

    Why it helps
        A gate with bias 0 keeps half of the cell per step, so a memory lasts two steps; with bias 1 it keeps 73% and
        lasts about five.

    When it is wrong
        Sequences of a hundred steps ask for more than a bias of 1.  Exploding states grow further.  A GRU has no
        forget gate, and is left alone.

    References
        Gers, Schmidhuber and Cummins 2000; Jozefowicz et al. 2015.
    """
    gates = {node.name: _OPEN for node in subject.graph.nodes if node.op == "LSTM"}
    graph, raised = opened(subject.graph, gates)
    if not raised:
        return Inapplicable("There is no LSTM with trainable biases whose forget gates are not open already.")
    told = ", ".join(f"{node} by {by:.3g}" for node, by in raised.items())
    sentence = f"Raise the forget gates' biases to {_OPEN:g} in the mean: {told}."
    return Change(subject.replace(graph=graph), (sentence,), {"by": f"{next(iter(raised.values())):.3g}"})
