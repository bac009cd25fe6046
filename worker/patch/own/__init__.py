"""The project's own format: what a layer must become, as edits of the uploaded document."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from service.contract.architecture import Layer, parse
from worker.load.architecture import lower
from worker.network.graph import Node
from worker.patch.dialect import Read
from worker.patch.difference import Difference
from worker.patch.edits import Drop, Edit, Put, at
from worker.patch.own.laws import redrawn
from worker.patch.own.opening import split, written_out
from worker.patch.own.stating import ACTIVATIONS, KINDS, activation, norm, rescale
from worker.patch.own.wiring import inserted_at_input, inserted_behind, left_out
from worker.patch.places import Atlas, Steps
from worker.patch.wanted import Crowded, NoWay, Uneven, Wanted, alike_at, at_inputs, inside, wanted

_SETTINGS: Final = {"optimizer", "learning_rate", "momentum", "weight_decay", "clipping", "loss"}
_LAYER: Final = TypeAdapter[Any](Layer)


class Own:
    """The project's own format."""

    def read(self, document: Any) -> Read:  # noqa: ANN401  JSON
        """Return what a document says."""
        architecture = parse(json.dumps(document).encode())
        return Read(lower(architecture, seed=0), architecture.model_dump(mode="json", include=_SETTINGS))

    def edits(self, document: Any, difference: Difference, atlas: Atlas) -> Iterator[Edit]:  # noqa: ANN401  JSON
        """Yield the edits that make the difference."""
        places = wanted(difference, atlas)
        for steps in dict.fromkeys(place.steps for place in places):
            one = alike_at(places, steps, difference, atlas)
            yield from _edited(document, steps, one, difference, atlas)
        for each in at_inputs(difference):
            yield from inserted_at_input(document, each.behind, rescale(difference.after, each))

    def settings(self, document: Any, changed: Mapping[str, Any]) -> Iterator[Edit]:  # noqa: ANN401, ARG002  JSON
        """Yield the edits of how the network is to be trained."""
        return (Put((name,), value) for name, value in changed.items())

    def opened(self, document: Any, difference: Difference, atlas: Atlas, stuck: NoWay) -> Sequence[Edit]:  # noqa: ANN401
        """Return edits that write a place out; raise `stuck` where there are none."""
        found: list[Edit] = []
        if isinstance(stuck, Uneven):
            found = split(document, stuck.steps, difference, atlas)
        elif isinstance(stuck, Crowded):
            found = written_out(document, stuck.steps, difference, atlas)
        if not found:
            raise stuck
        return found


def _edited(
    document: Any,  # noqa: ANN401  JSON
    steps: Steps,
    one: Wanted,
    difference: Difference,
    atlas: Atlas,
) -> Iterator[Edit]:
    """Yield the edits that make a layer what it must become."""
    layer = at(document, steps)
    if one.activation is not None:
        yield _exchanged(layer, steps, one.activation)
    elif one.left_out:
        yield from _left_out(document, layer, steps)
    if one.redrawn:
        yield from redrawn(layer, steps, difference, atlas)
    for each in one.behind:
        if inside(difference.before, atlas, each.behind):
            message = f"A {layer['kind']} has no place for a norm inside it."
            raise Crowded(message, steps)
        yield from inserted_behind(document, steps, norm(difference.after, each))


def _exchanged(layer: dict[str, Any], steps: Steps, node: Node) -> Edit:
    """Exchange a layer that is an activation, or the activation of a greater one."""
    stated = activation(node)
    if layer["kind"] in ACTIVATIONS:
        kept = {key: layer[key] for key in ("name", "inputs") if key in layer}
        return Put(steps, {"kind": stated["kind"], **kept, **stated})
    if len(stated) == 1 and _valid({**layer, "activation": stated["kind"]}):
        return Put((*steps, "activation"), stated["kind"])
    message = f"A {layer['kind']} cannot say that its activation is {stated['kind']}."
    raise Crowded(message, steps)


def _left_out(document: Any, layer: dict[str, Any], steps: Steps) -> Iterator[Edit]:  # noqa: ANN401  JSON
    if layer["kind"] in ACTIVATIONS:
        yield from left_out(document, steps)
    elif "activation" in layer and KINDS[layer["kind"]].model_fields["activation"].default is None:
        yield Drop((*steps, "activation"))
    else:
        message = f"A {layer['kind']} cannot leave its activation out."
        raise Crowded(message, steps)


def _valid(layer: dict[str, Any]) -> bool:
    try:
        _LAYER.validate_json(json.dumps(layer), strict=True)
    except ValidationError:
        return False
    return True
