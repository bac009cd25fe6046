"""Files that hold the numbers of tensors: the model's own, and those that were handed over under declared names.

Large tensors are views of a private mapping of their file: nobody can write to the file through one, and pages that
nobody touches cost nothing.  Small ones, and those that do not lie at a multiple of their element's size (the numbers
in a model's own file lie anywhere), are read into memory of their own: typed access to unaligned memory is undefined.
"""

import mmap
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

import torch
from onnx import TensorProto
from torch import Tensor

from service.contract.problem import UnreadableModel

MAPPED: Final = 2**20
"""Bytes from which on a tensor is mapped; below, a copy costs less than the pages around it."""
SHARED: Final = 2
"""How often the bytes of a file may be used, all tensors taken together."""


@dataclass
class _File:
    """One file, opened once."""

    name: str
    file: BinaryIO
    size: int
    used: int = 0

    @classmethod
    def open(cls, name: str, path: Path) -> Self:
        """Open a file; UnreadableModel where it is not a regular one."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, ValueError) as error:
            msg = f"The file {name!r} cannot be opened: {error.__class__.__name__}."
            raise UnreadableModel(msg) from error
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            msg = f"{name!r} is not a regular file."
            raise UnreadableModel(msg)
        return cls(name, os.fdopen(descriptor, "rb", buffering=0), status.st_size)

    @cached_property
    def _map(self) -> mmap.mmap:
        try:
            return mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_COPY)
        except OSError as error:
            raise MemoryError(self.size) from error

    def bytes(self, tensor: str, offset: int, length: int, alignment: int) -> Tensor:
        """Return bytes of the file, which begin at a multiple of `alignment` in memory."""
        if offset < 0 or length < 0 or offset + length > self.size:
            msg = f"The tensor {tensor!r} lies at bytes {offset} to {offset + length} of a file of {self.size}."
            raise UnreadableModel(msg)
        self._use(length)
        if length >= MAPPED and offset % alignment == 0:
            return torch.frombuffer(self._map, dtype=torch.uint8, count=length, offset=offset)
        return self._read(tensor, offset, length)

    def _use(self, length: int) -> None:
        """Refuse a file whose bytes are used again and again: copies of them could fill any memory."""
        self.used += length
        if self.used > SHARED * self.size:
            msg = f"The tensors of the file {self.name!r} take {self.used} bytes, but it has only {self.size}."
            raise UnreadableModel(msg)

    def _read(self, tensor: str, offset: int, length: int) -> Tensor:
        taken = torch.empty(length, dtype=torch.uint8)
        into, at = taken.numpy().data, 0
        while at < length and (count := os.preadv(self.file.fileno(), [into[at:]], offset + at)):
            at += count
        if at < length:
            msg = f"The file {self.name!r} ends at byte {offset + at}, within the tensor {tensor!r}."
            raise UnreadableModel(msg)
        return taken


@dataclass
class Files:
    """The files that tensors may lie in, by declared name; each is opened when it is first needed."""

    named: Mapping[str, Path]
    _open: dict[str, _File] = field(default_factory=dict)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close every file; what is mapped stays."""
        for each in self._open.values():
            each.file.close()

    def find(self, tensor: TensorProto, size: int | None, alignment: int) -> Tensor:
        """Return the bytes of a tensor that lies in one of the files.

        UnreadableModel where it lies in no file that was handed over, or not within it, or is not `size` bytes.
        """
        said = {each.key: each.value for each in tensor.external_data}
        file = self._file(tensor.name, said.get("location", ""))
        try:
            offset = int(said.get("offset") or 0)
            length = int(said.get("length") or (file.size - offset if size is None else size))
        except ValueError as error:
            msg = f"The tensor {tensor.name!r} does not say where in {file.name!r} it lies."
            raise UnreadableModel(msg) from error
        if size is not None and length != size:
            msg = f"The tensor {tensor.name!r} lies in {length} bytes, but its shape {list(tensor.dims)} takes {size}."
            raise UnreadableModel(msg)
        return file.bytes(tensor.name, offset, length, alignment)

    def _file(self, tensor: str, location: str) -> _File:
        if location not in self.named:
            raise undeclared(location, f"The tensor {tensor!r}")
        if location not in self._open:
            self._open[location] = _File.open(location, self.named[location])
        return self._open[location]


def undeclared(location: str, tensor: str = "A tensor") -> UnreadableModel:
    """Return the trouble of a tensor in a file that was not handed over."""
    msg = (
        f"{tensor} lies in the file {location!r}, which did not come with the model: send it as a further part "
        "`data` (on the command line, --data FILE), or export with external_data=False."
    )
    return UnreadableModel(msg)
