"""numpy's arrays as tensors, and back, of every type that ONNX has."""

from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import helper
from torch import Tensor

from worker.network.dtypes import ONNX, SIGNED, dtype

Array: TypeAlias = NDArray[np.generic]

ADDED = 2
"""What numpy says of types that are not its own: those of the package ml_dtypes."""
BITS: dict[int, tuple[type[np.generic], torch.dtype]] = {1: (np.uint8, torch.uint8), 2: (np.int16, torch.int16)}
"""A type of so many bytes that both sides know."""


def tensor(values: Array) -> Tensor:
    """Return a copy of an array as a tensor of the same ONNX type; UnsupportedModel where there is none."""
    whole = np.array(values.astype(values.dtype.newbyteorder("="), copy=False), order="C")
    kind = dtype(helper.np_dtype_to_tensor_dtype(whole.dtype))
    if whole.dtype.isbuiltin != ADDED:
        return torch.from_numpy(whole)
    if not kind.is_floating_point:
        return torch.from_numpy(whole.astype(np.int8 if kind in SIGNED else np.uint8)).view(kind)
    return torch.from_numpy(whole.view(BITS[kind.itemsize][0])).view(kind)


def array(value: Tensor) -> Array:
    """Return a tensor's numbers as an array of the same ONNX type, ml_dtypes' where numpy has none."""
    held = value.detach().cpu().resolve_conj().resolve_neg()
    there = helper.tensor_dtype_to_np_dtype(ONNX[held.dtype])
    if there.isbuiltin != ADDED:
        return held.numpy()
    if not held.dtype.is_floating_point:
        return held.view(torch.int8 if held.dtype in SIGNED else torch.uint8).numpy().astype(there)
    return np.asarray(held.view(BITS[held.dtype.itemsize][1]).numpy()).view(there)
