"""Any order of claims, beats, commits, cancellations and losses: the record does what a plain model of it does."""

from dataclasses import dataclass, field
from functools import partial
from typing import cast

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from redis import Redis

from service.contract.job import Status
from service.contract.problem import NotFound
from service.contract.words import Stage, Verdict
from service.jobs import Claim, Jobs
from service.settings import Settings

MOST = 3
TOKENS = st.sampled_from(["one", "two", "three"])
JOB = "job"


@dataclass
class Model:
    """What the record should say."""

    status: Status = Status.QUEUED
    token: str = ""
    held: bool = False
    """Whether the lease runs."""
    starts: int = 0
    marked: bool = False
    """Whether somebody wants it cancelled."""
    ends: list[Status] = field(default_factory=list)

    def end(self, status: Status) -> None:
        """End."""
        self.status, self.held = status, False
        self.ends.append(status)

    def owns(self, token: str) -> bool:
        """Say whether `token` runs the job."""
        return self.status is Status.RUNNING and self.token == token


class Record(RuleBasedStateMachine):
    """One job, and everybody who may touch it."""

    def __init__(self, redis: "Redis", redis_url: str) -> None:
        """Start with a new job."""
        super().__init__()
        redis.flushall()
        self.redis = redis
        self.jobs = Jobs(redis, Settings(redis_url=redis_url, lease_s=3600, max_attempts=MOST))
        self.jobs.create(JOB)
        self.model: Model | None = Model()

    @rule(token=TOKENS)
    def claim(self, token: str) -> None:
        """Claim it."""
        assert self.jobs.claim(JOB, token) is self._claimed(token)

    def _claimed(self, token: str) -> Claim:
        model = self.model
        if model is None or model.status.final:
            return Claim.DONE
        if model.owns(token):
            return Claim.RUN
        if model.held:
            return Claim.BUSY
        if model.marked:
            model.end(Status.CANCELLED)
            return Claim.DONE
        if model.starts == MOST:
            model.end(Status.FAILED)
            return Claim.QUARANTINED
        model.status, model.token, model.held, model.starts = Status.RUNNING, token, True, model.starts + 1
        return Claim.RUN

    @rule(token=TOKENS)
    def beat(self, token: str) -> None:
        """Give a sign of life."""
        answer = self.jobs.beat(JOB, token, Stage.PROBING, 0.5)
        model = self.model
        if model is None or not model.owns(token):
            assert answer == "lost"
            return
        model.held = True
        assert answer == ("cancelled" if model.marked else "ok")

    @rule(token=TOKENS, failed=st.booleans())
    def commit(self, token: str, failed: bool) -> None:  # noqa: FBT001  drawn by name
        """End it."""
        status, verdict = (Status.FAILED, None) if failed else (Status.SUCCEEDED, Verdict.PASS)
        ended = self.jobs.commit(JOB, token, status, verdict=verdict)
        if self.model is not None and self.model.owns(token):
            assert ended
            self.model.end(Status.CANCELLED if self.model.marked else status)

    @rule(token=TOKENS, counts=st.booleans())
    def release(self, token: str, counts: bool) -> None:  # noqa: FBT001  drawn by name
        """Give it back."""
        given_back = self.jobs.release(JOB, token, counts=counts)
        model = self.model
        assert given_back == (model is not None and model.owns(token))
        if model is None or not given_back:
            return
        if model.marked:
            model.end(Status.CANCELLED)
        else:
            model.status, model.held, model.token = Status.QUEUED, False, ""
            model.starts -= not counts

    @precondition(lambda self: self.model is not None)
    @rule()
    def cancel(self) -> None:
        """Cancel it."""
        self.jobs.cancel(JOB)
        model = self.model
        assert model is not None
        if model.held:
            model.marked = True
        elif not model.status.final:
            model.end(Status.CANCELLED)

    @precondition(lambda self: self.model is not None and self.model.held)
    @rule()
    def lapse(self) -> None:
        """Let so much time pass that the lease is over."""
        self.redis.hset(f"gradgate:job:{JOB}", "lease", 0)
        self.redis.zadd("gradgate:running", {JOB: 0})
        assert self.model is not None
        self.model.held = False

    @rule()
    def sweep(self) -> None:
        """Look for lost jobs."""
        model = self.model
        wanted = model is not None and not model.status.final and not model.held
        found = self.jobs.overdue(waiting_s=0)
        assert set(found) <= ({JOB} if wanted else set())

    @precondition(lambda self: self.model is None or self.model.status.final)
    @rule()
    def renew(self) -> None:
        """Hand the job in anew."""
        self.jobs.erase(JOB)
        self.jobs.create(JOB)
        self.model = Model()

    @rule(really=st.integers(0, 9))
    def erase(self, really: int) -> None:
        """Erase it, now and then."""
        if not really:
            self.jobs.erase(JOB)
            self.model = None

    @invariant()
    def agrees(self) -> None:
        """The record says what the model says."""
        try:
            job = self.jobs.get(JOB)
        except NotFound:
            assert self.model is None
            return
        assert self.model is not None
        assert job.status is self.model.status
        assert (job.finished_at is not None) == job.status.final
        assert (job.verdict is not None) == (job.status is Status.SUCCEEDED)
        assert len(self.model.ends) <= 1

    @invariant()
    def stands_in_one_index(self) -> None:
        """The job stands where its status belongs, and nowhere else."""
        indexes = ("queued", "running", "finished")
        standing = [name for name in indexes if self.redis.zscore(f"gradgate:{name}", JOB) is not None]
        if self.model is None:
            assert standing == []
        else:
            assert standing == ["finished" if self.model.status.final else str(self.model.status)]


def test_the_record_does_what_its_model_does(redis_url: str) -> None:
    few = settings(
        max_examples=60,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    with Redis.from_url(redis_url, decode_responses=True) as redis:
        machine = cast("type[Record]", partial(Record, redis, redis_url))
        run_state_machine_as_test(machine, settings=few)
