"""Keras JSON: what a layer must become, as edits of what `model.to_json()` printed."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from service.descriptions import parse
from service.keras import Description
from service.keras.base import KerasLayer
from service.keras.layers import layers
from service.keras.making import registered
from worker.load.keras_model import lower
from worker.network.graph import Law, Node
from worker.network.laws import Fans, Orthogonal, Stacked, keras_fans
from worker.network.layers import NORMS
from worker.patch.cells import within
from worker.patch.dialect import Read
from worker.patch.edits import Drop, Edit, Put, at
from worker.patch.insertion import number
from worker.patch.keras.compiling import compiled, remark
from worker.patch.keras.functional import as_functional
from worker.patch.keras.stating import (
    ACTIVATION_LAYERS,
    Json,
    activation,
    added,
    initializer,
    norm,
    plain,
    regularizer,
    written,
)
from worker.patch.keras.wiring import Chained, Fresh, inserted_at_input, inserted_behind, is_older, name_of, summed
from worker.patch.places import NoWay, Steps
from worker.patch.recipe import Drawn, Gained, recipe
from worker.patch.survey import Crowded, Survey, Times

_INSIDE: Final = frozenset({"LSTM", "GRU", "SimpleRNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"})
"""Layers whose activation is not that of their output."""
_NORM_LAYERS: Final = frozenset({"BatchNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization"})
_PASSING: Final = _NORM_LAYERS | {"Dropout", "SpatialDropout1D", "SpatialDropout2D", "AlphaDropout", "GaussianNoise"}
"""Layers in place of which a linear activation can stand."""
_LINEAR: Final[tuple[str, Json]] = ("Activation", {"activation": "linear"})
_COMMON: Final = ("name", "trainable", "dtype")
_JOINT: Final = frozenset({"MultiHeadAttention", "GroupedQueryAttention", "GroupQueryAttention", "EinsumDense"})
"""Layers whose fans Keras counts by other axes than the last two."""


class Keras:
    """Keras 3's JSON, and tf.keras 2's."""

    def read(self, document: Any) -> Read:  # noqa: ANN401  JSON
        """Return what a document says."""
        description = parse(json.dumps(document).encode())
        if not isinstance(description, Description):
            message = "The document is no Keras model."
            raise NoWay(message)
        said = description.training._asdict()
        clipping = description.training.clipping
        return Read(lower(description, seed=None), said | {"clipping": clipping and clipping.model_dump(mode="json")})

    def edits(self, document: Any, steps: Steps, survey: Survey) -> Iterator[Edit]:  # noqa: ANN401  JSON
        """Yield the edits that make a layer what it must become."""
        yield from _edited(document, steps, survey)
        yield from _followed(document, steps, survey)
        yield from _joined(document, steps, survey)

    def at_inputs(self, document: Any, survey: Survey) -> Iterator[Edit]:  # noqa: ANN401  JSON
        """Yield the edits that put layers behind the model's inputs."""
        for each in survey.at_inputs():
            fresh = [Fresh(*one) for one in added(survey.after, each)]
            (source,) = [given for given in survey.before.inputs if given.name == each.behind]
            sizes = [size if isinstance(size, int) else None for size in source.shape]
            yield from inserted_at_input(document, each.behind, sizes, fresh)

    def settings(self, document: Any, changed: Mapping[str, Any]) -> Iterator[Edit]:  # noqa: ANN401  JSON
        """Yield the edits of how the network is to be trained."""
        return compiled(document, changed)

    def remark(self, document: Any, changed: Mapping[str, Any]) -> str:  # noqa: ANN401  JSON
        """Say where an optimizer is added to hold other settings."""
        return remark(document, changed)

    def opened(self, document: Any, survey: Survey, stuck: Sequence[NoWay]) -> Sequence[Edit]:  # noqa: ANN401
        """Return edits that give the layers' activations layers of their own, or a Sequential model sums."""
        chained = next((each for each in stuck if isinstance(each, Chained)), None)
        if chained is not None:
            return list(as_functional(document, chained.steps))
        return [edit for each in stuck for edit in _opened(document, survey, each)]

    def guesses(self, document: Any) -> Iterable[Sequence[Edit]]:  # noqa: ANN401, ARG002  JSON
        """Return none."""
        return ()


