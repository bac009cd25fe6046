"""Storage in a directory: `file:./var/storage`, `file:///srv/gradgate`, or `memory:`, which ends with the process."""

import hashlib
import os
import re
import shutil
import weakref
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile, mkdtemp
from types import TracebackType
from typing import Self

from service.contract.problem import NotFound
from service.storage import Storage, Stored, backends

_PART = re.compile(r"[^/\\\x00-\x1f\x7f]{1,255}")


class LocalWriter:
    """A file being written beside its final place; hashed and counted on the way."""

    def __init__(self, target: Path) -> None:
        """Write to `target`, in the end."""
        target.parent.mkdir(parents=True, exist_ok=True)
        self._target = target
        self._file = NamedTemporaryFile(dir=target.parent, prefix=".part-", delete=False)  # noqa: SIM115  closed in __exit__
        self._digest = hashlib.sha256()
        self._size = 0

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Throw away what was not committed."""
        self._file.close()
        Path(self._file.name).unlink(missing_ok=True)

    def write(self, chunk: bytes) -> int:
        """Append `chunk` and return the bytes written so far."""
        self._file.write(chunk)
        self._digest.update(chunk)
        self._size += len(chunk)
        return self._size

    def commit(self) -> Stored:
        """Flush the file and its directory to the disk and give it its name."""
        self._file.flush()
        os.fsync(self._file.fileno())
        Path(self._file.name).rename(self._target)
        _flush_directory(self._target.parent)
        return Stored(self._size, self._digest.hexdigest())


class LocalStorage:
    """Bytes in the files of a directory, readable by their owner alone."""

    def __init__(self, root: Path) -> None:
        """Keep everything below `root`, which is made where it is missing."""
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._root = root.resolve()

    def path(self, key: str) -> Path:
        """Return the file of `key`; NotFound where there is none."""
        path = self._at(key)
        if not path.is_file():
            msg = f"Nothing is stored under {key!r}."
            raise NotFound(msg)
        return path

    def read(self, key: str) -> bytes:
        """Return the bytes of `key`; NotFound where there are none."""
        return self.path(key).read_bytes()

    def write(self, key: str, content: bytes) -> Stored:
        """Keep `content` under `key`, in place of what was there."""
        with self.writer(key) as writer:
            writer.write(content)
            return writer.commit()

    def writer(self, key: str) -> LocalWriter:
        """Open `key` for writing in pieces."""
        return LocalWriter(self._at(key))

    def exists(self, key: str) -> bool:
        """Say whether there is a file under `key`."""
        return self._at(key).is_file()

    def names(self, prefix: str) -> tuple[str, ...]:
        """Return the names directly below `prefix`, sorted; half-written files do not count."""
        folder = self._at(prefix.rstrip("/"))
        if not folder.is_dir():
            return ()
        return tuple(sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith(".part-")))

    def erase(self, prefix: str) -> None:
        """Remove the folder or the file at `prefix`."""
        path = self._at(prefix.rstrip("/"))
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def ready(self) -> bool:
        """Say whether a file can be made here now."""
        with suppress(OSError), NamedTemporaryFile(dir=self._root, prefix=".part-"):
            return True
        return False

    def _at(self, key: str) -> Path:
        parts = key.split("/")
        if not all(_PART.fullmatch(part) and part not in {".", ".."} for part in parts):
            msg = f"{key!r} is not a name that can be stored."
            raise NotFound(msg)
        return self._root.joinpath(*parts)


def _flush_directory(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def open_directory(rest: str) -> Storage:
    """Open the directory that follows `file:`."""
    return LocalStorage(Path(rest.removeprefix("//") or "."))


def open_memory(rest: str) -> Storage:
    """Open a new directory that goes away with its storage; a worker reads files, so memory alone would not do."""
    folder = mkdtemp(prefix="gradgate-")
    storage = LocalStorage(Path(folder))
    weakref.finalize(storage, shutil.rmtree, folder, ignore_errors=True)
    return storage


backends.add("file", open_directory)
backends.add("memory", open_memory)
