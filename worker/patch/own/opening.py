"""Places of the project's own format written out, where their parts must become different things.

A `repeat` becomes one per run of repetitions that are to be alike, a `transformer_block` the residual branches that it
stands for.  The network stays what it was.
"""

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any, Final

from worker.patch.edits import Edit, Insert, Put, at
from worker.patch.own.fans import fans_of
from worker.patch.own.stating import KINDS
from worker.patch.places import Steps
from worker.patch.recipe import recipe
from worker.patch.survey import Survey, Times, Wanted


def written_out(document: Any, steps: Steps, survey: Survey) -> list[Edit]:  # noqa: ANN401
    """Return the edits that write the layer at these steps out; none where it is not made of layers."""
    layer = at(document, steps)
    wide = [name for name in survey.weights.get(steps, ()) if survey.atlas.roles[name].endswith("wide.kernel")]
    if not wide or layer["kind"] not in _BLOCKS or layer.get("activation", "gelu").endswith("glu"):
        return []
    features, hidden = survey.before.parameters[wide[0]].value.shape
    return list(_instead(steps, layer, _branches(layer, features, hidden)))


def split(document: Any, steps: Steps, survey: Survey) -> list[Edit]:  # noqa: ANN401  JSON
    """Return the edits that part a repetition around these steps where it becomes uneven; none where none does."""
    for depth, outer in enumerate(_repetitions(document, steps)):
        layer = at(document, outer)
        signs = dict(_signs(outer, depth, survey))
        runs = [list(run) for _, run in groupby(range(layer["times"]), key=lambda time: signs.get(time, []))]
        if len(runs) > 1 and not layer.get("shared"):
            return list(_instead(outer, layer, [_run(layer, len(run)) for run in runs]))
    return []


def unrolled(document: Any, steps: Steps) -> list[Edit]:  # noqa: ANN401  JSON
    """Return the edits that write out each time of the outermost repetition around these steps; none without one."""
    for outer in _repetitions(document, steps):
        layer = at(document, outer)
        if not layer.get("shared"):
            return list(_instead(outer, layer, [_time(layer, time) for time in range(layer["times"])]))
    return []


def _time(layer: dict[str, Any], time: int) -> list[dict[str, Any]]:
    """Return the layers of one time of a repetition, under names of their own."""
    return [{**each, **({"name": f"{each['name']}_{time + 1}"} if "name" in each else {})} for each in layer["layers"]]


def _repetitions(document: Any, steps: Steps) -> Iterator[Steps]:  # noqa: ANN401  JSON
    """Yield the steps of the repetitions around a layer, the outermost first."""
    for length in range(1, len(steps)):
        held = at(document, steps[:length])
        if isinstance(held, dict) and held.get("kind") == "repeat":
            yield steps[:length]


def _signs(outer: Steps, depth: int, survey: Survey) -> Iterator[tuple[int, list[Any]]]:
    """Yield, for each time of a repetition, what the layers in it must become."""
    found: dict[int, list[Any]] = {}
    for steps, every in survey.times.items():
        if steps[: len(outer)] != outer:
            continue
        sides = survey.wanted.get(steps, {})
        laws = _laws(survey, steps) if any(one.redrawn for one in sides.values()) else {}
        for time in sorted(every):
            rest = time[:depth] + time[depth + 1 :]
            said = sides.get(time, Wanted()).said
            found.setdefault(time[depth], []).append((steps, rest, said, laws.get(time)))
    yield from found.items()


def _laws(survey: Survey, steps: Steps) -> dict[Times, list[Any]]:
    """Return the laws of a layer's weights, by time."""
    found: dict[Times, list[Any]] = {}
    for role, by_time in sorted(survey.drawn(steps, fans_of(survey).get).items()):
        for time, each in by_time.items():
            found.setdefault(time, []).append((role.rpartition("/")[2], recipe(each)))
    return found


def _run(layer: dict[str, Any], length: int) -> list[dict[str, Any]]:
    """Return a run of repetitions; a single one whose layers have no names needs no repetition around it."""
    if length == 1 and not any("name" in each for each in layer["layers"]):
        return list(layer["layers"])
    return [{**layer, "times": length}]


def _instead(steps: Steps, layer: dict[str, Any], parts: list[list[dict[str, Any]]]) -> Iterator[Edit]:
    """Yield the edits that put layers in place of one, under names of their own; a node becomes a block of them."""
    layers = [{key: each[key] for key in each if key != "inputs"} for part in parts for each in part]
    name = layer.get("name")
    if name is not None:
        layers = [_called(each, f"{name}_{count}", name) for count, each in enumerate(layers, 1)]
    if steps[-2] == "nodes":
        kept = {key: layer[key] for key in ("name", "inputs") if key in layer}
        yield Put(steps, {"kind": "repeat", **kept, "times": 1, "layers": layers})
        return
    first, *others = layers
    yield Put(steps, first)
    for each in others:
        yield Insert((*steps[:-1], int(steps[-1]) + 1), each)


def _called(layer: dict[str, Any], fresh: str, name: str) -> dict[str, Any]:
    """Return a layer under a name of its own, where it has none or the one of the layer that it comes from."""
    if layer.get("name", name) != name:
        return layer
    return {"kind": layer["kind"], "name": fresh, **{key: layer[key] for key in layer if key not in {"kind", "name"}}}


def _branches(layer: dict[str, Any], features: int, hidden: int) -> list[list[dict[str, Any]]]:
    """Return a transformer's block as its residual branches and norms."""
    norm = _kept(layer, {"norm_epsilon": "epsilon"}, kind=layer.get("norm_kind", "layer_norm"))
    before, behind = ([norm] if layer.get("norm", "pre") == side else [] for side in ("pre", "post"))
    dropped = [{"kind": "dropout", "rate": layer["dropout"]}] if layer.get("dropout") else []
    return [
        [{"kind": "residual", "layers": [*before, *branch, *dropped]}, *behind]
        for branch in ([_attention(layer)], _fed(layer, features, hidden))
    ]


def _attention(layer: dict[str, Any]) -> dict[str, Any]:
    fields = {name: name for name in KINDS["self_attention"].model_fields if name not in {"kind", "name", "inputs"}}
    return _kept(layer, {"branch_init": "output_init", **fields}, kind="self_attention")


def _fed(layer: dict[str, Any], features: int, hidden: int) -> list[dict[str, Any]]:
    given = layer.get("activation", "gelu")
    plain = {"kind": "gelu", "approximate": "tanh"} if given == "gelu_tanh" else {"kind": given}
    rate = layer.get("activation_dropout")
    return [
        _kept(layer, {"bias": "bias", "init": "init"}, kind="dense", units=hidden),
        plain,
        *([{"kind": "dropout", "rate": rate}] if rate else []),
        _kept(layer, {"bias": "bias", "init": "init", "branch_init": "init"}, kind="dense", units=features),
    ]


def _kept(layer: dict[str, Any], names: Mapping[str, str], **fields: object) -> dict[str, Any]:
    """Return a layer of these fields and those of another, under other names."""
    return {**fields, **{new: layer[name] for name, new in names.items() if layer.get(name) is not None}}


_BLOCKS: Final = {"transformer_block", "transformer_encoder"}
