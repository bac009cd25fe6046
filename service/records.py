"""How a job and a cursor are written down."""

import base64
import binascii
from datetime import UTC, datetime

from service.contract.job import Job, Status
from service.contract.problem import Invalid, Problem
from service.contract.words import Stage, Verdict


def read_job(record: dict[str, str]) -> Job:
    """Return the job that a hash in Redis holds."""
    status = Status(record["status"])
    problem = record.get("problem")
    return Job(
        id=record["id"],
        status=status,
        stage=Stage(record["stage"]),
        progress=float(record["progress"]),
        detail=record.get("detail", ""),
        created_at=_time(int(record["created"])),
        started_at=_time(1000 * int(record["started"])) if "started" in record else None,
        finished_at=_time(1000 * int(record["finished"])) if "finished" in record else None,
        verdict=Verdict(record["verdict"]) if "verdict" in record else None,
        problem=Problem.model_validate_json(problem) if problem else None,
        links=_links(record["id"], status),
    )


def _links(job_id: str, status: Status) -> dict[str, str]:
    home = f"/v1/diagnoses/{job_id}"
    links = {"self": home, "events": f"{home}/events"}
    if status is Status.SUCCEEDED:
        links |= {"report": f"{home}/report", "gate": f"{home}/gate"}
    return links


def micros(moment: datetime) -> int:
    """Return microseconds since 1970."""
    return int(moment.timestamp() * 1_000_000)


def _time(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1_000_000, UTC)


def write_cursor(place: tuple[int, str]) -> str:
    """Return a place in the order of jobs (microseconds, id) as an opaque word."""
    return base64.urlsafe_b64encode(f"{place[0]} {place[1]}".encode()).decode()


def read_cursor(cursor: str) -> tuple[int, str]:
    """Return the place that `write_cursor` wrote; Invalid for anything else."""
    try:
        created, job_id = base64.b64decode(cursor.encode(), b"-_", validate=True).decode().split(" ")
        return int(created), job_id
    except (ValueError, binascii.Error) as error:
        msg = f"The cursor {cursor[:80]!r} was not given out by this service."
        raise Invalid(msg) from error
