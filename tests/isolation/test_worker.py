"""What becomes of a job, whatever it does: a real worker, a real server, a stand-in for the examination."""

import json
import os
import time

import psutil
import pytest

from service.contract.job import Job, Status
from service.contract.problem import Problem
from service.contract.words import Stage, Verdict
from service.jobs import Claim
from service.queue import enqueue
from tests.isolation.workers import Workshop


def problem(job: Job) -> Problem:
    """Return the problem of a job that failed."""
    assert job.status is Status.FAILED
    assert job.problem is not None
    return job.problem


def summary(workshop: Workshop, job: Job) -> str:
    """Return what the job's report says."""
    assert job.status is Status.SUCCEEDED, job.problem
    said: str = json.loads(workshop.desk.storage.read(f"{job.id}/report.json"))["summary"]
    return said


def run(workshop: Workshop, words: str) -> Job:
    """Run one job to its end."""
    return workshop.desk.wait(workshop.desk.submit(words))


def gone(pid: int) -> bool:
    """Say whether a process ends within a few seconds."""
    end = time.monotonic() + 5
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_a_job_succeeds_with_its_report_in_storage(workshop: Workshop) -> None:
    desk = workshop.desk
    job = desk.wait(desk.submit("pass", {"batch": "B", "second-batch": "C", "data/w.bin": "W"}))
    assert summary(workshop, job) == "B C ['w.bin'] cpu"
    assert (job.stage, job.progress, job.verdict) == (Stage.DONE, 1, Verdict.WARN)
    assert job.started_at is not None
    assert job.finished_at is not None
    assert job.created_at < job.started_at < job.finished_at


def test_a_child_trains_with_the_threads_of_its_slot(workshop: Workshop) -> None:
    assert summary(workshop, run(workshop, "train")) == f"{len(os.sched_getaffinity(0))} threads"


def test_trouble_crosses_as_it_is(workshop: Workshop) -> None:
    told = problem(run(workshop, "refuse Line 3 is no JSON."))
    assert (told.type, told.detail, told.pointer) == ("/problems/unreadable-model", "Line 3 is no JSON.", "/layers/3")


def test_an_unexpected_error_is_a_crash_without_its_trace(workshop: Workshop) -> None:
    told = problem(run(workshop, "stumble /secret/path"))
    assert told.type == "/problems/crashed"
    assert "KeyError" in told.detail
    assert "secret" not in told.model_dump_json()


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGABRT"])
def test_a_death_is_a_crash_that_names_the_signal_and_the_next_job_runs(workshop: Workshop, name: str) -> None:
    told = problem(run(workshop, f"die {name}"))
    assert told.type == "/problems/crashed"
    assert name in told.detail
    assert run(workshop, "pass").status is Status.SUCCEEDED


def test_leaving_without_a_word_is_a_crash(workshop: Workshop) -> None:
    assert "status 0" in problem(run(workshop, "leave 0")).detail
    assert "status 7" in problem(run(workshop, "leave 7")).detail


@pytest.mark.parametrize("words", ["hog", "hog_tensors"])
def test_too_much_memory_is_a_problem_that_names_the_limit(workshop: Workshop, words: str) -> None:
    told = problem(run(workshop, words))
    assert told.type == "/problems/out-of-memory"
    assert "1536 MiB" in told.detail


def test_an_endless_job_is_ended_at_its_limit(workshop: Workshop) -> None:
    told = problem(run(workshop, "wait 600"))
    assert told.type == "/problems/timed-out"
    assert "5 s" in told.detail


def test_a_running_job_is_cancelled_and_its_process_is_gone(workshop: Workshop) -> None:
    desk = workshop.desk
    job_id = desk.submit("wait 600")
    desk.wait(job_id, lambda job: job.stage is Stage.PROBING)
    child = psutil.Process(workshop.worker.find("isolation.zygote").pid).children()[0].pid
    desk.jobs.cancel(job_id)
    assert desk.wait(job_id).status is Status.CANCELLED
    assert gone(child)


def test_an_erased_job_is_stopped_and_leaves_nothing(workshop: Workshop) -> None:
    desk = workshop.desk
    job_id = desk.submit("wait 600")
    desk.wait(job_id, lambda job: job.stage is Stage.PROBING)
    desk.jobs.erase(job_id)
    desk.storage.erase(job_id)
    assert run(workshop, "pass").status is Status.SUCCEEDED
    assert desk.storage.names(job_id) == ()


def test_descendants_end_with_the_job(workshop: Workshop) -> None:
    assert gone(int(summary(workshop, run(workshop, "fork 600"))))


def test_a_job_that_another_holds_is_left_alone(workshop: Workshop) -> None:
    desk = workshop.desk
    job_id = desk.submit("wait 0.5")
    desk.wait(job_id, lambda job: job.status is Status.RUNNING)
    assert desk.jobs.claim(job_id, "another") is Claim.BUSY
    assert desk.wait(job_id).status is Status.SUCCEEDED


def test_a_message_for_a_finished_job_changes_nothing(workshop: Workshop) -> None:
    desk = workshop.desk
    before = run(workshop, "pass")
    enqueue(desk.app, before.id)
    run(workshop, "pass")
    assert desk.jobs.get(before.id) == before


def test_a_job_without_its_model_fails_and_says_so(workshop: Workshop) -> None:
    desk = workshop.desk
    job_id = desk.submit("wait 0.3")
    second = desk.submit("pass")
    desk.storage.erase(second)
    assert problem(desk.wait(second)).type == "/problems/not-found"
    assert desk.wait(job_id).status is Status.SUCCEEDED


def test_progress_is_seen_while_the_job_runs(workshop: Workshop) -> None:
    desk = workshop.desk
    job_id = desk.submit("wait 1")
    seen = desk.wait(job_id, lambda job: job.stage is Stage.PROBING)
    assert (seen.status, seen.progress) == (Status.RUNNING, 0.25)
    assert desk.wait(job_id, lambda job: job.detail != "").detail == "doing wait"
    assert desk.wait(job_id).detail == ""


def test_the_worker_is_counted(workshop: Workshop) -> None:
    run(workshop, "pass")
    assert workshop.desk.jobs.workers() == 1


def test_the_celery_processes_hold_no_torch(workshop: Workshop) -> None:
    run(workshop, "train")
    pool = workshop.worker.find("worker.pool")
    for process in (pool, *pool.children()):
        assert not [entry.path for entry in process.memory_maps() if "libtorch" in entry.path]


def test_a_child_knows_no_password(workshop: Workshop) -> None:
    assert "GRADGATE" not in summary(workshop, run(workshop, "environment"))


def test_a_zygote_that_dies_is_replaced_and_the_job_runs_again(workshop: Workshop) -> None:
    desk = workshop.desk
    job_id = desk.submit("wait 3")
    desk.wait(job_id, lambda job: job.stage is Stage.PROBING)
    workshop.worker.find("isolation.zygote").kill()
    assert desk.wait(job_id).status is Status.SUCCEEDED
