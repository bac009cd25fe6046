"""Neighbouring layers brought to one scale, with the network's function kept."""

from collections.abc import Mapping, Sequence
from math import exp, log
from typing import Final

from service.contract.words import Symptom, TreatmentKind
from worker.criticality import redrawable, scaled_to
from worker.network.fans import fans
from worker.network.graph import Graph, Node
from worker.network.layers import Layer
from worker.network.scaled import times
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

_HOMOGENEOUS: Final = frozenset(
    {"Relu", "LeakyRelu", "PRelu", "Identity", "Dropout", "Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze"}
    | {"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"}
)
"""What multiplies its output by s > 0 where its input is."""
_APART: Final = 2.0
"""Factor between the scales of neighbours from which they are re-balanced."""
HINTS: Final = Hints(
    torch="""
        layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
        for one, two in zip(layers, layers[1:]):  # only where nothing but ReLU stands between them
            s = (one.weight.data.norm() / two.weight.data.norm()) ** 0.5
            one.weight.data.div_(s), one.bias.data.div_(s), two.weight.data.mul_(s)
    """,
    keras="""
        layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
        for one, two in zip(layers, layers[1:]):  # only where nothing but ReLU stands between them
            s = (keras.ops.norm(one.kernel) / keras.ops.norm(two.kernel)) ** 0.5
            one.kernel.assign(one.kernel / s), one.bias.assign(one.bias / s), two.kernel.assign(two.kernel * s)
    """,
)


@treatment(
    "rescale-weights",
    TreatmentKind.INIT,
    {Symptom.POOR_INIT_SCALE, Symptom.STALLED_TRAINING, Symptom.UNSTABLE_LEARNING_RATE, Symptom.GRADIENT_SPIKES},
    cost=2,
    retrains=False,
    hints=HINTS,
)
def rescale_weights(subject: Subject, evidence: Evidence) -> Outcome:
    """Bring neighbouring layers to one scale without changing the function

    What it changes
        Between layers with nothing but rectifiers, pools and reshapes between them, a factor is moved from the kernel
        that is too large to that which is too small, until all are equally far from the critical scale of their
        activation; biases follow.  The network computes what it did.

    Why it helps
        A layer scaled up and its neighbour scaled down compute the same, but a gradient step changes the small one too
        much and the large one too little: its relative update grows with the square of the factor.

    When it is wrong
        Adam's steps do not follow the gradient's size, so it gains less by this.  Behind other activations the function
        would change; there, nothing is done.

    References
        Neyshabur, Salakhutdinov and Srebro 2015 (Path-SGD, arXiv 1506.02617); Dinh et al. 2017 (arXiv 1703.04933).
    """
    graph = subject.graph
    moved = {name: factor for chain in _chains(graph) for name, factor in _factors(graph, chain).items()}
    if not moved:
        return Inapplicable("No neighbouring layers with rectifiers between them differ in scale by a factor of 2.")
    changed = {name: times(graph.parameters[name], factor) for name, factor in moved.items()}
    kernels = [name for name in moved if any(layer.kernel == name for layer in redrawable(graph))]
    largest = max(kernels, key=lambda name: abs(log(moved[name])))
    sentence = (
        f"Multiply {len(kernels)} kernels by factors whose product is 1 (the largest change: {largest}, by "
        f"{moved[largest]:.3g}), and biases with them; the network computes the same."
    )
    return Change(subject.replace(graph=graph.replace(parameters={**graph.parameters, **changed})), (sentence,))


def _chains(graph: Graph) -> list[list[Layer]]:
    """Return the runs of layers, two or more, of which each feeds the next and nothing else."""
    readers: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for value in node.inputs:
            readers.setdefault(value, []).append(node)
    layers = [layer for layer in redrawable(graph) if _alone(graph, layer, readers)]
    by_node = {layer.node.name: layer for layer in layers}
    ends = {layer.kernel: _next(graph, layer, readers) for layer in layers}
    chains, fed = list[list[Layer]](), set(ends.values())
    for layer in layers:
        if layer.node.name not in fed:
            chain = [layer]
            while (after := by_node.get(ends[chain[-1].kernel])) is not None:
                chain.append(after)
            chains.append(chain)
    return [chain for chain in chains if len(chain) > 1]


def _alone(graph: Graph, layer: Layer, readers: Mapping[str, Sequence[Node]]) -> bool:
    """Whether a layer's kernel and bias are read once, trainable, and not zero."""
    names = [name for name in (layer.kernel, layer.bias) if name]
    once = all(len(readers.get(name, ())) == 1 and graph.parameters[name].trainable for name in names)
    kernel = graph.parameters[layer.kernel].value
    return once and bool(kernel.isfinite().all()) and bool(kernel.any())


def _next(graph: Graph, layer: Layer, readers: Mapping[str, Sequence[Node]]) -> str:
    """Return the node of the layer that alone reads what one gives, through homogeneous operators; "" for none."""
    value = layer.output
    while len(found := readers.get(value, ())) == 1 and value not in graph.outputs and found[0].inputs[0] == value:
        (node,) = found
        if node.op not in _HOMOGENEOUS or node.domain:
            return node.name
        value = node.outputs[0]
    return ""


def _factors(graph: Graph, chain: Sequence[Layer]) -> dict[str, float]:
    """Return what each weight of a chain is multiplied by; nothing where all are near one scale."""
    sizes = [log(_size(graph, layer)) for layer in chain]
    middle = sum(sizes) / len(sizes)
    if max(sizes) - min(sizes) < log(_APART):
        return {}
    found, passed = dict[str, float](), 0.0
    for layer, size in zip(chain, sizes, strict=True):
        found[layer.kernel] = exp(middle - size)
        passed += middle - size
        if layer.bias:
            found[layer.bias] = exp(passed)
    return found


def _size(graph: Graph, layer: Layer) -> float:
    """Return the root of a kernel's variance times its fan-in, by the critical one."""
    kernel = graph.parameters[layer.kernel].value
    fan = fans(tuple(kernel.shape), layer.node.op, transposed=layer.transposed).into
    return float((kernel.double().square().mean() * fan / scaled_to(graph, layer).weights).sqrt())
