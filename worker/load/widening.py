"""A description at several times its hidden widths, to see what grows with them."""

import json
from collections.abc import Mapping
from typing import Any, Final

from service.contract.architecture import parse
from worker.load.architecture import lower
from worker.network.graph import Graph

WIDTHS: Final = ("units", "filters", "dim", "hidden")
"""What layers call the number of their features."""


def widened(document: Mapping[str, Any], times: int, *, seed: int) -> Graph | None:
    """Return the graph of a chain of layers, each but its last as many `times` as wide, drawn under `seed`.

    None where nothing but the head has a width to change, or where the description is no chain.  Trouble where the
    layers do not fit each other so, such as a skip past a layer to the input's width.
    """
    layers = document.get("layers")
    if not isinstance(layers, list):
        return None
    head = max((index for index, layer in enumerate(layers) if _wide(layer)), default=0)
    if not any(_widths(layer) for layer in layers[:head]):
        return None
    wider = [*(_times(layer, times) for layer in layers[:head]), *layers[head:]]
    return lower(parse(json.dumps({**document, "layers": wider}).encode()), seed=seed)


def _wide(layer: Mapping[str, Any]) -> bool:
    return bool({"units", "filters"} & layer.keys())


def _widths(layer: Mapping[str, Any]) -> bool:
    inner = layer.get("layers")
    return bool(layer.keys() & set(WIDTHS)) or (isinstance(inner, list) and any(map(_widths, inner)))


def _times(layer: Mapping[str, Any], times: int) -> dict[str, Any]:
    """Return a layer as many times as wide, the layers within it included."""
    wide = {name: times * value for name, value in layer.items() if name in WIDTHS and isinstance(value, int)}
    inner = layer.get("layers")
    within = {"layers": [_times(each, times) for each in inner]} if isinstance(inner, list) else {}
    return {**layer, **wide, **within}
