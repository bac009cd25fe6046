"""The project's own format: what a layer must become, as edits of the uploaded document."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, get_args

from pydantic import TypeAdapter, ValidationError

from service.contract.architecture import Layer, parse
from service.contract.architecture.activation import Activations
from worker.load.architecture import lower
from worker.network.graph import Graph, Node, Parameter
from worker.network.laws import Constant, Shifted, Stacked
from worker.patch.dialect import Read
from worker.patch.difference import Difference, Inserted
from worker.patch.edits import Drop, Edit, Put, at
from worker.patch.normal import AFFINE, normal
from worker.patch.places import Atlas, Place, Steps
from worker.patch.recipe import Absolute, Fixed, Gained, Recipe, Scaling, recipe
from worker.patch.same_law import simple
from worker.patch.wanted import NoWay, Wanted, at_inputs, drawn, roles, times, wanted
from worker.patch.wiring import inserted_at_input, inserted_behind, left_out

ACTIVATIONS: Final = frozenset(
    kind for family in get_args(Activations) for kind in get_args(family.model_fields["kind"].annotation)
)
_PLAIN: Final = {
    "Relu": "relu",
    "Selu": "selu",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Mish": "mish",
    "HardSwish": "hard_swish",
}
_NUMBERED: Final = {"LeakyRelu": "leaky_relu", "Elu": "elu"}
_FORGET: Final = 2
_NAMED: Final = {(2.0, "normal"): "he_normal", (1.0, "normal"): "lecun_normal"} | {
    (2.0, "uniform"): "he_uniform",
    (1.0, "uniform"): "lecun_uniform",
}
_LAYER: Final = TypeAdapter[Any](Layer)


class Uneven(NoWay):
    """The times of a repetition must become different things."""


class Crowded(NoWay):
    """One layer of the file stands for parts that must become different things."""


def edits(document: Any, difference: Difference, atlas: Atlas) -> Iterator[Edit]:  # noqa: ANN401  JSON
    """Yield the edits that make the difference; NoWay where the format cannot say it at some place."""
    places = wanted(difference, atlas)
    every = times(difference, atlas)
    for steps in dict.fromkeys(place.steps for place in places):
        yield from _layer_edits(document, steps, _alike(places, steps, every), difference, atlas)
    for each in at_inputs(difference):
        yield from inserted_at_input(document, each.behind, _rescale(difference.after, each))


def _alike(places: Mapping[Place, Wanted], steps: Steps, every: Mapping[Steps, set[tuple[int, ...]]]) -> Wanted:
    """Return what all times of a layer must become; Uneven where they differ."""
    sides = {place.times: each for place, each in places.items() if place.steps == steps}
    said = {time: _said(each) for time, each in sides.items()}
    first, *others = said.values()
    if any(each != first for each in others) or every.get(steps, sides.keys()) - sides.keys():
        message = "The repetitions of one layer are changed differently."
        raise Uneven(message, steps)
    return next(iter(sides.values()))


def _said(one: Wanted) -> tuple[Any, ...]:
    """Return what a layer must become, without the names of nodes."""
    operator = one.activation and (one.activation.op, dict(one.activation.attributes))
    behind = [[(node.op, dict(node.attributes)) for node in each.nodes] for each in one.behind]
    return operator, one.left_out and one.activation is None, behind


def _layer_edits(
    document: Any,  # noqa: ANN401  JSON
    steps: Steps,
    one: Wanted,
    difference: Difference,
    atlas: Atlas,
) -> Iterator[Edit]:
    layer = at(document, steps)
    if one.activation is not None:
        yield _activation(layer, steps, one.activation)
    elif one.left_out:
        yield from _left_out(document, layer, steps)
    if one.redrawn:
        yield from _redrawn(layer, steps, difference, atlas)
    for each in one.behind:
        yield from inserted_behind(document, steps, norm(difference.after, each))


def _activation(layer: dict[str, Any], steps: Steps, node: Node) -> Edit:
    """Exchange a layer that is an activation, or the activation of a greater one."""
    stated = _stated(node, steps)
    if layer["kind"] in ACTIVATIONS:
        kept = {key: layer[key] for key in ("name", "inputs") if key in layer}
        return Put(steps, {"kind": stated["kind"], **kept, **stated})
    for value in (stated["kind"], stated):
        if _valid({**layer, "activation": value}) and (value is stated or len(stated) == 1):
            return Put((*steps, "activation"), value)
    message = f"A {layer['kind']} cannot say that its activation is {stated['kind']}."
    raise Crowded(message, steps)


def _stated(node: Node, steps: Steps) -> dict[str, Any]:
    if node.op in _PLAIN:
        return {"kind": _PLAIN[node.op]}
    if node.op in _NUMBERED:
        return {"kind": _NUMBERED[node.op], "alpha": node.attributes.get("alpha", {"Elu": 1.0}.get(node.op, 0.01))}
    message = f"No layer of the file's format is the operator {node.op}."
    raise NoWay(message, steps)


def _left_out(document: Any, layer: dict[str, Any], steps: Steps) -> Iterator[Edit]:  # noqa: ANN401  JSON
    if layer["kind"] in ACTIVATIONS:
        yield from left_out(document, steps)
    elif "activation" in layer:
        yield Drop((*steps, "activation"))
    else:
        message = f"A {layer['kind']} cannot leave its activation out."
        raise Crowded(message, steps)


def norm(graph: Graph, inserted: Inserted) -> dict[str, Any]:
    """Return the layer that inserted nodes are."""
    only = normal(graph.replace(nodes=inserted.nodes, outputs=(inserted.nodes[-1].outputs[0],))).nodes
    if len(only) == 1 and only[0].op in _NORMS:
        node = only[0]
        epsilon = (
            {} if abs(float(node.attributes["epsilon"]) - 1e-5) < 1e-9 else {"epsilon": node.attributes["epsilon"]}
        )  # type: ignore[arg-type]
        return {**_NORMS[node.op], **epsilon}
    operators = ", ".join(node.op for node in inserted.nodes)
    message = f"No layer of the file's format is {operators}."
    raise NoWay(message)


_NORMS: Final[dict[str, dict[str, Any]]] = {
    "BatchNormalization": {"kind": "batch_norm"},
    "LayerNormalization": {"kind": "layer_norm"},
    "GroupNormalization": {"kind": "group_norm", "groups": 1},
}


def _rescale(graph: Graph, inserted: Inserted) -> dict[str, Any]:
    """Return the layer that nodes inserted behind an input are."""
    *_, node = normal(graph.replace(nodes=inserted.nodes, outputs=(inserted.nodes[-1].outputs[0],))).nodes
    if node.op != AFFINE or node.inputs[0] != inserted.behind:
        message = f"No layer of the file's format is what stands behind {inserted.behind}."
        raise NoWay(message)
    return {"kind": "rescale", "scale": node.attributes["scale"], "offset": node.attributes["offset"]}


def _redrawn(layer: dict[str, Any], steps: Steps, difference: Difference, atlas: Atlas) -> Iterator[Edit]:
    """State the laws of a layer's weights."""
    found = drawn(difference, atlas, steps)
    changed = {_field(atlas.roles[name]) for name in difference.redrawn if _stands(atlas, name, steps)}
    if "hidden" not in layer and layer["kind"] == "lstm" and "bias" in changed:
        yield Put((*steps, "forget_bias"), _forget(difference, atlas, steps))
        changed -= {"bias"}
    if changed - {"kernel", "bias", "recurrent"}:
        message = f"A {layer['kind']} cannot say how its {', '.join(sorted(changed))} is drawn."
        raise Crowded(message, steps)
    if not changed:
        return
    laws = {name: _one(layer, steps, name, found) for name in ("kernel", "bias", "recurrent") if roles(found, name)}
    yield Put((*steps, "init"), _init(layer.get("init"), {name: laws[name] for name in laws if name in changed}, laws))


