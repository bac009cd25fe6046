"""Inputs brought to unit scale."""

from torch import Tensor

from service.contract.words import Symptom, TreatmentKind
from worker.network.edit import insert_behind
from worker.network.graph import Graph, Node
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
    for name, value in subject.batch.inputs.items():
        finite = value[value.isfinite()].double() if value.is_floating_point() else value[:0].double()
        if not finite.numel() or not bool(finite.std(correction=0)):
            continue
        mean, std = finite.mean(), finite.std(correction=0)
        graph = insert_behind(_with_constants(graph, name, mean, std), name, _standardized)
        changes.append(f"Subtract {float(mean):.3g} from {name} and divide by {float(std):.3g}.")
    return Change(subject.replace(graph=graph), tuple(changes)) if changes else None


def _with_constants(graph: Graph, name: str, mean: Tensor, std: Tensor) -> Graph:
    constants = {f"{name}.mean": mean.float(), f"{name}.std": std.float()}
    return graph.replace(constants={**graph.constants, **constants})


def _standardized(value: str, fresh: str) -> tuple[Node, ...]:
    return (
        Node("Sub", (value, f"{value}.mean"), (f"{fresh}.centred",), f"{value}.centre"),
        Node("Div", (f"{fresh}.centred", f"{value}.std"), (fresh,), f"{value}.scale"),
    )