def _opened(document: Json, survey: Survey, stuck: NoWay) -> Iterator[Edit]:
    """Yield edits that give a layer's activation a layer of its own; raise `stuck` where it has none."""
    layer = at(document, stuck.steps)
    name = layer.get("config", {}).get("activation") or "linear"
    whole = layer["class_name"] in _INSIDE | ACTIVATION_LAYERS
    if not isinstance(stuck, Crowded) or whole or name == "linear":
        raise stuck
    calls = sorted({_call(times) for times in survey.times[stuck.steps]})
    fresh = Fresh("Activation", {"activation": name})
    yield Put((*stuck.steps, "config", "activation"), "linear")
    yield from inserted_behind(document, stuck.steps, [(call, [fresh]) for call in calls])


def _call(times: Times) -> int:
    """Return which call of its layer a time is."""
    return times[-1] if times else 0


def _edited(document: Json, steps: Steps, survey: Survey) -> Iterator[Edit]:
    """Yield the edits that make a layer what it must become."""
    one = survey.alike_at(steps)
    if one.activation is not None or one.left_out:
        if one.activation is not None and one.activation.op == at(document, steps)["class_name"] == "Dropout":
            yield Put((*steps, "config", "rate"), number(survey.after, one.activation, 1))
        else:
            yield from _exchanged(document, at(document, steps), steps, one.activation)
    if one.redrawn:
        yield from _redrawn(document, steps, survey)
    if one.penalized:
        yield from _penalized(document, steps, survey)


def _exchanged(document: Json, layer: Json, steps: Steps, node: Node | None) -> Iterator[Edit]:
    """Exchange a layer that is an activation, or the activation of a greater one; for a linear one without `node`."""
    kind = registered(layer)
    if kind in ACTIVATION_LAYERS or kind.startswith("ops."):
        yield from _become(document, layer, steps, *(activation(node) if node else _LINEAR))
        return
    if kind in _PASSING or (kind in _NORM_LAYERS and node is not None and node.op in NORMS):
        yield from _become(document, layer, steps, *(norm(node) if node else _LINEAR))
        return
    if kind == "SimpleRNN" and node is not None and node.op == "RNN":
        yield Put((*steps, "config", "activation"), plain(within(node)))
        return
    if "activation" not in layers[kind].model_fields or kind in _INSIDE:
        message = f"The layer {kind} has no activation that could be exchanged."
        raise Crowded(message, steps)
    try:
        yield Put((*steps, "config", "activation"), plain(node) if node else "linear")
    except NoWay as stuck:
        raise Crowded(str(stuck), steps) from None


def _become(document: Json, layer: Json, steps: Steps, kind: str, fields: Json) -> Iterator[Edit]:
    """Yield the edits that make a layer one of another class, under its name and on its inputs."""
    config = {key: layer["config"][key] for key in _COMMON if key in layer["config"]}
    news = written("layers", kind, {**config, **fields}, is_older(document))
    yield from (Put((*steps, key), value) for key, value in news.items() if layer.get(key) != value)
    yield from (Drop((*steps, key)) for key in layer.keys() & {"build_config"})


def _followed(document: Json, steps: Steps, survey: Survey) -> Iterator[Edit]:
    """Yield the edits that put layers behind the calls of a layer."""
    calls = []
    for times, one in survey.wanted[steps].items():
        for each in one.behind:
            if survey.inside(each.behind):
                message = f"The layer {registered(at(document, steps))} has no place for a norm inside it."
                raise Crowded(message, steps)
            calls.append((_call(times), [Fresh(*one) for one in added(survey.after, each)]))
    if calls:
        yield from inserted_behind(document, steps, calls)


