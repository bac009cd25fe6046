"""Values for keys: numbers or text, as scikit-learn's encoders of labels have them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from worker.network.graph import Text
from worker.network.ops import op

NO_NUMBER = "not a number"
"""Stands for every NaN, which would be unlike itself."""


def _key(value: object) -> object:
    return NO_NUMBER if isinstance(value, float) and math.isnan(value) else value


def _first(table: Tensor | Text | None, *given: Sequence[Any]) -> list[Any]:
    """Return a table's entries, or those of the first list that has any."""
    if table is not None:
        return list(table.reshape(-1).tolist())
    return next((list(each) for each in given if each), [])


@op("LabelEncoder", since=2, domain="ai.onnx.ml", gradient=False)
def label_encoder(
    x: Tensor | Text,
    *,
    default_float: float = -0.0,
    default_int64: int = -1,
    default_string: str = "_Unused",
    default_tensor: Tensor | Text | None = None,
    keys_floats: Sequence[float] = (),
    keys_int64s: Sequence[int] = (),
    keys_strings: Sequence[str] = (),
    keys_tensor: Tensor | Text | None = None,
    values_floats: Sequence[float] = (),
    values_int64s: Sequence[int] = (),
    values_strings: Sequence[str] = (),
    values_tensor: Tensor | Text | None = None,
) -> Any:  # noqa: ANN401  a tensor or text
    """The value that belongs to each key; a default where it is no key."""
    keys = map(_key, _first(keys_tensor, keys_strings, keys_int64s, keys_floats))
    values = _first(values_tensor, values_strings, values_int64s, values_floats)
    table = dict(zip(keys, values, strict=True))
    usual = {str: default_string, int: default_int64, float: default_float}[type(values[0])]
    default = _first(default_tensor)[0] if default_tensor is not None else usual
    found = [table.get(_key(value), default) for value in x.reshape(-1).tolist()]
    if isinstance(default, str):
        return np.array(found, object).reshape(tuple(x.shape))
    kind = values_tensor.dtype if isinstance(values_tensor, Tensor) else None
    return torch.tensor(found, dtype=kind).reshape(tuple(x.shape))
