"""What the engine can do, as data: the worker writes these files from its code, and the service reads them."""

import json
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from functools import cache
from importlib import resources
from typing import Any, Literal, get_args

from service.contract.architecture import LayerBase
from service.contract.problem import Invalid
from service.keras.layers import layers as keras

Kind = Literal["rules", "treatments", "operators"]


@cache
def entries(kind: Kind) -> tuple[dict[str, Any], ...]:
    """Return the entries of a catalogue, in the order of its file."""
    text = resources.files(__name__).joinpath(f"{kind}.json").read_text("utf-8")
    return tuple(json.loads(text))


def rule(code: str) -> dict[str, Any] | None:
    """Return the rule with this code or alias, in any case; None where there is none."""
    wanted = code.lower()
    for entry in entries("rules"):
        if wanted in {name.lower() for name in (entry["code"], *entry.get("aliases", ()))}:
            return entry
    return None


def treatment(name: str) -> dict[str, Any] | None:
    """Return the treatment of this name, in any case; None where there is none."""
    return next((entry for entry in entries("treatments") if entry["name"] == name.lower()), None)


def check_treatments(names: Iterable[str], within: str = "") -> None:
    """Look whether there are treatments of these names; Invalid, with a pointer below `within`, where one is not."""
    known = [entry["name"] for entry in entries("treatments")]
    for at, name in enumerate(names):
        if name not in known:
            near = get_close_matches(name[:40].lower(), known, 1)
            meant = f"; did you mean {near[0]!r}?" if near else "."
            msg = f"There is no treatment {name[:80]!r}{meant} GET /v1/treatments and docs/treatments.md list them."
            raise Invalid(msg, pointer=f"{within}/treatments/{at}")


@cache
def layers() -> tuple[dict[str, Any], ...]:
    """Return the layers of both formats of JSON: what each does, its schema, and of our own an example."""
    found = (entry for layer in _below(LayerBase) for entry in _kinds(layer))
    return (*sorted(found, key=lambda entry: str(entry["kind"])), *_keras())


def _below(base: type[LayerBase]) -> Iterator[type[LayerBase]]:
    for child in base.__subclasses__():
        if "kind" in child.model_fields:
            yield child
        yield from _below(child)


def _kinds(layer: type[LayerBase]) -> Iterator[dict[str, Any]]:
    """Yield an entry for each kind that the class reads: its own example where it has one, the first otherwise."""
    schema = layer.model_json_schema()
    extra = layer.model_config.get("json_schema_extra")
    examples = extra.get("examples", []) if isinstance(extra, dict) else []
    own = {one["kind"]: one for one in examples if isinstance(one, dict)} if isinstance(examples, list) else {}
    for kind in get_args(layer.model_fields["kind"].annotation):
        example = own.get(kind) or next(iter(own.values()), {}) | {"kind": kind}
        yield {"format": "gradgate", "kind": kind, "title": _title(layer), "example": example, "schema": schema}


def _keras() -> Iterator[dict[str, Any]]:
    """Yield an entry for each of Keras's classes; functions of keras.ops are named `ops.Add`, as the file has them."""
    for kind, layer in keras.items():
        yield {"format": "keras", "kind": kind, "title": _title(layer), "schema": layer.model_json_schema()}


def _title(layer: type) -> str:
    return (layer.__doc__ or "").partition("\n")[0]
