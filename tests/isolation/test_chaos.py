"""Workers and servers that die in the middle of a job: it ends once, and as if nothing had happened."""

import time
from collections.abc import Callable
from pathlib import Path

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
        self._heard = self._redis.pubsub()
        self._heard.psubscribe("__keyspace@0__:gradgate:finished")

    def count(self) -> int:
        """Return the ends so far."""
        heard = []
        while message := self._heard.get_message(timeout=0.1):
            heard.append(message["data"])
        self._heard.close()
        self._redis.close()
        return heard.count("zadd")


def test_a_worker_s_death_is_made_good_by_another(hire: Hire, desk: Desk, redis_url: str, tmp_path: Path) -> None:
    ends = Ends(redis_url)
    first = hire()
    job_id = desk.submit(f"wait_once {tmp_path / 'mark'}")
    desk.wait(job_id, lambda job: job.stage is Stage.PROBING)
    first.kill()
    hire()
    assert desk.wait(job_id).status is Status.SUCCEEDED
    assert b'"second"' in desk.storage.read(f"{job_id}/report.json")
    time.sleep(0.5)
    assert ends.count() == 1


def test_a_worker_that_is_told_to_stop_gives_its_job_back(hire: Hire, desk: Desk, redis_url: str) -> None:
    worker = hire(grace_s=1)
    job_id = desk.submit("wait 600")
    desk.wait(job_id, lambda job: job.stage is Stage.PROBING)
    assert worker.stop() == 0
    assert desk.jobs.get(job_id).status is Status.QUEUED
    with Redis.from_url(redis_url, decode_responses=True) as redis:
        assert redis.hget(f"gradgate:job:{job_id}", "attempts") == "0"
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


def test_a_job_that_always_loses_its_worker_is_quarantined_and_the_next_one_runs(hire: Hire, desk: Desk) -> None:
    hire()
    job_id = desk.submit("kill_parent")
    job = desk.wait(job_id)
    assert job.status is Status.FAILED
    assert job.problem is not None
    assert job.problem.type == "/problems/quarantined"
    assert desk.wait(desk.submit("pass")).status is Status.SUCCEEDED
