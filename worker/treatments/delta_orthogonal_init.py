"""Orthogonal initialization of convolutions."""

from collections.abc import Sequence
from typing import Final

from service.contract.words import Symptom, TreatmentKind
from worker.criticality import orthonormal, redrawable, scaled_to, started
from worker.network.graph import Graph, Law
from worker.network.laws import DeltaOrthogonal, Stacked
from worker.network.layers import Layer
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

HINTS: Final = Hints(
    torch="""
        for conv in (m for m in model.modules() if isinstance(m, nn.Conv2d) and m.weight.shape[0] >= m.weight.shape[1]):
            nn.init.zeros_(conv.weight)
            nn.init.orthogonal_(conv.weight.data[:, :, conv.kernel_size[0] // 2, conv.kernel_size[1] // 2], gain=$gain)
            conv.bias is None or nn.init.zeros_(conv.bias)
    """,
    keras="""
        for conv in [each for each in model.layers if isinstance(each, keras.layers.Conv2D)]:
            w, *rest = conv.get_weights()
            window = keras.ops.one_hot(w[..., 0, 0].size // 2, w[..., 0, 0].size).reshape(*w.shape[:2], 1, 1)
            conv.set_weights([window * keras.initializers.Orthogonal($gain)(w.shape[2:]), *(0 * b for b in rest)])
    """,
)
_CONVOLUTION: Final = 3
"""Fewest axes of a convolution's kernel."""


@treatment(
    "delta-orthogonal-init",
    TreatmentKind.INIT,
    {
        Symptom.VANISHING_GRADIENT,
        Symptom.EXPLODING_GRADIENT,
        Symptom.STALLED_TRAINING,
        Symptom.POOR_INIT_SCALE,
        Symptom.RANK_COLLAPSE,
    },
    cost=2,
    retrains=True,
    hints=HINTS,
)
def delta_orthogonal_init(subject: Subject, evidence: Evidence) -> Outcome:
    """Draw convolutions orthogonal in the middle of their window

    What it changes
        Kernels with an odd window and no fewer outputs than inputs become an orthogonal matrix in the middle of the
        window, zero around it, times the root of the critical variance of the activation at hand (√2 for ReLU).
        Dense layers and other convolutions get orthogonal matrices of the same gain.  Biases are drawn as by
        critical-init.

    Why it helps
        Every position keeps its signal's length, and zeros at the border take nothing away: with tanh, plain networks
        of ten thousand layers were trained from such a start.

    When it is wrong
        At the start no position sees its neighbours.  Behind a rectifier isometry is lost.  Trained weights are lost.

    References
        Xiao et al. 2018 (arXiv 1806.05393).
    """
    graph, layers = subject.graph, redrawable(subject.graph)
    centred = [layer for layer in layers if _fits(graph, layer)]
    if not centred:
        return Inapplicable("No convolution has an odd window and no fewer outputs than inputs.")
    started_at = started(
        graph, layers, subject.seed, lambda layer: _law(graph, layer), lambda layer: scaled_to(graph, layer).biases
    )
    gain = scaled_to(graph, centred[0]).weights ** 0.5
    sentence = _sentence(graph, layers, centred)
    return Change(subject.replace(graph=started_at), (sentence,), {"gain": f"{gain:.4g}"})


def _sentence(graph: Graph, layers: Sequence[Layer], centred: Sequence[Layer]) -> str:
    gains = ", ".join(sorted({f"{scaled_to(graph, layer).weights ** 0.5:.3g}" for layer in centred}))
    first, others = centred[0].node.origin or centred[0].node.name, len(layers) - len(centred)
    also = f", and {others} other kernels at the scale that belongs to them" if others else ""
    return f"Draw {len(centred)} convolutions (first: {first}) orthogonal in mid-window, times {gains}{also}."


def _fits(graph: Graph, layer: Layer) -> bool:
    kernel = graph.parameters[layer.kernel]
    shape = kernel.value.shape
    odd = len(shape) >= _CONVOLUTION and all(size % 2 for size in shape[2:])
    whole = layer.node.op == "Conv" and bool(layer.node.attributes.get("group", 1) == 1)
    return whole and odd and not isinstance(kernel.law, Stacked) and shape[0] >= shape[1]


def _law(graph: Graph, layer: Layer) -> Law:
    shape, variance = tuple(graph.parameters[layer.kernel].value.shape), scaled_to(graph, layer).weights
    if _fits(graph, layer):
        return DeltaOrthogonal(shape, variance**0.5)
    return orthonormal(graph, layer, variance)