def _stands(atlas: Atlas, name: str, steps: Steps) -> bool:
    place = atlas.parameters.get(name)
    return place is not None and place.steps == steps


def _field(role: str) -> str:
    return role.rpartition(".")[2]


def _one(layer: dict[str, Any], steps: Steps, field: str, found: Mapping[str, Any]) -> Any:  # noqa: ANN401  JSON
    """Return the law that one field states for all weights that it draws, at all times; None where none does."""
    by_time: dict[tuple[int, ...], list[Any]] = {}
    for role in roles(found, field):
        for time, each in found[role].items():
            by_time.setdefault(time, []).extend(each)
    whole = recipe([each for listed in by_time.values() for each in listed])
    if whole is not None:
        return stated(whole)
    if len(by_time) > 1 and all(recipe(listed) is not None for listed in by_time.values()):
        message = f"The repetitions of one {layer['kind']} draw their {field} by different laws."
        raise Uneven(message, steps)
    return None


def stated(found: Recipe) -> Any:  # noqa: ANN401  JSON
    """Return a law as the format states it."""
    match found:
        case Scaling():
            short = _NAMED.get((round(found.scale, 7), found.distribution)) if found.mode == "fan_in" else None
            full = {
                "law": "variance_scaling",
                "scale": found.scale,
                "mode": found.mode,
                "distribution": found.distribution,
            }
            return short or full
        case Absolute(distribution="uniform"):
            return {"law": "uniform", "low": found.first, "high": found.second}
        case Absolute():
            return {"law": found.distribution, "mean": found.first, "std": found.second}
        case Fixed():
            return {0.0: "zeros", 1.0: "ones"}.get(found.value, {"law": "constant", "value": found.value})
        case Gained():
            return found.kind if found.gain == 1 else {"law": found.kind, "gain": found.gain}


