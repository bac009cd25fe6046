"""Bytes by key: uploads and reports, in a place that a URL names.

A new place is one module here that registers, under its URL's scheme, what opens it:

    backends.add("s3", open_bucket)

Keys are paths such as `3f…/model` or `3f…/data/weights.bin`; `{job_id}/` is what belongs to one job.
"""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from service.contract.problem import Unavailable
from service.registry import Registry


class Stored(NamedTuple):
    """What was written."""

    size: int
    sha256: str


class Writer(Protocol):
    """A key being written; nobody sees it before `commit`, and leaving the block without it leaves nothing."""

    def __enter__(self) -> Self:
        """Return the writer."""
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Throw away what was not committed."""
        ...

    def write(self, chunk: bytes) -> int:
        """Append `chunk` and return the bytes written so far."""
        ...

    def commit(self) -> Stored:
        """Put the bytes on disk for good, under their key."""
        ...


class Storage(Protocol):
    """A place for bytes.  What `write` and `commit` return from has survived a power cut, as far as the place can."""

    def path(self, key: str) -> Path:
        """Return a local file with the bytes of `key`; NotFound where there are none."""
        ...

    def read(self, key: str) -> bytes:
        """Return the bytes of `key`; NotFound where there are none."""
        ...

    def write(self, key: str, content: bytes) -> Stored:
        """Keep `content` under `key`, in place of what was there."""
        ...

    def writer(self, key: str) -> Writer:
        """Open `key` for writing in pieces."""
        ...

    def exists(self, key: str) -> bool:
        """Say whether something is kept under `key`."""
        ...

    def names(self, prefix: str) -> tuple[str, ...]:
        """Return the names directly below `prefix`, sorted; none where there is nothing."""
        ...

    def erase(self, prefix: str) -> None:
        """Remove everything below `prefix`; nothing to remove is no error."""
        ...

    def ready(self) -> bool:
        """Say whether the place takes writes now."""
        ...


backends: Registry[Callable[[str], Storage]] = Registry(__name__)
"""What opens a storage, by the scheme of its URL; each takes what follows the colon."""


def open_storage(url: str) -> Storage:
    """Open the storage that `url` names; Unavailable where nobody knows its scheme."""
    scheme, _, rest = url.partition(":")
    if scheme not in backends:
        msg = f"Storage {scheme!r} is not one of {', '.join(backends)}."
        raise Unavailable(msg)
    return backends[scheme](rest)