def _joined(document: Json, steps: Steps, survey: Survey) -> Iterator[Edit]:
    """Yield the edits that add values from before to what the calls of a layer give."""
    for times, one in survey.wanted[steps].items():
        for each in one.joined:
            if survey.inside(each.behind):
                message = "A layer has no place for a sum before its activation."
                raise Crowded(message, steps)
            past = survey.place_of(each.past)
            if past is not None and past.steps[:-1] != steps[:-1]:
                message = "What is added stands in another model of the file."
                raise NoWay(message, steps)
            ref = (name_of(at(document, past.steps)), _call(past.times), 0) if past else (each.past, 0, 0)
            yield from summed(document, steps, _call(times), ref)


def _penalized(document: Json, steps: Steps, survey: Survey) -> Iterator[Edit]:
    """Yield the edits that state the regularizers of a layer's weights."""
    kind = registered(at(document, steps))
    names = survey.difference.penalized.intersection(survey.weights.get(steps, ()))
    found = {
        _field(layers[kind], survey.atlas.roles[name], "regularizer"): survey.after.parameters[name].penalty
        for name in sorted(names)
    }
    if "" in found:
        message = f"The layer {kind} has no regularizer for one of its weights."
        raise NoWay(message, steps)
    for field, penalty in found.items():
        yield Put((*steps, "config", field), regularizer(penalty, older=is_older(document)))


def _redrawn(document: Json, steps: Steps, survey: Survey) -> Iterator[Edit]:
    """Yield the edits that state the initializers of a layer's weights."""
    kind = registered(at(document, steps))
    found = survey.drawn(steps, lambda name: _fans(survey.before.parameters[name].law, kind))
    changed = {survey.atlas.roles[name] for name in survey.redrawn_at(steps)}
    for field in sorted({_field(layers[kind], role) for role in changed}):
        roles = [role for role in found if _field(layers[kind], role) == field]
        weights = [one for role in roles for listed in found[role].values() for one in listed]
        _whole(weights, kind, steps)
        said = recipe(weights)
        if not field or said is None:
            message = (
                f"The layer {kind} draws weights by one initializer that are to follow several laws, or another one."
            )
            raise Crowded(message, steps)
        if kind in _JOINT and isinstance(said, Gained):
            message = f"Keras lays the kernels of {kind} out by heads, and draws no {said.kind} matrix of them all."
            raise NoWay(message, steps)
        yield Put((*steps, "config", field), initializer(said, older=is_older(document)))


def _whole(weights: Sequence[Drawn], kind: str, steps: Steps) -> None:
    """Pass weights that are drawn as one; NoWay where gates are to be drawn one by one."""
    for one in weights:
        if isinstance(one.law, Stacked) and [*map(type, one.law.laws)].count(Orthogonal) > 1:
            message = f"Keras draws the gates of {kind} as one matrix; they are to be orthogonal one by one."
            raise NoWay(message, steps)


def _field(kind: type[KerasLayer], role: str, what: str = "initializer") -> str:
    """Return the initializer of a weight: `recurrent_initializer` draws `recurrent_kernel`; "" where none does.

    A kernel for which none is named is drawn by the only one beside the bias's, as in DepthwiseConv2D.
    """
    name = role.rpartition(".")[2]
    stems = [each.removesuffix(f"_{what}") for each in kind.model_fields if each.endswith(f"_{what}")]
    fitting = [stem for stem in stems if name.startswith(stem)] or [stem for stem in stems if stem != "bias"]
    if len(fitting) > 1:
        fitting = [max(fitting, key=len)] if name.startswith(max(fitting, key=len)) else []
    return f"{fitting[0]}_{what}" if fitting else ""


def _fans(law: Law | None, kind: str) -> Fans | None:
    """Return the fans that Keras counts in a weight, by the law that draws it; None where it counts otherwise."""
    while law is not None and hasattr(law, "law"):
        law = law.law
    shape = getattr(law, "shape", None)
    return keras_fans(shape) if isinstance(shape, tuple) and kind not in _JOINT else None