def _init(given: Any, changed: Mapping[str, Any], laws: Mapping[str, Any]) -> Any:  # noqa: ANN401  JSON
    """Return the field `init` with these laws changed; what it leaves to defaults keeps its law."""
    whole = given is None or isinstance(given, str) or "law" in given
    kept = ({"kernel": given} if given is not None else {}) if whole else dict(given)
    default = kept.get("kernel", "torch_default") in ("torch_default", {"law": "torch_default"})
    init = {**kept, **changed}
    if "bias" in laws and "bias" not in changed and "bias" not in kept and "kernel" in changed and default:
        init["bias"] = "torch_default"
    if init.get("bias") == "zeros" and init.get("kernel", "torch_default") != "torch_default":
        del init["bias"]
    return init["kernel"] if init.keys() == {"kernel"} else init


def _forget(difference: Difference, atlas: Atlas, steps: Steps) -> float:
    """Return what is added to a forget gate's bias."""
    found = {
        _shift(difference.after.parameters[name])
        for name in difference.redrawn
        if _stands(atlas, name, steps) and _field(atlas.roles[name]) == "bias"
    }
    if len(found) != 1 or None in found:
        message = "The forget gates start with biases that one number does not say."
        raise NoWay(message, steps)
    return next(each for each in found if each is not None)


def _shift(bias: Parameter) -> float | None:
    law = bias.law
    if not isinstance(law, Stacked) or len(law.laws) <= _FORGET:
        return None
    other, forget = simple(law.laws[0]), simple(law.laws[_FORGET])
    if isinstance(forget, Shifted):
        return forget.by
    return forget.value - other.value if isinstance(forget, Constant) and isinstance(other, Constant) else None


def _valid(layer: dict[str, Any]) -> bool:
    try:
        _LAYER.validate_json(json.dumps(layer), strict=True)
    except ValidationError:
        return False
    return True


class Own:
    """The project's own format."""

    def read(self, document: Any) -> Read:  # noqa: ANN401  JSON
        """Return what a document says."""
        architecture = parse(json.dumps(document).encode())
        said = architecture.model_dump(mode="json", include=_SETTINGS)
        return Read(lower(architecture, seed=0), said)

    def edits(self, document: Any, difference: Difference, atlas: Atlas) -> Iterator[Edit]:  # noqa: ANN401  JSON
        """Yield the edits that make the difference."""
        return edits(document, difference, atlas)

    def settings(self, document: Any, changed: Mapping[str, Any]) -> Iterator[Edit]:  # noqa: ANN401  JSON
        """Yield the edits of how the network is to be trained."""
        for name, value in changed.items():
            yield Put((name,), value)

    def opened(self, document: Any, difference: Difference, atlas: Atlas, stuck: NoWay) -> Sequence[Edit]:  # noqa: ANN401
        """Return edits that write a place out; raise `stuck` where there are none."""
        raise stuck


_SETTINGS: Final = {"optimizer", "learning_rate", "momentum", "weight_decay", "clipping", "loss"}
