"""The loss that fits the head."""

from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from service.contract.words import LossName, Mode, Symptom, TreatmentKind
from worker.head import LAYOUT, SOFTMAXES, Head, choose, last_operator, source
from worker.loss import BINARY, class_axis
from worker.network.edit import exchange
from worker.network.graph import Graph, Node
from worker.network.run import Program
from worker.probe.evidence import Evidence
from worker.probe.misfits import Misfit, Pair, misfit, under_squash
from worker.probe.reach import reach
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

_NUMBERS: Final = frozenset({LossName.MSE, LossName.MAE, LossName.HUBER})
_LOGITS: Final = SOFTMAXES | {"Sigmoid"}
"""Operators that read logits."""
_ONE_AXIS: Final = 13
"""Opset from which a softmax runs along one axis."""
_CALLED: Final = {
    LossName.CROSS_ENTROPY: ("cross_entropy", "SparseCategoricalCrossentropy(from_logits=True)"),
    LossName.PROBABILITY_CROSS_ENTROPY: ("cross_entropy", "SparseCategoricalCrossentropy()"),
    LossName.NLL: ("nll_loss", "SparseCategoricalCrossentropy()"),
    LossName.BCE: ("binary_cross_entropy", "BinaryCrossentropy()"),
    LossName.BCE_WITH_LOGITS: ("binary_cross_entropy_with_logits", "BinaryCrossentropy(from_logits=True)"),
    LossName.MSE: ("mse_loss", "MeanSquaredError()"),
    LossName.MAE: ("l1_loss", "MeanAbsoluteError()"),
    LossName.HUBER: ("huber_loss", "Huber()"),
}
"""The losses in torch.nn.functional and in keras.losses."""
_MODULES: Final = {"Relu": "ReLU", "HardSigmoid": "Hardsigmoid", "LeakyRelu": "LeakyReLU", "Elu": "ELU", "Selu": "SELU"}
"""Activations that torch.nn spells otherwise."""


@treatment(
    "fix-loss",
    TreatmentKind.LOSS,
    {Symptom.LOSS_MISMATCH},
    cost=1,
    retrains=False,
    hints=Hints(
        torch="""
            *_, (name, last) = model.named_children()
            setattr(model, name, nn.Identity() if isinstance(last, nn.$activation) else last)
            loss_fn = nn.functional.$torch  # it reads what the model gives without that
        """,
        keras="""
            model.layers[-1].activation = keras.activations.$kept  # as the loss wants it
            model.compile(optimizer="adam", loss=keras.losses.$keras)
        """,
    ),
)
def fix_loss(subject: Subject, evidence: Evidence) -> Outcome:
    """Use the loss that fits the head

    What it changes
        The loss is chosen by the targets and the model's last operator, and reads the logits before a softmax or
        sigmoid.  Left out is an activation that the loss cannot bear (a rectifier or tanh before a loss that applies
        its own softmax or sigmoid), that cannot reach the targets, that stands there twice, or that is a softmax over
        a single unit.  A softmax over the batch runs over the classes instead.

    Why it helps
        A loss that applies its own softmax to probabilities flattens its gradient by p(1 − p) once more; a head that
        cannot reach the targets has a floor under its loss; a softmax over one unit has no gradient at all.

    When it is wrong
        Where the loss is fixed by the task, change the head instead.  A head whose activation is left out gives logits
        or plain numbers: whoever reads its output as probabilities has to apply the softmax or sigmoid there.

    References
        Goodfellow et al. 2016, Deep Learning, section 6.2.2; Golik et al. 2013 on the gradient of squared errors.
    """
    graph, changes = _along_classes(subject, evidence)
    cuts = []
    while (found := _misfit(subject, graph, evidence)) is not None:
        graph = exchange(graph, {found.node.name: _passing(found.node)})
        cuts.append(found)
    changes += [f"Leave out {cut.node.op} ({cut.node.origin or cut.node.name}): {cut.why}." for cut in cuts]
    head = _chosen(subject, graph)
    if head.loss.name == subject.loss.name and head.output == subject.output and not changes:
        return Inapplicable(f"The loss {subject.loss.name} fits this head already.")
    if (head.loss.name, head.output) != (subject.loss.name, subject.output):
        changes.append(_said(subject, graph, head))
    fixed = subject.replace(
        graph=graph.replace(outputs=(head.output,)),
        batch=replace(subject.batch, target=head.target),
        loss=replace(head.loss, scale=subject.loss.scale),
        output=head.output,
        declared_loss=False,
    )
    return Change(fixed, tuple(changes), _blanks(subject, head, cuts))


