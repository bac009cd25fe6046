"""A submission: from the request's body to a queued job."""

from typing import Annotated, Any

from fastapi import Header, Request
from fastapi.concurrency import run_in_threadpool

from service.backing import Backing
from service.contract.job import Job
from service.contract.problem import (
    Invalid,
    KeyReused,
    Malformed,
    TooComplex,
    TooLarge,
    UnreadableModel,
    Unsupported,
    UnsupportedModel,
)
from service.intake import Intake, Upload
from service.problems import refusals
from service.waiting import finished, wished

Prefer = Annotated[
    str | None,
    Header(
        description="`wait=N` (RFC 7240): hold the answer for up to N seconds, until the job is final.",
        examples=["wait=60"],
        max_length=200,
    ),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        description="Makes a retry safe: the same key with the same body gets the first answer, for a day.",
        min_length=1,
        max_length=255,
    ),
]

REFUSALS = refusals(Malformed, TooLarge, Unsupported, Invalid, KeyReused, UnreadableModel, UnsupportedModel, TooComplex)

_FILE = {"type": "string", "format": "binary"}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["model"],
                    "properties": {
                        "model": _FILE
                        | {"description": "ONNX, Gradgate architecture JSON, or Keras's model.to_json()."},
                        "batch": _FILE
                        | {"description": ".npz, .npy, .safetensors or .json; drawn where there is none."},
                        "second_batch": _FILE
                        | {"description": "As `batch`, of other samples; a prescription must hold on it, too."},
                        "data": {
                            "type": "array",
                            "items": _FILE,
                            "description": "An ONNX model's external data files, under their declared names.",
                        },
                        "options": {"$ref": "#/components/schemas/Options"},
                    },
                },
                "encoding": {"options": {"contentType": "application/json"}},
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["model"],
                    "additionalProperties": False,
                    "properties": {
                        "model": {"type": "object", "description": "An architecture, or Keras's model.to_json()."},
                        "batch": {
                            "type": "object",
                            "description": "Nested lists by input name, and `target`.",
                            "examples": [{"input": [[0.5, -1.25], [2.0, 0.0]], "target": [0, 1]}],
                        },
                        "second_batch": {
                            "type": "object",
                            "description": "As `batch`, of other samples; a prescription must hold on it, too.",
                        },
                        "options": {"$ref": "#/components/schemas/Options"},
                    },
                }
            },
        },
    }
}


async def accept(request: Request, use: Backing, key: str | None, wait_s: float) -> Job:
    """Store the upload, record the job, queue it, and return it once it is final or `wait_s` seconds are over.

    The queue's server is asked first: an upload that it could not record is not taken in.
    """
    await run_in_threadpool(use.jobs.ping)
    upload = await Intake(use.storage, use.settings).take(request)
    try:
        job = await run_in_threadpool(_record, use, upload, key)
    except BaseException:
        await run_in_threadpool(use.storage.erase, upload.job_id)
        raise
    if job.id == upload.job_id:
        await run_in_threadpool(_wake, use, job.id)
    else:
        await run_in_threadpool(use.storage.erase, upload.job_id)
    return await finished(use.jobs, job, wait_s)


def wait_s(use: Backing, prefer: str | None) -> float:
    """Return the seconds that a caller is willing to wait; 0 where none are asked for."""
    return wished(prefer, use.settings.wait_limit_s) or 0


def _record(use: Backing, upload: Upload, key: str | None) -> Job:
    """Save the job before its key, so that a key never leads to a job that is not there."""
    job = use.jobs.create(upload.job_id)
    if key is None:
        return job
    try:
        earlier = use.jobs.remember(key, upload.fingerprint, upload.job_id)
    except KeyReused:
        use.jobs.erase(upload.job_id)
        raise
    if earlier is None:
        return job
    use.jobs.erase(upload.job_id)
    return use.jobs.get(earlier)


def _wake(use: Backing, job_id: str) -> None:
    """Queue the job.  Where that fails it is on record as queued all the same, and a sweep queues it later."""
    use.metrics.accepted.inc()
    use.enqueue(job_id)
