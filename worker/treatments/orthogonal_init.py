"""Orthogonal initialization."""

from service.contract.words import Symptom, TreatmentKind
from worker.criticality import redraw
from worker.network.layers import weight_layers
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Inapplicable, Outcome, treatment


@treatment(
    "orthogonal-init",
    TreatmentKind.INIT,
    {Symptom.VANISHING_GRADIENT, Symptom.EXPLODING_GRADIENT, Symptom.STALLED_TRAINING},
    cost=2,
    retrains=True,
)
def orthogonal_init(subject: Subject, evidence: Evidence) -> Outcome:
    """Draw orthogonal weights at the critical scale of their activation

    What it changes
        As critical-init, with orthogonal matrices in dense layers.

    Why it helps
        An orthogonal matrix keeps every direction's length, not only the mean; deep tanh and linear networks become
        isometric.

    When it is wrong
        A rectifier halves the gain whatever the matrix, and isometry is lost.  Trained weights are lost.

    References
        Saxe et al. 2014; Pennington et al. 2017 (arXiv 1711.04735).
    """
    layers = tuple(layer for layer in weight_layers(subject.graph) if layer.node.op in {"Gemm", "MatMul"})
    if not layers:
        return Inapplicable("No dense layer has trainable weights.")
    graph = redraw(subject.graph, layers, subject.seed, orthogonal=True)
    return Change(subject.replace(graph=graph), (f"Draw {len(layers)} kernels as scaled orthogonal matrices.",))
