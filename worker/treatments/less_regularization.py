"""What holds the weights back: less of it, or in a form that does what its name says."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import torch

from service.contract.words import OptimizerName, Symptom, TreatmentKind
from worker.network.graph import Graph, Node
from worker.optimizers import DIVIDING, Optimizer
from worker.probe.dropouts import dropped_share
from worker.probe.evidence import Evidence
from worker.subject import Settings, Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

MILD_DECAY: Final = 1e-4
MILD_DROPOUT: Final = 0.2
_USUAL_RATE: Final = 1e-3
_BY_INPUT: Final = 12
"""The opset from which a dropout's rate is an input."""


@treatment(
    "less-regularization",
    TreatmentKind.REGULARIZATION,
    {Symptom.OVER_REGULARIZATION},
    cost=1,
    retrains=False,
    hints=Hints(
        torch="""
            for group in optimizer.param_groups:
                group["weight_decay"] = min(group["weight_decay"], $decay)
            for layer in (each for each in model.modules() if isinstance(each, nn.Dropout)):
                layer.p = min(layer.p, $rate)
        """,
        keras="""
            for layer in [each for each in model.layers if isinstance(each, keras.layers.Dropout)]:
                layer.rate = min(layer.rate, $rate)
            for weight in model.weights:
                weight.regularizer = None
        """,
    ),
)
def less_regularization(subject: Subject, evidence: Evidence) -> Outcome:
    """Hold the weights back less

    What it changes
        Weight decay becomes 0.0001 where it is larger, penalties on weights are taken away, and dropouts of more than a
        fifth drop a fifth.

    Why it helps
        A penalty that pulls harder than the loss ends near zero weights, and of signals that ten dropouts of a half
        pass on one in a thousand is left: the network then learns nothing.

    When it is wrong
        Regularization that lets the batch be learnt is there for other data, which no trial on one batch can speak for:
        take away what holds training back and no more.

    References
        Goodfellow, Bengio and Courville 2016, section 7.1; Srivastava et al. 2014, JMLR 15.
    """
    graph, settings = subject.graph, subject.settings
    said: list[str] = []
    if settings.weight_decay > MILD_DECAY:
        said.append(f"Lower the weight decay from {settings.weight_decay:g} to {MILD_DECAY:g}.")
        settings = replace(settings, weight_decay=MILD_DECAY)
    held = [name for name, each in graph.parameters.items() if each.penalty is not None and each.trainable]
    if held:
        said.append(f"Take the penalty from {_several(len(held), 'weight')} (first: {held[0]}).")
        free = {name: replace(graph.parameters[name], penalty=None) for name in held}
        graph = graph.replace(parameters={**graph.parameters, **free})
    strong = [(node, share) for node, share in _dropouts(graph) if share > MILD_DROPOUT]
    if strong:
        said.append(_lowered(strong))
        graph = _milder(graph, {node.name for node, _ in strong})
    if not said:
        return Inapplicable("There is no strong weight decay, no penalty and no dropout of more than a fifth.")
    values = {"decay": f"{MILD_DECAY:g}", "rate": f"{MILD_DROPOUT:g}"}
    return Change(subject.replace(graph=graph, settings=settings), tuple(said), values)


@treatment(
    "decouple-decay",
    TreatmentKind.REGULARIZATION,
    {Symptom.OVER_REGULARIZATION},
    cost=1,
    retrains=False,
    hints=Hints(
        torch="optimizer = $torch",
        keras="model.compile(optimizer=$keras, loss=model.loss)",
    ),
)
def decouple_decay(subject: Subject, evidence: Evidence) -> Outcome:
    """Decay weights apart from the gradient

    What it changes
        An optimizer that divides steps by the gradient's size becomes AdamW, with the declared weight decay and rate.

    Why it helps
        Every weight decays by the same share at each step, where a penalty is divided by the gradient's size like the
        rest: weights with large gradients hardly decay, those with small ones decay fast.

    When it is wrong
        Where the decay was tuned together with Adam: AdamW's usual decay is a hundred times a usual penalty.  A decay
        that is too strong stays so.

    References
        Loshchilov and Hutter 2019 (arXiv 1711.05101).
    """
    settings = subject.settings
    if settings.weight_decay <= 0:
        return Inapplicable("There is no weight decay.")
    if settings.optimizer not in DIVIDING - {OptimizerName.ADAMW}:
        return Inapplicable(f"The decay is no penalty that is divided: {_declared(settings)}.")
    made = replace(settings, optimizer=OptimizerName.ADAMW, momentum=None)
    decay = f"a weight decay of {settings.weight_decay:g} then acts on all weights alike"
    said = f"Train with adamw in place of {settings.optimizer}: {decay}."
    rate = settings.learning_rate or _USUAL_RATE
    written = Optimizer(OptimizerName.ADAMW, rate, weight_decay=settings.weight_decay).written()
    return Change(subject.replace(settings=made), (said,), written)


def _declared(settings: Settings) -> str:
    return f"the optimizer is {settings.optimizer}" if settings.optimizer else "no optimizer is declared"


def _dropouts(graph: Graph) -> Iterator[tuple[Node, float]]:
    for node in graph.nodes:
        if node.op == "Dropout":
            yield node, dropped_share(node, graph.constants)


def _lowered(strong: list[tuple[Node, float]]) -> str:
    node, share = strong[0]
    first = node.origin or node.name
    return f"Drop {MILD_DROPOUT:.0%} in {_several(len(strong), 'dropout')} (first: {first}, which drops {share:.0%})."


def _milder(graph: Graph, names: set[str]) -> Graph:
    """Return the graph in which these dropouts drop little: by a constant or an attribute, as each has it."""
    rate, by_input = graph.fresh("dropout_rate"), graph.opsets.get("", 0) >= _BY_INPUT
    nodes = tuple(_mild(node, rate, by_input=by_input) if node.name in names else node for node in graph.nodes)
    used = any(rate in node.inputs for node in nodes)
    held = {**graph.constants, rate: torch.tensor(MILD_DROPOUT)} if used else graph.constants
    return graph.replace(nodes=nodes, constants=held)


def _mild(node: Node, rate: str, *, by_input: bool) -> Node:
    if by_input and not node.domain:
        return replace(node, inputs=(node.inputs[0], rate, *node.inputs[2:]))
    return replace(node, attributes={**node.attributes, "ratio": MILD_DROPOUT})


def _several(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}"
