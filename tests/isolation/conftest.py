"""A real worker, with a stand-in for the examination."""

from collections.abc import Callable, Iterator

import pytest

from service.settings import Settings
from tests.isolation.workers import Desk, Worker, Workshop
from tests.real_server import Server


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """One worker for every test that leaves it alive."""
    folder = tmp_path_factory.mktemp("workshop")
    server = Server(folder)
    server.start()
    settings = Settings(
        redis_url=server.url,
        storage=f"file:{folder / 'storage'}",
        device="cpu",
        slots=1,
        lease_s=1,
        job_time_limit_s=5,
        memory_limit_bytes=1536 * 2**20,
    )
    worker, desk = Worker(settings), Desk(settings)
    yield Workshop(worker, desk)
    desk.close()
    worker.kill()
    server.kill()


@pytest.fixture
def hire(settings: Settings) -> Iterator[Callable[..., Worker]]:
    """Start workers; all are gone after the test."""
    hired: list[Worker] = []

    def start(**changes: object) -> Worker:
        hired.append(Worker(settings.model_copy(update=changes)))
        return hired[-1]

    yield start
    for worker in hired:
        worker.kill()


@pytest.fixture
def desk(settings: Settings) -> Iterator[Desk]:
    """A desk on the empty server."""
    desk = Desk(settings)
    yield desk
    desk.close()
