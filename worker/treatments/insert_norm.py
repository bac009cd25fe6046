"""Norms inserted between weight layers and their activations."""

from collections.abc import Collection
from math import prod
from typing import Final

from service.contract.words import Symptom, TreatmentKind
from worker.network.edit import insert_behind
from worker.network.graph import Graph, Node, Parameter
from worker.network.laws import Constant
from worker.network.layers import Layer, weight_layers
from worker.network.norming import BROADCASTS, HAS_STANDARDIZATION, Norming, groups, with_rms_norm
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

_SMALLEST_BATCH: Final = 16
_CONVOLUTIONS: Final = frozenset({"Conv", "ConvTranspose"})
_SYMPTOMS: Final = {
    Symptom.VANISHING_GRADIENT,
    Symptom.EXPLODING_GRADIENT,
    Symptom.SATURATED_UNITS,
    Symptom.DEAD_UNITS,
    Symptom.STALLED_TRAINING,
    Symptom.NON_FINITE,
    Symptom.INPUT_SCALE,
    Symptom.RANK_COLLAPSE,
    Symptom.MISSING_NORMALIZATION,
}


def _in_keras(layer: str, norm: str) -> str:
    return f"""
        def normed(it, k=keras.layers, old=model.layers[:-1]):
            own = it in old and isinstance(it, k.{layer}) and it.get_config() | {{"activation": None}}
            return keras.Sequential([it.from_config(own), k.{norm}, k.Activation(it.activation)]) if own else it
        model = keras.models.clone_model(model, clone_function=normed)
        """


@treatment(
    "layer-norm",
    TreatmentKind.NORMALIZATION,
    _SYMPTOMS,
    cost=4,
    retrains=False,
    hints=Hints(
        torch="""
        for name, layer in list(model.named_children())[:-1]:  # every hidden layer
            if isinstance(layer, nn.Linear):
                setattr(model, name, nn.Sequential(layer, nn.LayerNorm(layer.out_features)))
        """,
        keras=_in_keras("Dense", "LayerNormalization()"),
    ),
)
def layer_norm(subject: Subject, evidence: Evidence) -> Outcome:
    """Normalize each sample before the activations

    What it changes
        Between each hidden weight layer and its activation stands a layer norm (over all features of a sample, with
        a gain and a bias per feature), unless a norm stands there already.

    Why it helps
        Pre-activations keep unit scale whatever the weights' scale; behind it ReLU has χ₁ = 1 exactly.

    When it is wrong
        A sigmoid behind a layer norm still vanishes (χ₁ = .15), and a chaotic tanh still explodes (χ₁ = 1.18).  It does
        not restore information that is lost.  Of two features it leaves a sign.

    References
        Ba et al. 2016 (arXiv 1607.06450).
    """
    if _opset(subject) < HAS_STANDARDIZATION:
        return Inapplicable(f"Its operators need opset {HAS_STANDARDIZATION} or newer.")
    return _inserted(subject, evidence, "layer norm")


@treatment(
    "batch-norm",
    TreatmentKind.NORMALIZATION,
    _SYMPTOMS,
    cost=4,
    retrains=False,
    hints=Hints(
        torch="""
        for name, layer in list(model.named_children())[:-1]:  # every hidden layer
            if isinstance(layer, nn.Conv2d):
                setattr(model, name, nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels)))
        """,
        keras=_in_keras("Conv2D", "BatchNormalization()"),
    ),
)
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
    dense = _named(subject.graph, convolutions=False)
    sequences = {place.node for place in evidence.places if len(place.shape) > 2}  # noqa: PLR2004  samples, features
    return _inserted(subject, evidence, "batch norm", skip=dense & sequences)


@treatment(
    "group-norm",
    TreatmentKind.NORMALIZATION,
    _SYMPTOMS | {Symptom.GRADIENT_NOISE},
    cost=4,
    retrains=False,
    hints=Hints(
        torch="""
        for name, layer in list(model.named_children())[:-1]:  # every hidden layer
            if isinstance(layer, nn.Conv2d):
                setattr(model, name, nn.Sequential(layer, nn.GroupNorm(layer.out_channels // 2, layer.out_channels)))
        """,
        keras=_in_keras("Conv2D", "GroupNormalization(2)"),
    ),
)
def group_norm(subject: Subject, evidence: Evidence) -> Outcome:
    """Normalize groups of channels of each sample before the activations

    What it changes
        Between each hidden convolution and its activation stands a group norm, unless a norm stands there already: up
        to 32 groups, each of two channels and 16 numbers at least, with a gain and a bias per channel.

    Why it helps
        Pre-activations keep unit scale at any batch size: each sample is normalized by itself, in training and
        evaluation alike.

    When it is wrong
        With large batches a batch norm often trains better.  Dense layers get none: their features have no groups.
        Groups of a few numbers leave signs.

    References
        Wu and He 2018 (arXiv 1803.08494).
    """
    if _opset(subject) < BROADCASTS:
        return Inapplicable(f"Its operators need opset {BROADCASTS} or newer.")
    return _inserted(subject, evidence, "group norm", skip=_named(subject.graph, convolutions=False))


