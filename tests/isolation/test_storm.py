"""Everything that can die dies, again and again: what was accepted succeeds, and ends once."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest
from redis import Redis, RedisError

from service.contract.job import Status
from service.settings import Settings
from tests.isolation.workers import Desk, Worker
from tests.real_server import Server

STORM_S = 15
GUST_S = (1.5, 3.0)
SEED = 7


class Storm:
    """A server and two workers, and what happens to them."""

    def __init__(self, server: Server, settings: Settings) -> None:
        """Start the workers."""
        self.server, self.settings = server, settings
        self.workers = [Worker(settings), Worker(settings)]
        self.chance = random.Random(SEED)  # noqa: S311  a storm is no secret

    def blow(self) -> None:
        """Let one thing die, and have whoever runs the place start what ended."""
        worker = self.chance.choice(self.workers)
        strikes: list[Callable[[], object]] = [
            self._server,
            worker.kill,
            worker.process.terminate,
            lambda: worker.find("worker.pool").kill(),
            lambda: worker.find("isolation.zygote").kill(),
            partial(_kill_slot, worker),
        ]
        with suppress(psutil.NoSuchProcess, StopIteration, IndexError):  # it was not there yet
            self.chance.choice(strikes)()
        self.workers = [one if one.process.poll() is None else Worker(self.settings) for one in self.workers]

    def _server(self) -> None:
        self.server.kill()
        time.sleep(0.5)
        self.server.start()

    def end(self) -> None:
        """Leave nothing behind."""
        for worker in self.workers:
            worker.kill()


def _kill_slot(worker: Worker) -> None:
    worker.find("worker.pool").children()[0].kill()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of this test's own."""
    server = Server(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def storm(server: Server, settings: Settings) -> Iterator[Storm]:
    """A storm to come."""
    changes = {"redis_url": server.url, "grace_s": 1, "max_attempts": 99, "slots": 2}
    storm = Storm(server, settings.model_copy(update=changes))
    yield storm
    storm.end()


@pytest.mark.slow
def test_no_job_is_lost_in_a_storm(storm: Storm) -> None:
    desk, accepted = Desk(storm.settings), []
    over, gust = time.monotonic() + STORM_S, time.monotonic() + 5
    while time.monotonic() < over:
        with suppress(RedisError):
            accepted.append(desk.submit("wait 0.1"))
        time.sleep(0.2)
        if time.monotonic() > gust:
            storm.blow()
            gust = time.monotonic() + storm.chance.uniform(*GUST_S)
    storm.workers.append(Worker(storm.settings))
    ended = [desk.wait(job_id).status for job_id in accepted]
    assert ended == [Status.SUCCEEDED] * len(accepted)
    assert len(accepted) > STORM_S
    with Redis.from_url(storm.server.url) as redis:
        assert redis.zcard("gradgate:finished") >= len(accepted)
        assert redis.zcard("gradgate:running") == 0
    desk.close()
