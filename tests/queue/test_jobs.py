"""The job record, against a real server."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis

from service.contract.job import Status
from service.contract.problem import Crashed, Invalid, KeyReused, NotFound
from service.contract.words import Stage, Verdict
from service.jobs import Claim, Jobs
from service.settings import Settings

LEASE_S = 0.05


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Leases that end while a test looks on."""
    return settings.model_copy(update={"lease_s": LEASE_S})


def lapse() -> None:
    """Wait until a lease has ended."""
    time.sleep(2 * LEASE_S)


def test_a_new_job_is_queued(jobs: Jobs) -> None:
    job = jobs.create("a")
    assert (job.status, job.stage, job.progress) == (Status.QUEUED, Stage.QUEUED, 0)
    assert job.links["self"] == "/v1/diagnoses/a"
    assert jobs.get("a") == job
    assert jobs.depth() == 1


def test_an_unknown_job_is_not_found(jobs: Jobs) -> None:
    with pytest.raises(NotFound):
        jobs.get("a")
    with pytest.raises(NotFound):
        jobs.cancel("a")


def test_only_one_claim_wins(jobs: Jobs) -> None:
    jobs.create("a")
    assert jobs.claim("a", "first") is Claim.RUN
    assert jobs.claim("a", "second") is Claim.BUSY
    assert jobs.get("a").status is Status.RUNNING
    assert jobs.depth() == 0


def test_a_claim_sent_twice_is_one_claim(jobs: Jobs) -> None:
    jobs.create("a")
    assert [jobs.claim("a", "first") for _ in range(5)] == [Claim.RUN] * 5


def test_what_does_not_exist_is_done(jobs: Jobs) -> None:
    assert jobs.claim("a", "first") is Claim.DONE


def test_a_beat_extends_the_lease_and_tells_the_progress(jobs: Jobs) -> None:
    jobs.create("a")
    jobs.claim("a", "first")
    lapse()
    assert jobs.beat("a", "first", Stage.PROBING, 0.5) == "ok"
    assert jobs.claim("a", "second") is Claim.BUSY
    assert (jobs.get("a").stage, jobs.get("a").progress) == (Stage.PROBING, 0.5)


def test_what_is_being_done_is_told_until_it_is_over(jobs: Jobs) -> None:
    jobs.create("a")
    jobs.claim("a", "first")
    jobs.beat("a", "first", Stage.TREATING, 0.5, "trying tanh, 1 of 9")
    assert jobs.get("a").detail == "trying tanh, 1 of 9"
    jobs.release("a", "first", counts=False)
    assert jobs.get("a").detail == ""
    jobs.claim("a", "second")
    jobs.beat("a", "second", Stage.TREATING, 0.5, "trying selu, 2 of 9")
    jobs.commit("a", "second", Status.SUCCEEDED, verdict=Verdict.PASS)
    assert jobs.get("a").detail == ""


def test_whoever_lost_the_lease_commits_nothing(jobs: Jobs) -> None:
    jobs.create("a")
    jobs.claim("a", "first")
    lapse()
    assert jobs.claim("a", "second") is Claim.RUN
    assert jobs.beat("a", "first", Stage.PROBING, 0.5) == "lost"
    assert not jobs.commit("a", "first", Status.SUCCEEDED, verdict=Verdict.PASS)
    assert jobs.commit("a", "second", Status.SUCCEEDED, verdict=Verdict.WARN)
    assert jobs.get("a").verdict is Verdict.WARN


def test_a_finished_job_stays_as_it_is(jobs: Jobs) -> None:
    jobs.create("a")
    jobs.claim("a", "first")
    jobs.commit("a", "first", Status.SUCCEEDED, verdict=Verdict.FAIL)
    finished = jobs.get("a")
    assert (finished.stage, finished.progress) == (Stage.DONE, 1)
    assert "report" in finished.links
    jobs.commit("a", "first", Status.FAILED, problem=Crashed("late").problem())
    assert jobs.claim("a", "second") is Claim.DONE
    assert jobs.cancel("a") == finished


def test_a_problem_survives_the_record(jobs: Jobs) -> None:
    jobs.create("a")
    jobs.claim("a", "first")
    problem = Crashed("SIGSEGV").problem()
    jobs.commit("a", "first", Status.FAILED, problem=problem)
    assert jobs.get("a").problem == problem


def test_lost_leases_end_in_quarantine(jobs: Jobs, settings: Settings) -> None:
    jobs.create("a")
    for attempt in range(settings.max_attempts):
        assert jobs.claim("a", f"{attempt}") is Claim.RUN
        lapse()
    assert jobs.claim("a", "last") is Claim.QUARANTINED
    job = jobs.get("a")
    assert job.status is Status.FAILED
    assert job.problem is not None
    assert job.problem.type == "/problems/quarantined"


