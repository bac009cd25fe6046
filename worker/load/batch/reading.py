"""A file's bytes to named tensors; what format it is shows in its first bytes, not in its name."""

from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from service.contract.problem import UnreadableBatch
from worker.load.batch.archive import npy, npz, tensor
from worker.load.batch.document import document

UNNAMED = ""
"""The name of an array in a file that names none."""


def arrays(path: Path) -> Mapping[str, Tensor]:
    """Return the arrays in a `.npz`, `.npy`, `.safetensors` or `.json` file; UnreadableBatch for anything else."""
    with path.open("rb") as file:
        head = file.read(16)
    if not head:
        detail = "The batch is an empty file."
        raise UnreadableBatch(detail)
    if head.startswith(b"PK"):
        return npz(path)
    if head.startswith(b"\x93NUMPY"):
        return {UNNAMED: npy(path.read_bytes(), "the batch")}
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= path.stat().st_size - 8:
        return _safetensors(path)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in {b"{", b"["}:
        return document(path.read_bytes())
    detail = f"The batch is neither npz, npy, safetensors nor JSON; it starts with {head[:8]!r}."
    raise UnreadableBatch(detail)


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return {name: _plain(value, name) for name, value in safetensors.torch.load_file(path).items()}
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        detail = f"The batch is not a whole safetensors file: {error}."
        raise UnreadableBatch(detail) from None


def _plain(value: Tensor, name: str) -> Tensor:
    """Return a tensor of a type that torch computes with everywhere, in memory of its own."""
    if value.is_complex():
        detail = f"{name!r} holds {value.dtype}; real numbers are read."
        raise UnreadableBatch(detail)
    if value.dtype.is_floating_point:
        return value.to(torch.float64 if value.dtype == torch.float64 else torch.float32, copy=True)
    if value.dtype in _UNSIGNED:
        return tensor(value.numpy(), repr(name))
    return value.clone()


_UNSIGNED = (torch.uint16, torch.uint32, torch.uint64)
