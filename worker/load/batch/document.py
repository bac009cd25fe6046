"""JSON batches: an object of nested lists by name, one nested list, or Open Inference Protocol v2 tensors."""

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import orjson
from torch import Tensor

from service.contract.problem import UnreadableBatch
from worker.load.batch.archive import tensor

_TYPES = {
    "BOOL": "bool",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    **{f"{kind}INT{bits}": f"{kind.lower()}int{bits}" for kind in ("", "U") for bits in (8, 16, 32, 64)},
}
"""The protocol's names of number types, and numpy's."""


def document(text: bytes) -> dict[str, Tensor]:
    """Return the arrays of a JSON batch; UnreadableBatch where there are none."""
    try:
        given = orjson.loads(text.removeprefix(b"\xef\xbb\xbf"))
    except ValueError as error:
        detail = f"The batch is not JSON: {error}."
        raise UnreadableBatch(detail) from None
    if isinstance(given, dict) and _protocol(given.get("inputs")):
        return dict(_declared(each) for each in given["inputs"])
    if isinstance(given, dict):
        return {name: listed(values, repr(name)) for name, values in given.items()}
    return {"": listed(given, "the batch")}


def _protocol(inputs: object) -> bool:
    return isinstance(inputs, list) and bool(inputs) and all(isinstance(each, dict) for each in inputs)


def _declared(given: Mapping[str, Any]) -> tuple[str, Tensor]:
    missing = {"name", "shape", "datatype", "data"} - given.keys()
    if missing:
        detail = f"A tensor of the batch lacks {', '.join(sorted(missing))}."
        raise UnreadableBatch(detail)
    name, shape = str(given["name"]), given["shape"]
    if given["datatype"] not in _TYPES:
        detail = f"{name!r} has the datatype {given['datatype']!r:.40}; known are {', '.join(_TYPES)}."
        raise UnreadableBatch(detail)
    if not isinstance(shape, list) or not all(isinstance(size, int) and size >= 0 for size in shape):
        detail = f"{name!r} has the shape {shape!r:.80}; it must be a list of sizes."
        raise UnreadableBatch(detail)
    values = listed(given["data"], repr(name)).numpy()
    if values.size != prod(shape):
        detail = f"{name!r} has {values.size} numbers; its shape {shape} holds {prod(shape)}."
        raise UnreadableBatch(detail)
    return name, tensor(values.astype(_TYPES[given["datatype"]]).reshape(shape), repr(name))


def listed(values: object, name: str) -> Tensor:
    """Return nested lists of numbers as a tensor; UnreadableBatch where they are ragged or hold anything else."""
    try:
        array = np.asarray(values)
    except (ValueError, OverflowError, RecursionError) as error:
        detail = f"{name} is not a table of numbers: {error}."
        raise UnreadableBatch(detail) from None
    if array.dtype.kind not in "fiub":
        detail = f"{name} holds something other than numbers."
        raise UnreadableBatch(detail)
    return tensor(array, name)