def test_a_shutdown_is_no_attempt(jobs: Jobs, settings: Settings) -> None:
    jobs.create("a")
    for attempt in range(settings.max_attempts + 2):
        assert jobs.claim("a", f"{attempt}") is Claim.RUN
        assert jobs.release("a", f"{attempt}", counts=False)
        assert jobs.get("a").status is Status.QUEUED


def test_a_queued_job_is_cancelled_at_once(jobs: Jobs) -> None:
    jobs.create("a")
    assert jobs.cancel("a").status is Status.CANCELLED
    assert jobs.claim("a", "first") is Claim.DONE
    assert jobs.depth() == 0


def test_a_running_job_hears_of_its_cancellation(jobs: Jobs) -> None:
    jobs.create("a")
    jobs.claim("a", "first")
    assert jobs.cancel("a").status is Status.RUNNING
    assert jobs.beat("a", "first", Stage.PROBING, 0.1) == "cancelled"
    assert jobs.commit("a", "first", Status.SUCCEEDED, verdict=Verdict.PASS)
    assert jobs.get("a").status is Status.CANCELLED


def test_a_lost_job_is_cancelled_at_once(jobs: Jobs) -> None:
    jobs.create("a")
    jobs.claim("a", "first")
    lapse()
    assert jobs.cancel("a").status is Status.CANCELLED
    assert jobs.beat("a", "first", Stage.PROBING, 0.1) == "lost"


def test_an_erased_job_leaves_nothing_and_stops_its_runner(jobs: Jobs, redis_url: str) -> None:
    jobs.create("a")
    jobs.remember("key", "print", "a")
    jobs.claim("a", "first")
    jobs.erase("a")
    assert jobs.beat("a", "first", Stage.PROBING, 0.1) == "lost"
    assert not jobs.commit("a", "first", Status.SUCCEEDED)
    with Redis.from_url(redis_url) as redis:
        assert redis.keys() == []


def test_pages_hold_every_job_once_newest_first(jobs: Jobs) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    names = [f"{number:03}" for number in range(250)]
    for number, name in enumerate(names):
        jobs.create(name, created_at=start + timedelta(seconds=number // 3))
    seen, cursor = [], None
    while True:
        page = jobs.page(limit=7, cursor=cursor, status=None, verdict=None)
        seen += [job.id for job in page.items]
        if (cursor := page.next) is None:
            break
    assert seen == names[::-1]


def test_pages_are_filtered(jobs: Jobs) -> None:
    for name in "abc":
        jobs.create(name)
    jobs.claim("b", "first")
    jobs.commit("b", "first", Status.SUCCEEDED, verdict=Verdict.WARN)
    assert [job.id for job in jobs.page(limit=9, cursor=None, status=Status.QUEUED, verdict=None).items] == ["c", "a"]
    assert [job.id for job in jobs.page(limit=9, cursor=None, status=None, verdict=Verdict.WARN).items] == ["b"]


@pytest.mark.parametrize("cursor", ["x", "%%%", "MSAyIDM=", "\N{SNOWMAN}"])
def test_a_foreign_cursor_is_invalid(jobs: Jobs, cursor: str) -> None:
    with pytest.raises(Invalid):
        jobs.page(limit=1, cursor=cursor, status=None, verdict=None)


def test_an_idempotency_key_belongs_to_one_request(jobs: Jobs) -> None:
    assert jobs.remember("key", "print", "a") is None
    assert jobs.remember("key", "print", "b") == "a"
    with pytest.raises(KeyReused):
        jobs.remember("key", "other", "c")


def test_overdue_jobs_are_named_once(jobs: Jobs) -> None:
    for name in "abc":
        jobs.create(name)
    jobs.claim("b", "first")
    lapse()
    assert jobs.overdue(waiting_s=3600) == ["b"]
    assert jobs.overdue(waiting_s=3600) == []
    assert sorted(jobs.overdue(waiting_s=0)) == ["a", "c"]
    assert jobs.claim("b", "second") is Claim.RUN


def test_finished_jobs_expire(settings: Settings) -> None:
    jobs = Jobs.connect(settings.model_copy(update={"retention_s": LEASE_S}))
    jobs.create("a")
    jobs.create("b")
    jobs.cancel("a")
    lapse()
    assert jobs.expired() == ["a"]
    jobs.erase("a")
    assert jobs.expired() == []
    assert [job.id for job in jobs.page(limit=9, cursor=None, status=None, verdict=None).items] == ["b"]
    jobs.close()


def test_workers_count_while_they_are_heard_of(jobs: Jobs) -> None:
    assert jobs.workers() == 0
    jobs.attend("one")
    jobs.attend("two")
    assert jobs.workers() == 2
    jobs.leave("one")
    assert jobs.workers() == 1
    time.sleep(4 * LEASE_S)
    assert jobs.workers() == 0
