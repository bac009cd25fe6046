"""The project's own format: what a layer must become, as edits of the uploaded document."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NoReturn

from pydantic import TypeAdapter, ValidationError

from service.contract.architecture import Layer, parse
from worker.load.architecture import lower
from worker.network.graph import Node
from worker.network.layers import NORMS
from worker.patch.cells import within
from worker.patch.dialect import Read, without_field
from worker.patch.difference import Inserted
from worker.patch.edits import Drop, Edit, Put, at
from worker.patch.insertion import number
from worker.patch.own.laws import redrawn
from worker.patch.own.moving import norms_in_front
from worker.patch.own.opening import split, unrolled, written_out
from worker.patch.own.stating import ACTIVATIONS, KINDS, activation, added, norm
from worker.patch.own.wiring import Spread, inserted_at_input, inserted_behind, joined, left_out
from worker.patch.places import NoWay, Steps
from worker.patch.survey import Crowded, Survey, Wanted

_SETTINGS: Final = {"optimizer", "learning_rate", "momentum", "weight_decay", "clipping", "loss", "warmup"}
_NORM_KINDS: Final = frozenset({"batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm"})
_NOISE_KINDS: Final = frozenset({"dropout", "spatial_dropout", "alpha_dropout", "gaussian_dropout", "gaussian_noise"})
_HEAD_NORMS: Final = frozenset({"LayerNormalization", "RMSNormalization"})
_LAYER: Final = TypeAdapter[Any](Layer)


class Own:
    """The project's own format."""

    def read(self, document: Any) -> Read:  # noqa: ANN401  JSON
        """Return what a document says."""
        architecture = parse(json.dumps(document).encode())
        return Read(lower(architecture, seed=None), architecture.model_dump(mode="json", include=_SETTINGS))

    def edits(self, document: Any, steps: Steps, survey: Survey) -> Iterator[Edit]:  # noqa: ANN401  JSON
        """Yield the edits that make a layer what it must become."""
        return _edited(document, steps, survey.alike_at(steps), survey)

    def at_inputs(self, document: Any, survey: Survey) -> Iterator[Edit]:  # noqa: ANN401  JSON
        """Yield the edits that put layers behind the network's inputs."""
        for each in survey.at_inputs():
            yield from inserted_at_input(document, each.behind, added(survey.after, each))

    def settings(self, document: Any, changed: Mapping[str, Any]) -> Iterator[Edit]:  # noqa: ANN401, ARG002  JSON
        """Yield the edits of how the network is to be trained."""
        for name, value in changed.items():
            if name not in _SETTINGS:
                raise NoWay(without_field(name))
            yield Put((name,), value)

    def remark(self, document: Any, changed: Mapping[str, Any]) -> str:  # noqa: ANN401, ARG002  JSON
        """Return nothing: each setting has a field of its own."""
        return ""

    def opened(self, document: Any, survey: Survey, stuck: Sequence[NoWay]) -> Sequence[Edit]:  # noqa: ANN401
        """Return edits that write blocks out, all at once, and then part repetitions, one by one."""
        spread = next((each for each in stuck if isinstance(each, Spread)), None)
        if spread is not None:
            return next((edits for steps in spread.places if (edits := unrolled(document, steps))), None) or _no(spread)
        crowded = [each for each in stuck if isinstance(each, Crowded)]
        written = [written_out(document, each.steps, survey) for each in crowded]
        if not all(written):
            raise crowded[written.index([])]
        found = [edit for edits in written for edit in edits] or split(document, stuck[0].steps, survey)
        if not found:
            raise stuck[0]
        return found

    def guesses(self, document: Any) -> Iterable[Sequence[Edit]]:  # noqa: ANN401  JSON
        """Yield the edits that move norms to the front of residual branches."""
        yield norms_in_front(document)


def _no(way: NoWay) -> NoReturn:
    raise way


def _edited(document: Any, steps: Steps, one: Wanted, survey: Survey) -> Iterator[Edit]:  # noqa: ANN401  JSON
    """Yield the edits that make a layer what it must become."""
    layer = at(document, steps)
    if one.penalized:
        yield from _penalized(steps, survey)
    if one.activation is not None:
        yield from _exchanged(layer, steps, one.activation, survey)
    elif one.left_out:
        yield from _left_out(document, layer, steps)
    if one.redrawn:
        yield from redrawn(layer, steps, survey)
    yield from _followed(document, steps, one, survey)
    yield from joined(document, steps, survey)