@treatment(
    "rms-norm",
    TreatmentKind.NORMALIZATION,
    _SYMPTOMS,
    cost=4,
    retrains=False,
    hints=Hints(
        torch="""
        for name, layer in list(model.named_children())[:-1]:  # every hidden layer
            if isinstance(layer, nn.Linear):
                setattr(model, name, nn.Sequential(layer, nn.RMSNorm(layer.out_features)))
        """,
        keras=_in_keras("Dense", "RMSNormalization()"),
    ),
)
def rms_norm(subject: Subject, evidence: Evidence) -> Outcome:
    """Bring each sample's pre-activations to unit root mean square

    What it changes
        Between each hidden dense layer and its activation, a sample's features (a step's, in a sequence) are divided by
        their root mean square and multiplied by a gain per feature, unless a norm stands there already.

    Why it helps
        The scale of a layer no longer depends on its weights', as behind a layer norm, at less cost: the mean stays.

    When it is wrong
        Where a common offset is what saturates or kills units it stays, and a layer norm is what helps.  A sigmoid
        behind it still vanishes.  Convolutions get none.

    References
        Zhang and Sennrich 2019 (arXiv 1910.07467).
    """
    if _opset(subject) < BROADCASTS:
        return Inapplicable(f"Its operators need opset {BROADCASTS} or newer.")
    subject = subject.replace(graph=with_rms_norm(subject.graph))
    return _inserted(subject, evidence, "root mean square norm", skip=_named(subject.graph, convolutions=True))


def _opset(subject: Subject) -> int:
    return subject.graph.opsets.get("", 0)


def _named(graph: Graph, *, convolutions: bool) -> set[str]:
    """Return the names of the weight layers that are convolutions, or of those that are none."""
    return {layer.node.name for layer in weight_layers(graph) if (layer.node.op in _CONVOLUTIONS) is convolutions}


def _inserted(subject: Subject, evidence: Evidence, kind: str, skip: Collection[str] = ()) -> Outcome:
    """Insert a norm behind each hidden layer but those named in `skip`."""
    graph = subject.graph
    shapes = {place.node: place.shape for place in evidence.places}
    layers = [layer for layer in weight_layers(graph) if layer.after is not None and layer.norm is None]
    done = []
    for layer in (each for each in layers if each.node.name not in skip):
        features, positions = _features(graph, layer), prod(shapes.get(layer.node.name, (0, 0, 0))[2:])
        if features is None or (features == 1 and not _varies(layer, kind, positions)):
            continue
        graph = _with_norm(graph, layer, features, kind, positions)
        done.append(layer.node.origin or layer.node.name)
    if not done:
        which = {"group norm": "convolution", "root mean square norm": "dense layer"}.get(kind, "weight layer")
        return Inapplicable(f"Every hidden {which} has a norm already, or there is none.")
    number = f"{len(done)} weight layer{'s' if len(done) > 1 else ''}"
    return Change(subject.replace(graph=graph), (f"Insert a {kind} behind {number} (first: {done[0]}).",))


def _varies(layer: Layer, kind: str, positions: int) -> bool:
    """Whether a norm leaves more than a sign of a single feature."""
    return kind == "batch norm" or (layer.node.op in _CONVOLUTIONS and positions > 1)


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


def _with_norm(graph: Graph, layer: Layer, features: int, kind: str, positions: int) -> Graph:
    stem = graph.fresh(f"{layer.node.name}.{kind.replace(' ', '_')}")
    convolution, kernel = layer.node.op in _CONVOLUTIONS, graph.parameters[layer.kernel].value
    rank = kernel.dim() if convolution else 2
    size = (features,) + (1,) * (rank - 2) if kind == "layer norm" else (features,)
    gain, bias = f"{stem}.gain", f"{stem}.bias"
    parameters = {gain: Parameter(kernel.new_ones(size), Constant(size, 1.0), origin=layer.node.origin)}
    if kind != "root mean square norm":
        parameters[bias] = Parameter(kernel.new_zeros(size), Constant(size, 0.0), origin=layer.node.origin)
    made: dict[str, Norming] = {}

    def make(value: str, fresh: str) -> tuple[Node, ...]:
        norming = made[stem] = Norming(graph, value, fresh, kernel, stem, layer.node.origin)
        if kind == "batch norm":
            norming.batch(gain, bias, features)
        elif kind == "group norm":
            norming.group(gain, bias, groups(features, positions or None), rank)
        elif kind == "layer norm":
            norming.layer(gain, bias, tuple(range(1, rank)) if convolution else (-1,))
        else:
            norming.root_mean_square(gain, features)
        return tuple(norming.nodes)

    graph = insert_behind(graph.replace(parameters={**graph.parameters, **parameters}), layer.output, make)
    return graph.replace(constants={**graph.constants, **made[stem].constants})
