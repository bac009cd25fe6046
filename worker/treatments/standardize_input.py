"""Inputs brought to unit scale."""

import torch

from service.contract.words import Symptom, TreatmentKind
from worker.network.edit import insert_behind
from worker.network.graph import Node
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, treatment


@treatment(
    "standardize-input",
    TreatmentKind.DATA,
    {Symptom.INPUT_SCALE, Symptom.SATURATED_UNITS, Symptom.DEAD_UNITS},
    cost=1,
    retrains=False,
)
def standardize_input(subject: Subject, evidence: Evidence) -> Change | None:
    """Standardize the inputs

    What it changes
        From each float input its mean over the batch is subtracted, and the rest divided by its standard deviation.

    Why it helps
        Initializations and learning rates assume inputs of zero mean and unit scale.

    When it is wrong
        Mean and scale of one batch stand for those of the data set; take them from the data set.

    References
        LeCun et al. 1998, Efficient BackProp, section 4.3.
    """
    graph, changes = subject.graph, []
    for given in evidence.inputs:
        if given.std <= 0:
            continue
        mean, std = graph.fresh(f"{given.name}.mean"), graph.fresh(f"{given.name}.std")
        where = subject.device
        constants = {mean: torch.tensor(given.mean, device=where), std: torch.tensor(given.std, device=where)}
        graph = graph.replace(
            constants={**graph.constants, **{name: value.float() for name, value in constants.items()}}
        )

        def make(value: str, fresh: str, mean: str = mean, std: str = std) -> tuple[Node, ...]:
            return (
                Node("Sub", (value, mean), (f"{fresh}.centred",), f"{value}.centre"),
                Node("Div", (f"{fresh}.centred", std), (fresh,), f"{value}.scale"),
            )

        graph = insert_behind(graph, given.name, make)
        changes.append(f"Subtract {given.mean:.3g} from {given.name} and divide by {given.std:.3g}.")
    return Change(subject.replace(graph=graph), tuple(changes)) if changes else None