def _penalized(steps: Steps, survey: Survey) -> Iterator[Edit]:
    """Yield the edits by which each kernel adds to the loss what those of one layer do."""
    names = survey.difference.penalized.intersection(survey.weights.get(steps, ()))
    penalties = {survey.after.parameters[name].penalty for name in names}
    penalty = penalties.pop()
    if penalties or (penalty and (penalty.rows or penalty.columns)):
        message = "The file's format has one penalty for all kernels, of magnitudes and squares."
        raise NoWay(message, steps)
    given = (("l1", penalty.l1), ("l2", penalty.l2)) if penalty else ()
    yield Put(("penalty",), {name: value for name, value in given if value} or None)


def _followed(document: Any, steps: Steps, one: Wanted, survey: Survey) -> Iterator[Edit]:  # noqa: ANN401  JSON
    """Yield the edits that put layers behind one."""
    layer = at(document, steps)
    inside = [each for each in one.behind if survey.inside(each.behind)]
    if inside and "query_key_norm" in KINDS[layer["kind"]].model_fields and _of_heads(inside):
        yield Put((*steps, "query_key_norm"), norm(inside[0].nodes[-1])["kind"])
    elif inside:
        message = f"The layer {layer['kind']} has no place for {_named(inside[0].nodes[-1])} inside it."
        raise Crowded(message, steps)
    for each in one.behind:
        if each not in inside:
            yield from inserted_behind(document, steps, added(survey.after, each))


def _named(node: Node) -> str:
    return "a norm" if node.op in NORMS else f"the operator {node.op}"


def _of_heads(inside: Sequence[Inserted]) -> bool:
    """Whether what is inserted within an attention are norms of its queries and keys, alike."""
    ops = [[node.op for node in each.nodes] for each in inside]
    return len(ops) > 1 and len(ops) % 2 == 0 and all(each == ops[0] for each in ops) and ops[0][-1] in _HEAD_NORMS


def _exchanged(layer: dict[str, Any], steps: Steps, node: Node, survey: Survey) -> Iterator[Edit]:
    """Exchange a layer that is an activation, a norm or a dropout, or the activation of a greater one."""
    if layer["kind"] == node.op.lower() == "dropout":
        yield Put((*steps, "rate"), number(survey.after, node, 1))
        return
    if layer["kind"] in _NORM_KINDS and node.op in NORMS:
        yield from _become(layer, steps, norm(node), keep={"scale", "shift"})
        return
    if layer["kind"] == node.op.lower() == "rnn":
        yield Put((*steps, "activation"), activation(within(node))["kind"])
        return
    stated = activation(node)
    if layer["kind"] in ACTIVATIONS:
        yield from _become(layer, steps, stated)
    elif len(stated) == 1 and _valid({**layer, "activation": stated["kind"]}):
        yield Put((*steps, "activation"), stated["kind"])
    else:
        message = f"The layer {layer['kind']} cannot say that its activation is {stated['kind']}."
        raise Crowded(message, steps)


def _become(
    layer: dict[str, Any], steps: Steps, stated: dict[str, Any], keep: Collection[str] = frozenset()
) -> Iterator[Edit]:
    """Yield the edits that make a layer another, under its name and on its inputs."""
    kept = {"name", "inputs"} | ({*keep} & KINDS[stated["kind"]].model_fields.keys())
    yield from (Drop((*steps, key)) for key in layer.keys() - stated.keys() - kept)
    yield from (Put((*steps, key), value) for key, value in stated.items() if layer.get(key) != value)


def _left_out(document: Any, layer: dict[str, Any], steps: Steps) -> Iterator[Edit]:  # noqa: ANN401  JSON
    if layer["kind"] in ACTIVATIONS | _NORM_KINDS | _NOISE_KINDS:
        yield from left_out(document, steps)
    elif "activation" in layer and KINDS[layer["kind"]].model_fields["activation"].default is None:
        yield Drop((*steps, "activation"))
    else:
        message = f"The layer {layer['kind']} cannot leave a part of it out."
        raise Crowded(message, steps)


def _valid(layer: dict[str, Any]) -> bool:
    try:
        _LAYER.validate_json(json.dumps(layer), strict=True)
    except ValidationError:
        return False
    return True
