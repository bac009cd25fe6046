"""Residual branches that start at zero."""

from collections.abc import Iterator
from typing import Final

from service.contract.words import Symptom, TreatmentKind
from worker.network.branches import Branch, branches
from worker.network.graph import Graph, Parameter
from worker.network.scaled import times, zeroed
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

HINTS: Final = Hints(
    torch="""
        ends = [part for name, part in model.named_modules() if name.endswith(("linear2", "out_proj", "bn2", "fc2"))]
        for layer in ends or [layer for layer in model.modules() if isinstance(layer, (nn.Linear, nn.Conv2d))][1:-1]:
            nn.init.zeros_(layer.weight)
            layer.bias is None or nn.init.zeros_(layer.bias)
    """,
    keras="""
        sums = [layer for layer in model.layers if isinstance(layer, keras.layers.Add)]
        for layer in {tensor._keras_history[0] for each in sums for tensor in each.input}:
            layer.set_weights([0 * weight for weight in layer.get_weights()])
    """,
)


@treatment(
    "zero-init-branch",
    TreatmentKind.RESIDUAL,
    {
        Symptom.EXPLODING_GRADIENT,
        Symptom.VANISHING_GRADIENT,
        Symptom.RESIDUAL_SCALE,
        Symptom.NON_FINITE,
        Symptom.STALLED_TRAINING,
        Symptom.UNSTABLE_LEARNING_RATE,
        Symptom.POOR_INIT_SCALE,
    },
    cost=2,
    retrains=True,
    hints=HINTS,
)
def zero_init_branch(subject: Subject, evidence: Evidence) -> Outcome:
    """Start the residual branches at zero

    What it changes
        The last weights of each of the L residual branches become 0, with their bias; where a branch ends in a norm,
        the norm's scale and shift do.  In branches without a norm the m - 1 weight layers before are multiplied by
        L^(-1 / (2m - 2)), as Fixup has it.

    Why it helps
        Every block starts as the identity, so signals and gradients pass any number of them unchanged, and a step of
        training changes the whole no more than it would a shallow network.

    When it is wrong
        Weights before the last ones get no gradient in the first step, by design.  Trained weights are lost.

    References
        Zhang, Dauphin and Ma 2019 (Fixup, arXiv 1901.09321); Goyal et al. 2017 (arXiv 1706.02677), section 5.1.
    """
    graph, found = subject.graph, branches(subject.graph)
    ending = [(branch, names) for branch in found if (names := _ends(graph, branch))]
    if not any(bool(graph.parameters[name].value.any()) for _, names in ending for name in names):
        return Inapplicable("No residual branch ends in trainable weights, or all start at zero already.")
    ends = {name: zeroed(graph.parameters[name]) for _, names in ending for name in names}
    scaled = {
        name: parameter
        for branch, _ in ending
        for name, parameter in _scaled(graph, branch, len(ending))
        if name not in ends
    }
    first = ending[0][0].join.origin or ending[0][0].join.name
    sentences = [f"Set the last weights of {len(ending)} residual branches (the first added at {first}) to 0."]
    if scaled:
        sentences.append(
            f"Scale {len(scaled)} kernels before them down by Fixup's rule, L^(-1/(2m-2)), L = {len(ending)}."
        )
    return Change(
        subject.replace(graph=graph.replace(parameters={**graph.parameters, **scaled, **ends})), tuple(sentences)
    )


def _ends(graph: Graph, branch: Branch) -> list[str]:
    """Return the parameters that the end of a branch is proportional to, bias included; none where some are frozen."""
    if branch.last is not None:
        names = [branch.last.kernel, branch.last.bias or ""]
    elif branch.norm is not None:
        names = list(branch.norm.inputs[1:3])
    else:
        return []
    given = [name for name in names if name]
    trainable = all(name in graph.parameters and graph.parameters[name].trainable for name in given)
    return given if given and trainable else []


def _scaled(graph: Graph, branch: Branch, count: int) -> Iterator[tuple[str, Parameter]]:
    """Yield the kernels of a branch without a norm, but for its last, scaled down."""
    before = [layer for layer in branch.layers if layer is not branch.last]
    if branch.normed or not before:
        return
    factor = count ** (-1 / (2 * len(before)))
    for layer in before:
        yield layer.kernel, times(graph.parameters[layer.kernel], factor)
