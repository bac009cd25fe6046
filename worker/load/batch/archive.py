"""NumPy's files.  An archive's directory is judged before anything is inflated; pickled objects are never read."""

import tokenize
import zlib
from collections.abc import Iterator
from io import BytesIO
from math import prod
from mmap import ACCESS_READ, mmap
from pathlib import Path
from zipfile import BadZipFile, ZipFile, ZipInfo

import numpy as np
import torch
from numpy.lib import format as layout
from torch import Tensor

from service.contract.problem import UnreadableBatch

MOST_MEMBERS = 64
MOST_BYTES = 2**30
MOST_RATIO = 200
"""Most bytes that one compressed byte may inflate to, in members over `SMALL`."""
SMALL = 16 * 2**20
MOST_AXES = 16
MOST_ENTRIES = 10_000
"""Entries of a directory that is looked at; numbers may hold an entry's signature by chance, but not this often."""

_ENTRY = b"PK\x01\x02"

_BROKEN = (
    ValueError,
    TypeError,
    KeyError,
    SyntaxError,
    EOFError,
    OSError,
    RuntimeError,
    MemoryError,
    BadZipFile,
    zlib.error,
    tokenize.TokenError,
)
"""What numpy and zipfile raise on files that are not what they say."""


def npz(path: Path, most_bytes: int = MOST_BYTES) -> dict[str, Tensor]:
    """Return the arrays of an archive that inflates to at most `most_bytes`; UnreadableBatch for anything odd."""
    _short(path)
    try:
        with ZipFile(path) as archive:
            return dict(_members(archive, most_bytes))
    except _BROKEN as error:
        detail = f"The batch is not a whole npz file: {error}."
        raise UnreadableBatch(detail) from None


def _short(path: Path) -> None:
    """Pass an archive whose directory cannot be endless: each entry takes a signature, and those are counted."""
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        at = -1
        for _ in range(MOST_ENTRIES):
            at = data.find(_ENTRY, at + 1)
            if at < 0:
                return
    detail = f"The npz file's directory has more than {MOST_ENTRIES} entries; it may have {MOST_MEMBERS}."
    raise UnreadableBatch(detail)


def _members(archive: ZipFile, most_bytes: int) -> Iterator[tuple[str, Tensor]]:
    members = archive.infolist()
    _judge(members, most_bytes)
    for member in members:
        name = member.filename.removesuffix(".npy")
        yield name, npy(archive.read(member), repr(name))


def _judge(members: list[ZipInfo], most_bytes: int) -> None:
    if not 0 < len(members) <= MOST_MEMBERS:
        detail = f"The npz file has {len(members)} arrays; it may have 1 to {MOST_MEMBERS}."
        raise UnreadableBatch(detail)
    total = sum(member.file_size for member in members)
    if total > most_bytes:
        detail = f"The npz file inflates to {total} bytes; the limit is {most_bytes}."
        raise UnreadableBatch(detail)
    names = [member.filename for member in members]
    for member in members:
        name = member.filename
        if not name.endswith(".npy") or "/" in name or "\\" in name or names.count(name) > 1:
            detail = f"The npz file holds {name!r:.100}; it may hold arrays (name.npy) only, each once."
            raise UnreadableBatch(detail)
        if member.file_size > SMALL and member.file_size > MOST_RATIO * member.compress_size:
            ratio = member.file_size // max(member.compress_size, 1)
            detail = f"{name!r:.100} inflates {ratio}-fold; the limit is {MOST_RATIO}."
            raise UnreadableBatch(detail)


def npy(data: bytes, name: str) -> Tensor:
    """Return the array in the bytes of a `.npy` file; UnreadableBatch where its header and length disagree."""
    try:
        _agrees(data, name)
        array = np.load(BytesIO(data), allow_pickle=False)
        return tensor(array, name)
    except _BROKEN as error:
        detail = f"{name} is not a whole npy file: {error}."
        raise UnreadableBatch(detail) from None


def _agrees(data: bytes, name: str) -> None:
    file = BytesIO(data)
    version = layout.read_magic(file)
    header = layout.read_array_header_1_0 if version == (1, 0) else layout.read_array_header_2_0
    shape, _, dtype = header(file)
    numeric(dtype, name)
    held = len(data) - file.tell()
    if min(shape, default=0) < 0 or prod(shape) * dtype.itemsize != held:
        detail = f"{name} has {held} bytes; its header says {shape} numbers of {dtype.itemsize} bytes."
        raise UnreadableBatch(detail)


def numeric(dtype: np.dtype[np.generic], name: str) -> None:
    """Pass the types of real numbers and booleans; UnreadableBatch for objects, text, complex numbers and records."""
    if dtype.kind not in "fiub" or dtype.itemsize > np.dtype(np.float64).itemsize:
        detail = f"{name} holds {dtype}; numbers of at most 64 bits are read."
        raise UnreadableBatch(detail)


def tensor(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]], name: str) -> Tensor:
    """Return a tensor that owns its numbers; unsigned ones wider than a byte become int64."""
    numeric(array.dtype, name)
    if array.ndim > MOST_AXES:
        detail = f"{name} has {array.ndim} axes; the limit is {MOST_AXES}."
        raise UnreadableBatch(detail)
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        if array.max(initial=0) > np.iinfo(np.int64).max:
            detail = f"{name} holds {array.max()}; the largest whole number read is {np.iinfo(np.int64).max}."
            raise UnreadableBatch(detail)
        array = array.astype(np.int64)
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C", copy=True))
