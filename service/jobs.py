"""A job's record in Redis, and its changes of state.

The record is the truth; a message on the queue is only a wake-up call.  Whoever runs a job holds it by a token and a
lease: a beat extends the lease, a commit needs the token, so a job ends once however often it was started.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal, TypeAlias, cast

from redis import Redis

from service import transitions
from service.contract.job import Job, JobPage, Status
from service.contract.problem import KeyReused, NotFound, Problem, Quarantined
from service.contract.words import Stage, Verdict
from service.records import micros, read_cursor, read_job, write_cursor
from service.settings import Settings

Field: TypeAlias = "bytes | bytearray | memoryview[int] | str | int | float"

_PREFIX = "gradgate:"
_ALL, _QUEUED, _RUNNING, _FINISHED, _WORKERS = (
    _PREFIX + name for name in ("jobs", "queued", "running", "finished", "workers")
)
_DAY_S = 86_400
_LOOKED_AT = 2_000
"""Most records that one page of a filtered list looks at."""


class Claim(StrEnum):
    """What became of the wish to run a job."""

    RUN = "run"
    BUSY = "busy"
    DONE = "done"
    QUARANTINED = "quarantined"


class Jobs:
    """All jobs.  Every call goes to the server; RedisError where it is away."""

    def __init__(self, redis: "Redis", settings: Settings) -> None:
        """Keep the jobs on `redis`, which decodes its answers."""
        self._redis = redis
        self._settings = settings
        self._claim = redis.register_script(transitions.CLAIM)
        self._beat = redis.register_script(transitions.BEAT)
        self._commit = redis.register_script(transitions.COMMIT)
        self._release = redis.register_script(transitions.RELEASE)
        self._cancel = redis.register_script(transitions.CANCEL)
        self._sweep = redis.register_script(transitions.SWEEP)

    @classmethod
    def connect(cls, settings: Settings) -> "Jobs":
        """Return the jobs of the server that the settings name; nothing is sent yet."""
        redis = Redis.from_url(
            settings.redis_url,
            decode_responses=True,
            socket_timeout=5,
            socket_connect_timeout=2,
            health_check_interval=10,
        )
        return cls(redis, settings)

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def create(self, job_id: str, *, created_at: datetime | None = None) -> Job:
        """Record a new job as queued."""
        created = micros(created_at or datetime.now(UTC))
        fields: dict[Field, Field] = {
            "id": job_id,
            "status": Status.QUEUED,
            "stage": Stage.QUEUED,
            "progress": 0,
            "created": created,
            "attempts": 0,
        }
        with self._redis.pipeline() as pipe:
            pipe.hset(_key(job_id), mapping=fields)
            pipe.zadd(_ALL, {job_id: created})
            pipe.zadd(_QUEUED, {job_id: created // 1000})
            pipe.execute()
        return self.get(job_id)

    def get(self, job_id: str) -> Job:
        """Return the job; NotFound where there is none."""
        if not (record := cast("dict[str, str]", self._redis.hgetall(_key(job_id)))):
            msg = f"There is no diagnosis {job_id!r}; finished ones are kept for a limited time."
            raise NotFound(msg)
        return read_job(record)

    def page(self, *, limit: int, cursor: str | None, status: Status | None, verdict: Verdict | None) -> JobPage:
        """Return up to `limit` jobs, newest first, from `cursor` on; Invalid for a cursor that is none of ours.

        A filtered page may be short, even empty, and still have a next one.
        """
        found: list[Job] = []
        after = read_cursor(cursor) if cursor else None
        for looked_at, (place, job) in enumerate(self._newest(after), start=1):
            if job and status in {None, job.status} and verdict in {None, job.verdict}:
                found.append(job)
            if len(found) == limit or looked_at == _LOOKED_AT:
                return JobPage(items=tuple(found), next=write_cursor(place))
        return JobPage(items=tuple(found))

    def cancel(self, job_id: str) -> Job:
        """Cancel the job: at once where nobody runs it, else when its runner looks.  NotFound where there is none."""
        self._cancel(keys=_keys(job_id), args=[job_id, self._retention])
        return self.get(job_id)

    def erase(self, job_id: str) -> None:
        """Forget the job; whoever runs it finds that out at the next beat."""
        owner = f"{_PREFIX}key-of:{job_id}"
        key = cast("str | None", self._redis.get(owner))
        with self._redis.pipeline() as pipe:
            pipe.delete(_key(job_id), owner, *([key] if key else []))
            for index in (_ALL, _QUEUED, _RUNNING, _FINISHED):
                pipe.zrem(index, job_id)
            pipe.execute()

    def remember(self, key: str, fingerprint: str, job_id: str) -> str | None:
        """Tie an idempotency key to a job for a day: None for a new key, the first job's id for a repeated request.

        KeyReused where the key came with another fingerprint.
        """
        name = f"{_PREFIX}key:{key}"
        if self._redis.set(name, f"{job_id} {fingerprint}", nx=True, ex=_DAY_S):
            self._redis.set(f"{_PREFIX}key-of:{job_id}", name, ex=_DAY_S)
            return None
        earlier, _, seen = cast("str", self._redis.get(name) or "").partition(" ")
        if earlier and seen != fingerprint:
            msg = f"The idempotency key {key!r} came before with another request; send another key."
            raise KeyReused(msg)
        return earlier or None

    def ping(self) -> bool:
        """Ask the server for a sign of life."""
        return bool(self._redis.ping())

    def workers(self) -> int:
        """Count the workers that were heard from within two leases."""
        return self._redis.zcount(_WORKERS, self._now() - 2 * self._lease, "+inf")

    def depth(self) -> int:
        """Count the jobs that wait."""
        return self._redis.zcard(_QUEUED)

    def claim(self, job_id: str, token: str) -> Claim:
        """Take a job for the holder of `token`, unless it is over, held by another, or was lost too often."""
        most = self._settings.max_attempts
        problem = Quarantined(
            f"The job was started {most} times and its worker was lost each time; the limit is {most}."
        )
        args: list[Field] = [job_id, token, self._lease, most, self._retention, problem.problem().model_dump_json()]
        return Claim(cast("str", self._claim(keys=_keys(job_id), args=args)))

    def beat(
        self, job_id: str, token: str, stage: Stage, progress: float, detail: str = ""
    ) -> Literal["ok", "cancelled", "lost"]:
        """Extend the lease and say how far the job is: `lost` where another holds it, or nobody."""
        answer = self._beat(keys=_keys(job_id), args=[job_id, token, self._lease, stage, progress, detail])
        return cast('Literal["ok", "cancelled", "lost"]', answer)

    def commit(
        self, job_id: str, token: str, status: Status, *, verdict: Verdict | None = None, problem: Problem | None = None
    ) -> bool:
        """End the job, if `token` holds it still.  A job that was cancelled meanwhile ends cancelled."""
        written = problem.model_dump_json() if problem else ""
        args: list[Field] = [job_id, token, status, self._retention, verdict or "", written]
        return bool(self._commit(keys=_keys(job_id), args=args))

    def release(self, job_id: str, token: str, *, counts: bool) -> bool:
        """Give a running job back to the queue; the start counts as an attempt, or does not."""
        return bool(self._release(keys=_keys(job_id), args=[job_id, token, int(not counts), self._retention]))

    def overdue(self, *, waiting_s: float, at_most: int = 1000) -> list[str]:
        """Return jobs that need another message, and note that they get it now.

        These are the running ones whose lease has lapsed, and the queued ones without a message for `waiting_s`.
        """
        args = [2 * self._lease, int(1000 * waiting_s), at_most]
        return cast("list[str]", self._sweep(keys=[_QUEUED, _RUNNING], args=args))

    def expired(self, *, at_most: int = 1000) -> list[str]:
        """Return finished jobs that were kept for long enough; `erase` forgets them."""
        return cast("list[str]", self._redis.zrangebyscore(_FINISHED, "-inf", self._now(), start=0, num=at_most))

    def attend(self, worker: str) -> None:
        """Note that `worker` is alive, and forget workers that were last heard of a day ago."""
        now = self._now()
        with self._redis.pipeline() as pipe:
            pipe.zadd(_WORKERS, {worker: now})
            pipe.zremrangebyscore(_WORKERS, "-inf", now - 1000 * _DAY_S)
            pipe.execute()

    def leave(self, worker: str) -> None:
        """Note that `worker` has gone."""
        self._redis.zrem(_WORKERS, worker)

    @property
    def _lease(self) -> int:
        return int(1000 * self._settings.lease_s)

    @property
    def _retention(self) -> int:
        return int(1000 * self._settings.retention_s)

    def _now(self) -> int:
        seconds, micros = self._redis.time()
        return seconds * 1000 + micros // 1000

    def _newest(self, after: tuple[int, str] | None) -> Iterator[tuple[tuple[int, str], Job | None]]:
        """Yield each job with its place in the order; None for one that has just been forgotten."""
        newest, start = (after[0] if after else "+inf"), 0
        while chunk := self._redis.zrevrangebyscore(_ALL, newest, "-inf", start=start, num=100, withscores=True):
            places = [(int(score), name) for name, score in cast("list[tuple[str, float]]", chunk)]
            places = [place for place in places if after is None or place < after]
            with self._redis.pipeline(transaction=False) as pipe:
                for _, name in places:
                    pipe.hgetall(_key(name))
                records = pipe.execute()
            yield from (
                (place, read_job(record) if record else None) for place, record in zip(places, records, strict=True)
            )
            start += 100


def _key(job_id: str) -> str:
    return f"{_PREFIX}job:{job_id}"


def _keys(job_id: str) -> list[str]:
    return [_key(job_id), _QUEUED, _RUNNING, _FINISHED]
