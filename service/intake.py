"""The door: uploads stream to storage, hashed and counted on the way, and cheap checks refuse what cannot be right."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import orjson
from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from service import catalogue, descriptions, sniff, strict
from service.contract.options import Options
from service.contract.problem import Invalid, Malformed, TooLarge, Trouble, Unsupported
from service.multipart import Part, parts
from service.problems import pointer
from service.settings import MIB, Settings
from service.storage import Storage, Stored

_OPTIONS_BYTES = MIB
_PIECE = MIB
_KEYS = ("model", "batch", "second_batch", "options")
_BATCHES = ("batch", "second_batch")


class Upload(NamedTuple):
    """What came in, stored and checked."""

    job_id: str
    options: Options
    fingerprint: str
    """SHA-256 over the parts: their names, file names where these matter, and the SHA-256 of each."""


class Intake:
    """One request's uploads on their way to storage."""

    def __init__(self, storage: Storage, settings: Settings) -> None:
        """Keep what arrives under a new job's id."""
        self.job_id = uuid4().hex
        self._storage = storage
        self._settings = settings
        self._seen: dict[tuple[str, str], str] = {}
        self._data_bytes = 0
        self._filename = ""
        self._within = ""
        self._options = Options()

    async def take(self, request: Request) -> Upload:
        """Store the request's body and check it; nothing stays behind when it is refused."""
        try:
            await self._read(request)
            return await run_in_threadpool(self._checked)
        except BaseException:
            await run_in_threadpool(self._storage.erase, self.job_id)
            raise

    async def _read(self, request: Request) -> None:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            self._announced(request)
            async for part in parts(request):
                await self._part(part)
        elif kind == "application/json":
            await self._json(await body(request, self._settings.max_json_bytes))
        else:
            msg = f"The body is {kind[:80] or 'of no kind'}; send multipart/form-data or application/json."
            raise Unsupported(msg)

    def _announced(self, request: Request) -> None:
        """Refuse a body that says itself that it is too large, before it is sent."""
        limit = self._settings.max_model_bytes + len(_BATCHES) * self._settings.max_batch_bytes + 2 * _OPTIONS_BYTES
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > limit:
            msg = f"The body is {int(length) / MIB:.1f} MiB; the limit is {limit / MIB:.1f} MiB for all parts together."
            raise TooLarge(msg)

    async def _part(self, part: Part) -> None:
        match part.name:
            case "model":
                self._filename = part.filename
                await self._store("model", part.chunks, self._settings.max_model_bytes)
            case "batch" | "second_batch":
                await self._store(part.name, part.chunks, self._settings.max_batch_bytes)
            case "data":
                await self._data(part)
            case "options":
                content = await collect(part.chunks, _OPTIONS_BYTES, "options")
                await self._read_options(strict.read(content, "The part `options`"), "")
            case _:
                msg = (
                    f"There is no part {part.name[:80]!r}; the parts are model, batch, second_batch, options and data."
                )
                raise Invalid(msg)

    async def _data(self, part: Part) -> None:
        name = sniff.flat(part.filename)
        left = self._settings.max_model_bytes - self._data_bytes
        stored = await self._store("data", part.chunks, left, name)
        self._data_bytes += stored.size

    async def _json(self, content: bytes) -> None:
        document = await run_in_threadpool(strict.read, content, "The body")
        self._within = "/model"
        if not isinstance(document, dict):
            msg = "The body is not a JSON object with the key `model`."
            raise Invalid(msg, pointer="")
        for key in document:
            if key not in _KEYS:
                msg = f"There is no key {key[:80]!r}; the keys are model, batch, second_batch and options."
                raise Invalid(msg, pointer=pointer((key,)))
        for key in document.keys() & {"model", *_BATCHES}:
            if not isinstance(document[key], dict):
                msg = f"The {key} is not a JSON object."
                raise Invalid(msg, pointer=f"/{key}")
            limit = self._settings.max_model_bytes if key == "model" else self._settings.max_batch_bytes
            await self._store(key, _once(orjson.dumps(document[key])), limit)
        if "options" in document:
            await self._read_options(document["options"], "/options")

    async def _read_options(self, value: Any, within: str) -> None:  # noqa: ANN401  what JSON holds
        self._once("options", "", hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest())
        self._options = strict.fit(Options, value, "options", within)
        catalogue.check_treatments(self._options.treatments, within)

    def _check_description(self, model: Path) -> None:
        if model.stat().st_size > self._settings.max_json_bytes:
            msg = f"The description is {model.stat().st_size} bytes; the limit is {self._settings.max_json_bytes}."
            raise TooLarge(msg)
        try:
            descriptions.parse(model.read_bytes())
        except Trouble as trouble:
            if trouble.pointer is not None:
                trouble.pointer = self._within + trouble.pointer
            raise

    async def _store(self, name: str, chunks: AsyncIterator[bytes], limit: int, filename: str = "") -> Stored:
        key = self._key(name) + (f"/{filename}" if filename else "")
        self._once(name, filename, "")
        stored = await store(self._storage, key, chunks, limit, filename or name.replace("_", " "))
        self._seen[name, filename] = stored.sha256
        return stored

    def _key(self, name: str) -> str:
        return f"{self.job_id}/{name.replace('_', '-')}"

    def _once(self, name: str, filename: str, sha256: str) -> None:
        if (name, filename) in self._seen:
            msg = f"The part {filename or name!r} is there twice."
            raise Invalid(msg)
        self._seen[name, filename] = sha256

    def _kept(self, name: str) -> Path | None:
        """Return where a part is kept; None where it did not come."""
        return self._storage.path(self._key(name)) if (name, "") in self._seen else None

    def _checked(self) -> Upload:
        if ("model", "") not in self._seen:
            msg = "The model is missing: send it as the part `model`, or under the key `model`."
            raise Malformed(msg)
        model = self._storage.path(f"{self.job_id}/model")
        if sniff.model(model, self._filename) == "json":
            self._check_description(model)
        sniff.batches(*(self._kept(name) for name in _BATCHES))
        self._storage.write(f"{self.job_id}/options.json", self._options.model_dump_json().encode())
        seen = sorted((name, filename, sha256) for (name, filename), sha256 in self._seen.items())
        return Upload(self.job_id, self._options, hashlib.sha256(orjson.dumps(seen)).hexdigest())


