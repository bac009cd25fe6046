"""Forget gates that start open."""

from dataclasses import replace
from typing import Final

from service.contract.words import Symptom, TreatmentKind
from worker.network.graph import Graph, Law, Parameter
from worker.network.laws import Constant, Shifted, Stacked
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

_GATES: Final = 4
_FORGET: Final = 2
"""The forget gate's place among an LSTM's gates: ONNX orders them input, output, forget, cell."""
_BIAS: Final = 3
"""A bias's place among an LSTM's inputs."""
_OPEN: Final = 1.0
_NEAR: Final = 0.05
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
    graph, done = subject.graph, dict[str, tuple[str, float]]()
    for node in graph.nodes:
        name = node.inputs[_BIAS] if node.op == "LSTM" and len(node.inputs) > _BIAS else ""
        held = graph.parameters.get(name)
        if held is None or not held.trainable or name in done:
            continue
        missing = _OPEN - _mean(held)
        if missing > _NEAR:
            done[name] = (node.origin or node.name, missing)
            graph = _raised(graph, name, missing)
    if not done:
        return Inapplicable("There is no LSTM with trainable biases whose forget gates are not open already.")
    told = ", ".join(f"{node} by {missing:.3g}" for node, missing in done.values())
    by = next(missing for _, missing in done.values())
    sentence = f"Raise the forget gates' biases to 1 in the mean: {told}."
    return Change(subject.replace(graph=graph), (sentence,), {"by": f"{by:.3g}"})


def _mean(bias: Parameter) -> float:
    """Return the mean of what the forget gates' two biases add up to, of [directions, 8 · hidden].

    Where a law draws them one by one, the law's, so that every draw is raised by as much.
    """
    if law := _by_gate(bias):
        return sum(map(_centre, law.laws[_FORGET::_GATES])) / len(bias.value)
    gates = bias.value.double().reshape(len(bias.value), 2, _GATES, -1)[:, :, _FORGET]
    return float(gates.sum(1).mean())


def _by_gate(bias: Parameter) -> Stacked | None:
    """Return the law that draws biases gate by gate, if one does."""
    law = bias.law
    return law if isinstance(law, Stacked) and len(law.laws) == 2 * _GATES * len(bias.value) else None


def _centre(law: Law) -> float:
    """Return the mean of what a law draws; those of biases are even around what they are shifted by."""
    if isinstance(law, Shifted):
        return _centre(law.law) + law.by
    return law.value if isinstance(law, Constant) else float(getattr(law, "mean", 0.0))


def _raised(graph: Graph, name: str, missing: float) -> Graph:
    """Return the graph with the forget gates' first biases raised, and their law, where it draws gate by gate."""
    bias = graph.parameters[name]
    law = _by_gate(bias)
    gates = bias.value.clone().reshape(len(bias.value), 2, _GATES, -1)
    gates[:, 0, _FORGET] += missing
    raised = replace(
        bias, value=gates.reshape(bias.value.shape), law=_shifted(law, missing, len(bias.value)) if law else None
    )
    return graph.replace(parameters={**graph.parameters, name: raised})


def _shifted(law: Stacked, by: float, directions: int) -> Stacked:
    laws = list(law.laws)
    for place in range(_FORGET, len(laws), len(laws) // directions):
        drawn = laws[place]
        base, more = (drawn.law, drawn.by) if isinstance(drawn, Shifted) else (drawn, 0.0)
        laws[place] = Constant(base.shape, base.value + by) if isinstance(base, Constant) else Shifted(base, more + by)
    return replace(law, laws=tuple(laws))
