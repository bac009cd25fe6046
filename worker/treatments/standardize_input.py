"""Inputs brought to unit scale."""

import torch
from torch import Tensor

from service.contract.words import Symptom, TreatmentKind
from worker.network.edit import insert_behind
from worker.network.graph import Graph, Node
from worker.probe.evidence import Evidence
from worker.probe.inputs import prepared
from worker.subject import Subject
from worker.treatments import Change, Inapplicable, Outcome, treatment


@treatment(
    "standardize-input",
    TreatmentKind.DATA,
    {Symptom.INPUT_SCALE, Symptom.SATURATED_UNITS, Symptom.DEAD_UNITS},
    cost=1,
    retrains=False,
)
def standardize_input(subject: Subject, evidence: Evidence) -> Outcome:
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
    measured = {given.name: given for given in evidence.inputs if given.std}
    for name, value in subject.batch.inputs.items():
        finite = value[value.isfinite()].double()
        if not value.is_floating_point() or not finite.numel() or not bool(finite.std(correction=0)):
            continue
        mean, std = finite.mean(), finite.std(correction=0)
        place, what = prepared(graph, name), name
        if place != name and name in measured:
            mean, std = (torch.tensor(each, dtype=mean.dtype) for each in (measured[name].mean, measured[name].std))
            what = f"what {name} is rescaled to"
        graph = _standardized(graph, place, mean.to(value.dtype), std.to(value.dtype))
        changes.append(f"Subtract {float(mean):.3g} from {what} and divide by {float(std):.3g}.")
    if not changes:
        return Inapplicable("No float input varies.")
    return Change(subject.replace(graph=graph), tuple(changes))


def _standardized(graph: Graph, name: str, mean: Tensor, std: Tensor) -> Graph:
    middle, scale = graph.fresh(f"{name}.mean"), graph.fresh(f"{name}.std")

    def make(value: str, fresh: str) -> tuple[Node, ...]:
        return (
            Node("Sub", (value, middle), (f"{fresh}.centred",), f"{fresh}.centre"),
            Node("Div", (f"{fresh}.centred", scale), (fresh,), f"{fresh}.scale"),
        )

    return insert_behind(graph.replace(constants={**graph.constants, middle: mean, scale: std}), name, make)
