"""Recurrent layers that remember for as long as a sequence lasts."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from service.contract.words import Symptom, TreatmentKind
from worker.network.gate_biases import opened
from worker.network.graph import Graph, Law, Node, stream
from worker.network.laws import Constant, Identity, Orthogonal, Stacked
from worker.probe.along_time import measure_recurrent
from worker.probe.evidence import Evidence
from worker.probe.sweep import sweep
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, gathering, treatment

_SYMPTOMS: Final = frozenset(
    {Symptom.RECURRENT_GAIN, Symptom.EXPLODING_GRADIENT, Symptom.VANISHING_GRADIENT, Symptom.STALLED_TRAINING}
)
_KERNEL, _BIAS = 2, 3
"""The recurrent weights' place among a recurrent operator's inputs, and the biases'."""
_SHAPES: Final = frozenset({"activation_alpha", "activation_beta"})
"""Attributes that shape functions which ReLU stands in the place of."""
_ROUNDS: Final = 4
_LEVEL: Final = 1.0
"""|ln of the squared gain| along all steps that is left alone."""
_SHORTEST: Final = 3


@treatment(
    "identity-recurrence",
    TreatmentKind.ACTIVATION,
    _SYMPTOMS,
    cost=3,
    retrains=True,
    hints=Hints(
        torch="""
            for layer in [m for m in model.modules() if isinstance(m, nn.RNN)]:
                layer.nonlinearity, layer.mode = "relu", "RNN_RELU"
                for name, each in layer.named_parameters():
                    nn.init.eye_(each) if name.startswith("weight_hh") else "bias" in name and nn.init.zeros_(each)
        """,
        keras="""
            for layer in [each for each in model.layers if isinstance(each, keras.layers.SimpleRNN)]:
                layer.cell.activation = keras.activations.relu
                kernel, recurrent, *bias = layer.get_weights()
                layer.set_weights([kernel, keras.ops.eye(len(recurrent)), *[0 * each for each in bias]])
        """,
    ),
)
@gathering
def identity_recurrence(subject: Subject, evidence: Evidence) -> Outcome:
    """Let a plain recurrence keep its state by the identity and ReLU

    What it changes
        Recurrent layers without gates take ReLU; their recurrent matrices start as the identity, their biases at 0.

    Why it helps
        A state that nothing is added to stays what it is, and so does its gradient, for any number of steps.

    When it is wrong
        Trained weights are lost.  The state is not bounded: with large inputs or rates it can explode, so clip.

    References
        Le, Jaitly and Hinton 2015 (arXiv 1504.00941).
    """
    graph, done = subject.graph, []
    for node in _plain(graph):
        kernel = graph.parameters[node.inputs[_KERNEL]].value
        directions, hidden, _ = kernel.shape
        laws: dict[str, Law] = {
            node.inputs[_KERNEL]: Stacked((Identity((hidden, hidden)),) * directions, tuple(kernel.shape))
        }
        if (bias := _trained(graph, node, _BIAS)) is not None:
            laws[bias] = Constant(tuple(graph.parameters[bias].value.shape), 0.0)
        graph = _drawn(graph, laws, subject.seed)
        kept = {key: value for key, value in node.attributes.items() if key not in _SHAPES}
        changed = replace(node, attributes={**kept, "activations": ("Relu",) * directions})
        graph = graph.replace(nodes=tuple(changed if each.name == node.name else each for each in graph.nodes))
        done.append(node.origin or node.name)
    if not done:
        return Inapplicable("There is no recurrent layer without gates that has weights of its own.")
    return Change(
        subject.replace(graph=graph), (f"Let {', '.join(done)} start as the identity behind ReLU, biases at 0.",)
    )


@treatment(
    "recurrent-scale",
    TreatmentKind.INIT,
    _SYMPTOMS,
    cost=2,
    retrains=True,
    hints=Hints(
        torch="""
            for layer in [m for m in model.modules() if isinstance(m, nn.RNN)]:
                for name, each in layer.named_parameters():
                    name.startswith("weight_hh") and nn.init.orthogonal_(each, gain=$gain)
        """,
        keras="""
            for layer in [each for each in model.layers if isinstance(each, keras.layers.SimpleRNN)]:
                kernel, recurrent, *bias = layer.get_weights()
                layer.set_weights([kernel, keras.initializers.Orthogonal($gain)(recurrent.shape), *bias])
        """,
    ),
)
@gathering
def recurrent_scale(subject: Subject, evidence: Evidence) -> Outcome:
    """Draw orthogonal recurrent weights at the scale that keeps the gradient along time

    What it changes
        The recurrent matrix of layers without gates becomes orthogonal, times the number at which the gradient comes
        back over all steps as large as it left, measured on the batch.

    Why it helps
        Tanh and its inputs take something of the gradient at every step; the scale gives it back.

    When it is wrong
        Trained weights are lost.  A sigmoid takes more than any scale gives back before it saturates.

    References
        Pascanu et al. 2013; Chen, Pennington and Schoenholz 2018 (arXiv 1806.05394).
    """
    done, last = [], 1.0
    for node in _plain(subject.graph):
        subject, last = _levelled(subject, node)
        done.append(f"{node.origin or node.name} at {last:.3g}")
    if not done:
        return Inapplicable("There is no recurrent layer without gates that has weights of its own.")
    return Change(subject, (f"Draw orthogonal recurrent weights in {', '.join(done)}.",), {"gain": f"{last:.3g}"})


