"""What a slot, the zygote and a child say to each other: one JSON object per line."""

import json
import socket
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from service.contract.base import Contract
from service.contract.options import Options

EXAMINE = "worker.examine:examine"
REPORT = "report.json"
"""What a child writes into its folder."""
TREATED = "treated-model"
"""What it writes beside it where a treated model is prescribed."""
LONGEST_DETAIL = 200
"""Most characters about what is being done."""
LONGEST = 2**20
"""Most bytes of one line."""


class Order(Contract):
    """One job for one child."""

    job_id: str
    created_at: datetime
    model: Path
    batch: Path | None
    second: Path | None = None
    """The second batch."""
    external: dict[str, Path]
    options: Options
    folder: Path
    """An empty directory of the child's own; `report.json` is written there."""
    device: str
    threads: int
    memory_limit_bytes: int
    entry: str = EXAMINE
    """`module:function` that examines."""


def say(link: socket.socket, **message: object) -> None:
    """Send one message."""
    link.sendall(json.dumps(message, default=str).encode() + b"\n")


class Lines:
    """The messages that come in on a link, whole or not yet there."""

    def __init__(self) -> None:
        """Start with nothing received."""
        self._rest = b""

    def feed(self, received: bytes) -> Iterator[dict[str, Any]]:
        """Yield each message that is complete with what was `received`; ValueError for what is none."""
        *lines, self._rest = (self._rest + received).split(b"\n")
        if len(self._rest) > LONGEST:
            msg = f"a line of more than {LONGEST} bytes"
            raise ValueError(msg)
        yield from (json.loads(line) for line in lines)