async def store(storage: Storage, key: str, chunks: AsyncIterator[bytes], limit: int, what: str) -> Stored:
    """Write `chunks` to `key`, a megabyte at a time; TooLarge as soon as they are more than `limit` bytes."""
    with await run_in_threadpool(storage.writer, key) as writer:
        async for piece in _pieces(chunks):
            if await run_in_threadpool(writer.write, piece) > limit:
                raise too_large(what, limit)
        return await run_in_threadpool(writer.commit)


async def body(request: Request, limit: int) -> bytes:
    """Return the whole body; TooLarge as soon as it is more than `limit` bytes."""
    return await collect(request.stream(), limit, "body")


async def collect(chunks: AsyncIterator[bytes], limit: int, what: str) -> bytes:
    """Return all chunks as one; TooLarge as soon as they are more than `limit` bytes."""
    content = bytearray()
    async for chunk in chunks:
        content += chunk
        if len(content) > limit:
            raise too_large(what, limit)
    return bytes(content)


def too_large(what: str, limit: int) -> TooLarge:
    """Return the refusal of an upload over `limit` bytes."""
    size = f"{limit / MIB:.4g} MiB" if limit >= MIB // 10 else f"{max(limit, 0)} bytes"
    return TooLarge(f"The {what} is larger than the limit of {size}.")


async def _pieces(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    piece = bytearray()
    async for chunk in chunks:
        piece += chunk
        if len(piece) >= _PIECE:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
