"""Workers and servers that die in the middle of a job: it ends once, and as if nothing had happened."""

import time
from collections.abc import Callable
from pathlib import Path

import psutil
from redis import Redis

from service.contract.job import Status
from service.contract.words import Stage
from service.settings import Settings
from tests.isolation.workers import Desk, Worker
from tests.real_server import Server

Hire = Callable[..., Worker]


class Ends:
    """Counts how often jobs end, by listening to the server's own log of commands."""

    def __init__(self, url: str) -> None:
        """Listen."""
        self._redis = Redis.from_url(url, decode_responses=True)
        self._redis.config_set("notify-keyspace-events", "Kz")
        self._heard = self._redis.pubsub()  # type: ignore[no-untyped-call]
        self._heard.psubscribe("__keyspace@0__:gradgate:finished")

    def count(self) -> int:
        """Return the ends so far."""
        heard = []
        while message := self._heard.get_message(timeout=0.1):
            heard.append(message["data"])
        self._heard.close()
        self._redis.close()
        return heard.count("zadd")


def attempts(redis_url: str, job_id: str) -> int:
    """Return how often the job was started."""
    with Redis.from_url(redis_url, decode_responses=True) as redis:
        return int(redis.hget(f"gradgate:job:{job_id}", "attempts") or 0)


def test_a_worker_s_death_is_made_good_by_another(hire: Hire, desk: Desk, redis_url: str) -> None:
    ends = Ends(redis_url)
    first = hire()
    job_id = desk.submit("wait 2")
    desk.wait(job_id, lambda job: job.stage is Stage.PROBING)
    first.kill()
    hire()
    assert desk.wait(job_id).status is Status.SUCCEEDED
    assert attempts(redis_url, job_id) == 2
    time.sleep(0.5)
    assert ends.count() == 1


def test_a_worker_that_is_told_to_stop_gives_its_job_back(hire: Hire, desk: Desk, redis_url: str) -> None:
    worker = hire(grace_s=1)
    job_id = desk.submit("wait 600")
    desk.wait(job_id, lambda job: job.stage is Stage.PROBING)
    assert worker.stop() == 0
    assert desk.jobs.get(job_id).status is Status.QUEUED
    assert attempts(redis_url, job_id) == 0
    assert desk.jobs.workers() == 0


def test_a_job_outlives_the_server_s_death(tmp_path: Path, settings: Settings, hire: Hire) -> None:
    server = Server(tmp_path)
    server.start()
    own = settings.model_copy(update={"redis_url": server.url})
    desk = Desk(own)
    hire(redis_url=server.url)
    running, queued = desk.submit("wait 2"), desk.submit("pass")
    desk.wait(running, lambda job: job.stage is Stage.PROBING)
    server.kill()
    time.sleep(1)
    server.start()
    assert desk.wait(running).status is Status.SUCCEEDED
    assert desk.wait(queued).status is Status.SUCCEEDED
    desk.close()
    server.kill()


def test_a_job_that_loses_too_many_workers_is_quarantined_and_the_next_one_runs(
    hire: Hire, desk: Desk, redis_url: str
) -> None:
    worker = hire(max_attempts=2)
    job_id = desk.submit("wait 600")
    for attempt in (1, 2):
        desk.wait(job_id, lambda job: job.stage is Stage.PROBING and attempts(redis_url, job_id) == attempt)  # noqa: B023
        worker.find("isolation.zygote").kill()
        desk.wait(job_id, lambda job: job.stage is not Stage.PROBING)
    job = desk.wait(job_id)
    assert job.problem is not None
    assert job.problem.type == "/problems/quarantined"
    assert desk.wait(desk.submit("pass")).status is Status.SUCCEEDED


def test_a_worker_without_its_pool_ends_and_leaves_nothing(hire: Hire, desk: Desk) -> None:
    worker = hire()
    desk.wait(desk.submit("pass"))
    family = worker.family()
    worker.find("worker.pool").kill()
    assert worker.process.wait(timeout=10) == 1
    assert not psutil.wait_procs(family, timeout=10)[1]


def test_a_worker_s_death_takes_all_its_processes_along(hire: Hire, desk: Desk) -> None:
    worker = hire()
    desk.wait(desk.submit("wait 600"), lambda job: job.stage is Stage.PROBING)
    family = worker.family()
    psutil.Process(worker.pid).kill()
    assert not psutil.wait_procs(family, timeout=10)[1]
