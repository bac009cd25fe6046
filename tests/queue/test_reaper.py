"""Lost messages and expired jobs, against a real server."""

import time
from collections.abc import Iterator

import pytest
from celery import Celery
from redis import Redis

from service.contract.problem import NotFound
from service.jobs import Jobs
from service.queue import enqueue, queue, waiting
from service.reaper import Reaper
from service.settings import Settings
from service.storage import Storage, open_storage


@pytest.fixture
def app(settings: Settings) -> Iterator[Celery]:
    app = queue(settings)
    yield app
    app.close()


@pytest.fixture
def storage(settings: Settings) -> Storage:
    return open_storage(settings.storage)


def test_a_message_is_the_job_s_id_and_nothing_else(app: Celery, settings: Settings) -> None:
    assert waiting(app) == 0
    assert enqueue(app, "a")
    assert waiting(app) == 1
    with app.connection_for_read() as connection, connection.SimpleQueue("gradgate") as messages:
        message = messages.get(timeout=2)
        assert message.payload[0] == ["a"]
        message.ack()


def test_a_server_that_is_away_delays_the_message(settings: Settings) -> None:
    app = queue(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    assert not enqueue(app, "a")
    app.close()


def test_a_lost_message_is_sent_again_once(app: Celery, jobs: Jobs, settings: Settings, storage: Storage) -> None:
    reaper = Reaper(jobs, app, storage, patience_s=0.2)
    jobs.create("a")
    reaper.sweep()
    assert waiting(app) == 0
    time.sleep(0.25)
    reaper.sweep()
    reaper.sweep()
    assert waiting(app) == 1


def test_what_is_kept_long_enough_is_erased(app: Celery, settings: Settings, storage: Storage) -> None:
    jobs = Jobs.connect(settings.model_copy(update={"retention_s": 0.05}))
    for name in ("a", "b"):
        jobs.create(name)
        storage.write(f"{name}/model", b"")
    jobs.cancel("a")
    time.sleep(0.1)
    Reaper(jobs, app, storage, patience_s=9).sweep()
    assert (storage.exists("a/model"), storage.exists("b/model")) == (False, True)
    with pytest.raises(NotFound):
        jobs.get("a")
    jobs.close()


def test_no_key_lies_outside_the_service_s_own(app: Celery, jobs: Jobs, redis_url: str) -> None:
    jobs.create("a")
    enqueue(app, "a")
    with Redis.from_url(redis_url, decode_responses=True) as redis:
        assert {key.partition(":")[0] for key in redis.scan_iter()} == {"gradgate"}