@treatment(
    "long-memory",
    TreatmentKind.INIT,
    _SYMPTOMS - {Symptom.EXPLODING_GRADIENT},
    cost=2,
    retrains=False,
    hints=Hints(
        torch="""
            for layer in [m for m in model.modules() if isinstance(m, (nn.GRU, nn.LSTM))]:
                for bias in [each for name, each in layer.named_parameters() if name.startswith("bias_ih")]:
                    bias.data[layer.hidden_size : 2 * layer.hidden_size] += $by
        """,
        keras="""
            for layer in [each for each in model.layers if isinstance(each, (keras.layers.GRU, keras.layers.LSTM))]:
                *kernels, bias = layer.get_weights()
                place = layer.units if isinstance(layer, keras.layers.LSTM) else 0
                bias[..., place : place + layer.units] += $by
                layer.set_weights([*kernels, bias])
        """,
    ),
)
@gathering
def long_memory(subject: Subject, evidence: Evidence) -> Outcome:
    """Let gates keep the state for as long as the sequence lasts

    What it changes
        Where the biases of the gate that keeps the state (an LSTM's forget gate, a GRU's update gate) have a mean below
        ln(T - 1), for sequences of T steps, they are raised by what is missing.  All other weights stay, trained ones
        too.

    Why it helps
        A gate with that bias keeps a share of 1 - 1 / T per step, and so remembers for about T steps.

    When it is wrong
        Short memories are learnt more slowly.  States that explode do so all the more.

    References
        Tallec and Ollivier 2018 (arXiv 1804.11188).
    """
    gates = {each.node: math.log(max(each.steps, _SHORTEST) - 1) for each in evidence.recurrent}
    graph, raised = opened(subject.graph, gates)
    if not raised:
        return Inapplicable("There is no LSTM or GRU whose memory is shorter than its sequences.")
    told = ", ".join(f"{node} by {by:.3g}" for node, by in raised.items())
    sentence = f"Raise the biases of the gates that keep the state: {told}."
    return Change(subject.replace(graph=graph), (sentence,), {"by": f"{next(iter(raised.values())):.3g}"})


def _plain(graph: Graph) -> Iterator[Node]:
    """Yield the recurrent layers without gates whose recurrent weights may be drawn."""
    return (node for node in graph.nodes if node.op == "RNN" and _trained(graph, node, _KERNEL) is not None)


def _trained(graph: Graph, node: Node, place: int) -> str | None:
    """Return the name of a trainable parameter that a node reads at this place."""
    name = node.inputs[place] if len(node.inputs) > place else ""
    held = graph.parameters.get(name)
    return name if held is not None and held.trainable else None


def _levelled(subject: Subject, node: Node) -> tuple[Subject, float]:
    """Return the subject with a layer's recurrent weights drawn at the scale that was found, and the scale."""
    kernel = node.inputs[_KERNEL]
    shape = tuple(subject.graph.parameters[kernel].value.shape)
    directions, hidden, _ = shape
    make: Callable[[float], Law] = lambda scale: Stacked(  # noqa: E731
        (Orthogonal((hidden, hidden), scale),) * directions, shape
    )
    scale, copy = 1.0, subject
    for _ in range(_ROUNDS):
        copy = subject.replace(graph=_drawn(subject.graph, {kernel: make(scale)}, subject.seed))
        found = [each for each in measure_recurrent(sweep(copy)) if each.node == node.name]
        if not found or not math.isfinite(found[0].total) or abs(found[0].total) < _LEVEL:
            break
        scale = float(f"{scale * math.exp(-found[0].rate / 2):.3g}")
    return copy, scale


def _drawn(graph: Graph, laws: dict[str, Law], seed: int) -> Graph:
    made = {
        name: replace(graph.parameters[name], law=law, value=law(stream(seed, name)).to(graph.parameters[name].value))
        for name, law in laws.items()
    }
    return graph.replace(parameters={**graph.parameters, **made})
