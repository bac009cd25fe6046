"""What tests share: a real server for the queue, and settings that point to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from redis import Redis

from service.jobs import Jobs
from service.settings import Settings
from tests.real_server import Server


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


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request: pytest.FixtureRequest) -> str:
    """Each device that examinations run on; CUDA where torch sees it."""
    name: str = request.param
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device")
    return name
