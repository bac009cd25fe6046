"""Sparse tensors written out, so that nothing after them knows that they were sparse."""

from collections.abc import Sequence
from math import prod
from typing import Final

import torch
from torch import Tensor

from service.contract.problem import TooComplex, UnreadableModel

LARGEST: Final = 2**31
"""Most elements that a sparse tensor may be written out to."""


def dense(values: Tensor, indices: Tensor, sizes: Sequence[int], name: str) -> Tensor:
    """Return the tensor of `sizes` that holds `values` at `indices`, and zeros elsewhere.

    Indices are places in the flattened tensor, or rows with a place along each axis.  TooComplex above 2³¹ elements,
    UnreadableModel where indices are not of this form or point outside.
    """
    if any(size < 0 for size in sizes):
        msg = f"The sparse tensor {name!r} has the shape {list(sizes)}: no size can be negative."
        raise UnreadableModel(msg)
    if prod(sizes) > LARGEST:
        msg = f"The sparse tensor {name!r} has the shape {list(sizes)}; the limit is {LARGEST} elements."
        raise TooComplex(msg)
    places = indices.to(torch.int64)
    if places.shape not in {(len(values),), (len(values), len(sizes))}:
        msg = f"The sparse tensor {name!r} has {len(values)} values and indices of shape {list(places.shape)}."
        raise UnreadableModel(msg)
    flat = places if places.dim() == 1 else _flat(places, sizes, name)
    if bool(((flat < 0) | (flat >= prod(sizes))).any()):
        msg = f"The sparse tensor {name!r} has an index outside of its shape {list(sizes)}."
        raise UnreadableModel(msg)
    written = torch.zeros(prod(sizes), dtype=values.dtype)
    written[flat] = values
    return written.reshape(tuple(sizes))


def _flat(places: Tensor, sizes: Sequence[int], name: str) -> Tensor:
    """Return rows of places as places in the flattened tensor."""
    if bool(((places < 0) | (places >= torch.tensor(list(sizes)))).any()):
        msg = f"The sparse tensor {name!r} has an index outside of its shape {list(sizes)}."
        raise UnreadableModel(msg)
    steps = [prod(sizes[axis + 1 :]) for axis in range(len(sizes))]
    return (places * torch.tensor(steps)).sum(1)