def _said(subject: Subject, graph: Graph, head: Head) -> str:
    was = "" if head.loss.name == subject.loss.name else f" instead of {subject.loss.name}"
    if head.output == subject.output:
        return f"Train with {head.loss.name}{was} on {head.output}."
    node = source(graph, subject.output, LAYOUT)
    return f"Train with {head.loss.name}{was} on {head.output}, which {node.op if node else 'the head'} reads."


def _passing(node: Node) -> Node:
    return replace(node, op="Identity", domain="", inputs=node.inputs[:1], attributes={})


def _misfit(subject: Subject, graph: Graph, evidence: Evidence) -> Misfit | None:
    """Return the next activation to leave out; None where the head is sound."""
    pair = Pair(subject.loss.name, _values(subject, graph), subject.target)
    found = misfit(graph, subject.output, pair)
    node = source(graph, subject.output, LAYOUT)
    if found is not None or node is None or node.op not in _LOGITS:
        return found
    again = evidence.loss.squashed_again
    if any(each.name == again and each.op == node.op for each in graph.nodes):
        return Misfit(node, f"{again} applies a {node.op} to what it gives")
    return under_squash(graph, node)


def _along_classes(subject: Subject, evidence: Evidence) -> tuple[Graph, list[str]]:
    """Return the graph with a softmax over the batch turned along the classes, and what is to be said of that."""
    graph, values = subject.graph, _values(subject, subject.graph)
    node = source(graph, subject.output, LAYOUT)
    node = source(graph, node.inputs[0], LAYOUT) if node is not None and node.op == "Log" else node
    if node is None or node.op not in SOFTMAXES or values.dim() < 2 or evidence.loss.of_pairs:  # noqa: PLR2004
        return graph, []
    axis = node.attributes.get("axis")
    if not isinstance(axis, int) or axis % values.dim():
        return graph, []
    right = class_axis(values) if graph.opsets.get("", 0) >= _ONE_AXIS else 1
    turned = replace(node, attributes={**node.attributes, "axis": right})
    said = f"Let {node.op} ({node.origin or node.name}) run along axis {right}, the classes, instead of the batch."
    return exchange(graph, {node.name: turned}), [said]


def _chosen(subject: Subject, graph: Graph) -> Head:
    values = _values(subject, graph)
    return choose(
        graph, values, subject.target, _asked(subject, graph, values), output=subject.output, seed=subject.seed
    )


def _asked(subject: Subject, graph: Graph, values: Tensor) -> LossName:
    """Return the loss of the family that the caller, or the target, speaks for; `auto` where the head decides."""
    name, target, operator = subject.loss.name, subject.target, last_operator(graph, subject.output)[0]
    bits = bool(((target == 0) | (target == 1)).all())
    if name in _NUMBERS:
        shares = operator == "Softmax" and target.shape == values.shape and values.dim() > 1
        return LossName.AUTO if bits and (operator == "Sigmoid" or shares) else name
    if name in BINARY:
        low, high = reach(graph, subject.output)
        plain = LossName.BCE if name is LossName.BCE and low >= 0 and high <= 1 else LossName.BCE_WITH_LOGITS
        return LossName.AUTO if operator in {"Sigmoid", "Softmax"} else plain
    if operator in SOFTMAXES:
        return LossName.AUTO
    return name if name is LossName.PROBABILITY_CROSS_ENTROPY and operator == "Sigmoid" else LossName.CROSS_ENTROPY


def _blanks(subject: Subject, head: Head, cuts: list[Misfit]) -> dict[str, str]:
    torch_name, keras_name = _CALLED[head.loss.name]
    node = source(subject.graph, subject.output, LAYOUT)
    module = _MODULES.get(node.op, node.op) if node is not None else ""
    gone = bool(cuts) or head.output != subject.output
    kept = "softmax" if head.loss.name is LossName.NLL else "sigmoid" if head.loss.name is LossName.BCE else "linear"
    return {
        "torch": torch_name,
        "keras": keras_name,
        "activation": module if gone and hasattr(torch.nn, module) else "Identity",
        "kept": kept,
    }


def _values(subject: Subject, graph: Graph) -> Tensor:
    generator = torch.Generator(subject.device).manual_seed(subject.seed)
    with torch.no_grad():
        found = Program(graph, subject.device).run(
            subject.batch.inputs, training=subject.mode is Mode.TRAIN, generator=generator
        )
    return found[subject.output]
