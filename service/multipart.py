"""A multipart body as it arrives: part by part and chunk by chunk, nothing kept."""

from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.contract.problem import Malformed

_MOST_PARTS = 1024


class Part(NamedTuple):
    """One part; its chunks must be read before the next part is asked for."""

    name: str
    filename: str
    chunks: AsyncIterator[bytes]


class _Opened(NamedTuple):
    name: str
    filename: str


class _Closed(NamedTuple):
    pass


_Event = _Opened | _Closed | bytes


class _Reader:
    """Turns the parser's callbacks into a list of events."""

    def __init__(self, boundary: bytes) -> None:
        self.events: list[_Event] = []
        self.ended = False
        self._header: list[bytes] = [b"", b""]
        self._disposition = b""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_data": lambda data, start, end: self.events.append(data[start:end]),
                "on_part_end": lambda: self.events.append(_Closed()),
                "on_header_field": self._collect(0),
                "on_header_value": self._collect(1),
                "on_header_end": self._header_end,
                "on_headers_finished": self._opened,
                "on_end": self._end,
            },
        )

    def feed(self, chunk: bytes) -> list[_Event]:
        self.events = []
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            msg = "The multipart body is malformed; it does not follow RFC 7578."
            raise Malformed(msg) from error
        return self.events

    def _collect(self, index: int) -> Callable[[bytes, int, int], None]:
        def append(data: bytes, start: int, end: int) -> None:
            self._header[index] += data[start:end]

        return append

    def _header_end(self) -> None:
        if self._header[0].lower() == b"content-disposition":
            self._disposition = self._header[1]
        self._header = [b"", b""]

    def _opened(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._disposition = b""
        name, filename = (options.get(key, b"").decode(errors="replace") for key in (b"name", b"filename"))
        self.events.append(_Opened(name, filename))

    def _end(self) -> None:
        self.ended = True


async def parts(request: Request) -> AsyncIterator[Part]:
    """Yield the parts of a `multipart/form-data` body; Malformed where it is none, or ends too early."""
    events = _events(request)
    count = 0
    async for event in events:
        if isinstance(event, _Opened):
            count += 1
            if count > _MOST_PARTS:
                msg = f"The body has more than {_MOST_PARTS} parts."
                raise Malformed(msg)
            yield Part(event.name, event.filename, _chunks(events))


async def _chunks(events: AsyncIterator[_Event]) -> AsyncIterator[bytes]:
    async for event in events:
        if isinstance(event, bytes):
            yield event
        else:
            return


async def _events(request: Request) -> AsyncIterator[_Event]:
    _, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if not boundary or len(boundary) > 70:  # noqa: PLR2004  RFC 2046, section 5.1.1
        msg = "The Content-Type names no boundary of 1 to 70 characters; let the client library write this header."
        raise Malformed(msg)
    reader = _Reader(boundary)
    async for chunk in request.stream():
        for event in reader.feed(chunk):
            yield event
    if not reader.ended:
        msg = "The multipart body ends before its last boundary."
        raise Malformed(msg)
