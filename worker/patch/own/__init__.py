"""The project's own format: what a layer must become, as edits of the uploaded document."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from service.contract.architecture import Layer, parse
from worker.load.architecture import lower
from worker.network.graph import Node
from worker.patch.dialect import Read
from worker.patch.edits import Drop, Edit, Put, at
from worker.patch.own.laws import redrawn
from worker.patch.own.opening import split, written_out
from worker.patch.own.stating import ACTIVATIONS, KINDS, activation, added, rescale
from worker.patch.own.wiring import inserted_at_input, inserted_behind, left_out
from worker.patch.places import NoWay, Steps
from worker.patch.survey import Crowded, Survey, Wanted

_SETTINGS: Final = {"optimizer", "learning_rate", "momentum", "weight_decay", "clipping", "loss"}
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
            yield from inserted_at_input(document, each.behind, rescale(survey.after, each))

    def settings(self, document: Any, changed: Mapping[str, Any]) -> Iterator[Edit]:  # noqa: ANN401, ARG002  JSON
        """Yield the edits of how the network is to be trained."""
        return (Put((name,), value) for name, value in changed.items())

    def remark(self, document: Any, changed: Mapping[str, Any]) -> str:  # noqa: ANN401, ARG002  JSON
        """Return nothing: each setting has a field of its own."""
        return ""

    def opened(self, document: Any, survey: Survey, stuck: Sequence[NoWay]) -> Sequence[Edit]:  # noqa: ANN401
        """Return edits that write blocks out, all at once, and then part repetitions, one by one."""
        crowded = [each for each in stuck if isinstance(each, Crowded)]
        written = [written_out(document, each.steps, survey) for each in crowded]
        if not all(written):
            raise crowded[written.index([])]
        found = [edit for edits in written for edit in edits] or split(document, stuck[0].steps, survey)
        if not found:
            raise stuck[0]
        return found


def _edited(document: Any, steps: Steps, one: Wanted, survey: Survey) -> Iterator[Edit]:  # noqa: ANN401  JSON
    """Yield the edits that make a layer what it must become."""
    layer = at(document, steps)
    if one.activation is not None:
        yield from _exchanged(layer, steps, one.activation)
    elif one.left_out:
        yield from _left_out(document, layer, steps)
    if one.redrawn:
        yield from redrawn(layer, steps, survey)
    for each in one.behind:
        if survey.inside(each.behind):
            message = f"The layer {layer['kind']} has no place for a norm inside it."
            raise Crowded(message, steps)
        yield from inserted_behind(document, steps, added(survey.after, each))


def _exchanged(layer: dict[str, Any], steps: Steps, node: Node) -> Iterator[Edit]:
    """Exchange a layer that is an activation, or the activation of a greater one."""
    stated = activation(node)
    if layer["kind"] in ACTIVATIONS:
        yield from (Drop((*steps, key)) for key in layer.keys() - stated.keys() - {"name", "inputs"})
        yield from (Put((*steps, key), value) for key, value in stated.items() if layer.get(key) != value)
    elif len(stated) == 1 and _valid({**layer, "activation": stated["kind"]}):
        yield Put((*steps, "activation"), stated["kind"])
    else:
        message = f"The layer {layer['kind']} cannot say that its activation is {stated['kind']}."
        raise Crowded(message, steps)


def _left_out(document: Any, layer: dict[str, Any], steps: Steps) -> Iterator[Edit]:  # noqa: ANN401  JSON
    if layer["kind"] in ACTIVATIONS:
        yield from left_out(document, steps)
    elif "activation" in layer and KINDS[layer["kind"]].model_fields["activation"].default is None:
        yield Drop((*steps, "activation"))
    else:
        message = f"The layer {layer['kind']} cannot leave its activation out."
        raise Crowded(message, steps)


def _valid(layer: dict[str, Any]) -> bool:
    try:
        _LAYER.validate_json(json.dumps(layer), strict=True)
    except ValidationError:
        return False
    return True
