"""Norms inserted, or exchanged."""

from collections.abc import Collection
from typing import Final

from service.contract.words import Symptom, TreatmentKind
from worker.network.edit import insert_behind
from worker.network.graph import Graph, Node, Parameter
from worker.network.laws import Constant
from worker.network.layers import Layer, weight_layers
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Inapplicable, Outcome, treatment

_SMALLEST_BATCH = 16
CONVOLUTIONS: Final = frozenset({"Conv", "ConvTranspose"})
_HAS_LAYER_NORM = 17
"""Opset from which there is LayerNormalization."""
_HAS_STANDARDIZATION = 9
"""Opset from which there is MeanVarianceNormalization, which stands in for it before."""
_SYMPTOMS = {
    Symptom.VANISHING_GRADIENT,
    Symptom.EXPLODING_GRADIENT,
    Symptom.SATURATED_UNITS,
    Symptom.DEAD_UNITS,
    Symptom.STALLED_TRAINING,
    Symptom.NON_FINITE,
    Symptom.INPUT_SCALE,
    Symptom.RANK_COLLAPSE,
}


@treatment("layer-norm", TreatmentKind.NORMALIZATION, _SYMPTOMS, cost=4, retrains=False)
def layer_norm(subject: Subject, evidence: Evidence) -> Outcome:
    """Normalize each sample before the activations

    What it changes
        Between each hidden weight layer and its activation stands a layer norm (over all features of a sample, with
        a gain and a bias per feature), unless a norm stands there already.

    Why it helps
        Pre-activations keep unit scale whatever the weights' scale; behind it ReLU has χ₁ = 1 exactly.

    When it is wrong
        A sigmoid behind a layer norm still vanishes (χ₁ = .15).  It does not restore information that is lost.

    References
        Ba et al. 2016 (arXiv 1607.06450).
    """
    if subject.graph.opsets.get("", 0) < _HAS_STANDARDIZATION:
        return Inapplicable(f"Its operators need opset {_HAS_STANDARDIZATION} or newer.")
    return _inserted(subject, "layer norm")


@treatment("batch-norm", TreatmentKind.NORMALIZATION, _SYMPTOMS, cost=4, retrains=False)
def batch_norm(subject: Subject, evidence: Evidence) -> Outcome:
    """Normalize each feature over the batch before the activations

    What it changes
        Between each hidden weight layer and its activation stands a batch norm, unless a norm stands there already.

    Why it helps
        Units can neither die nor saturate over a whole batch, and larger learning rates are borne.

    When it is wrong
        Without skip connections it explodes, whatever the weights: ReLU by 1.21 per layer.  It needs 16 samples or
        more that are alike, and not in recurrent networks; dense layers along a sequence are left alone.

    References
        Ioffe and Szegedy 2015; Yang et al. 2019 (arXiv 1902.08129).
    """
    if subject.batch.size < _SMALLEST_BATCH:
        return Inapplicable(
            f"A batch norm needs {_SMALLEST_BATCH} samples or more; the batch holds {subject.batch.size}."
        )
    sequences = {place.node for place in evidence.places if len(place.shape) > 2}  # noqa: PLR2004  samples, features
    return _inserted(subject, "batch norm", skip=sequences)


def _inserted(subject: Subject, kind: str, skip: Collection[str] = ()) -> Outcome:
    """Insert a norm behind each hidden layer; dense layers named in `skip` get none."""
    graph = subject.graph
    layers = [layer for layer in weight_layers(graph) if layer.after is not None and layer.norm is None]
    layers = [layer for layer in layers if layer.node.op in CONVOLUTIONS or layer.node.name not in skip]
    done = []
    for layer in layers:
        features = _features(graph, layer)
        if features is None:
            continue
        graph = _with_norm(graph, layer, features, kind)
        done.append(layer.node.origin or layer.node.name)
    if not done:
        return Inapplicable("Every hidden weight layer has a norm already, or there is none.")
    return Change(
        subject.replace(graph=graph), (f"Insert a {kind} behind {len(done)} weight layers (first: {done[0]}).",)
    )


def _features(graph: Graph, layer: Layer) -> int | None:
    """Return the layer's number of output features; None where it has no axis for them."""
    shape = graph.parameters[layer.kernel].value.shape
    if len(shape) < 2:  # noqa: PLR2004  a vector: one number per sample
        return None
    if layer.node.op == "Conv":
        return shape[0]
    if layer.node.op == "ConvTranspose":
        group = layer.node.attributes.get("group", 1)
        return shape[1] * group if isinstance(group, int) else None
    return shape[0] if layer.transposed else shape[-1]


def _with_norm(graph: Graph, layer: Layer, features: int, kind: str) -> Graph:
    stem = graph.fresh(f"{layer.node.name}.{kind.replace(' ', '_')}")
    convolution, kernel = layer.node.op in CONVOLUTIONS, graph.parameters[layer.kernel].value
    axes = kernel.dim() if convolution else 2
    batch = kind == "batch norm"
    shape = (features,) if batch or not convolution else (features,) + (1,) * (axes - 2)
    gain, bias = f"{stem}.gain", f"{stem}.bias"
    parameters = {
        **graph.parameters,
        gain: Parameter(kernel.new_ones(shape), Constant(shape, 1.0), origin=layer.node.origin),
        bias: Parameter(kernel.new_zeros(shape), Constant(shape, 0.0), origin=layer.node.origin),
    }
    constants = dict(graph.constants)
    if batch:
        constants |= {
            f"{stem}.mean": kernel.new_zeros(features),
            f"{stem}.variance": kernel.new_ones(features),
        }

    def make(value: str, fresh: str) -> tuple[Node, ...]:
        if batch:
            inputs = (value, gain, bias, f"{stem}.mean", f"{stem}.variance")
            return (Node("BatchNormalization", inputs, (fresh,), stem, {"epsilon": 1e-5}, origin=layer.node.origin),)
        first = 1 if convolution else -1
        if graph.opsets.get("", 0) >= _HAS_LAYER_NORM:
            return (
                Node(
                    "LayerNormalization", (value, gain, bias), (fresh,), stem, {"axis": first}, origin=layer.node.origin
                ),
            )
        return _primitive(value, fresh, gain, bias, axes=tuple(range(1, axes)) if convolution else (-1,))

    return insert_behind(graph.replace(parameters=parameters, constants=constants), layer.output, make)


def _primitive(value: str, fresh: str, gain: str, bias: str, *, axes: tuple[int, ...]) -> tuple[Node, ...]:
    """Return a layer norm of operators that files older than LayerNormalization (opset 17) may hold."""
    unit, scaled = f"{fresh}.unit", f"{fresh}.scaled"
    return (
        Node("MeanVarianceNormalization", (value,), (unit,), unit, {"axes": axes}),
        Node("Mul", (unit, gain), (scaled,), scaled),
        Node("Add", (scaled, bias), (fresh,), f"{fresh}.shifted"),
    )
