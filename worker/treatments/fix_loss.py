"""The loss that fits the head."""

from dataclasses import replace

import torch

from service.contract.words import LossName, Mode, Symptom, TreatmentKind
from worker.head import LAYOUT, choose, last_operator, source
from worker.network.edit import exchange
from worker.network.graph import Graph
from worker.network.run import Program
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Inapplicable, Outcome, treatment


@treatment("fix-loss", TreatmentKind.LOSS, {Symptom.LOSS_MISMATCH}, cost=1, retrains=False)
def fix_loss(subject: Subject, evidence: Evidence) -> Outcome:
    """Use the loss that fits the head

    What it changes
        The loss is chosen by the model's last operator and the targets, and reads the logits before a softmax or
        sigmoid. A softmax over a single unit, or an activation that cannot reach the targets, is left out.

    Why it helps
        A loss that applies its own softmax to probabilities flattens its gradient; a head that cannot reach the targets
        has a floor under its loss.

    When it is wrong
        Where the loss is fixed by the task, change the head instead.

    References
        Goodfellow et al. 2016, Deep Learning, section 6.2.2.
    """
    graph, changes = subject.graph, []
    operator, _, _ = last_operator(graph, subject.output)
    single = operator == "Softmax" and evidence.loss.head_width == 1
    if single or evidence.loss.unreachable > 0:
        graph = _without_activation(graph, subject.output)
        changes.append(f"Leave out the {operator} at the end.")
    head = choose(
        graph, _output(subject, graph), subject.target, LossName.AUTO, output=subject.output, seed=subject.seed
    )
    if head.loss.name == subject.loss.name and head.output == subject.output and not changes:
        return Inapplicable(f"The loss {subject.loss.name} fits this head already.")
    changes.append(f"Train with {head.loss.name} on {head.output}.")
    return Change(
        subject.replace(
            graph=graph.replace(outputs=(head.output,)),
            batch=replace(subject.batch, target=head.target),
            loss=head.loss,
            output=head.output,
            declared_loss=False,
        ),
        tuple(changes),
    )


def _without_activation(graph: Graph, output: str) -> Graph:
    """Return the graph with its last operator but reshapes and casts, the head's activation, left out."""
    node = source(graph, output, LAYOUT)
    if node is None:
        return graph
    return exchange(graph, {node.name: replace(node, op="Identity", inputs=node.inputs[:1], attributes={})})


def _output(subject: Subject, graph: Graph) -> torch.Tensor:
    generator = torch.Generator(subject.device).manual_seed(subject.seed)
    with torch.no_grad():
        found = Program(graph, subject.device).run(
            subject.batch.inputs, training=subject.mode is Mode.TRAIN, generator=generator
        )
    return found[subject.output]
