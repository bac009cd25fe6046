"""Every way this can go wrong, on the wire and in the code.

    Trouble
    ├── Refused          the request is at fault                  4xx
    │   ├── Malformed        400   a body that is not what its Content-Type says
    │   ├── NotFound         404
    │   ├── NotAllowed       405
    │   ├── NotAcceptable    406   a report in a format that nobody writes
    │   ├── NotFinished      409
    │   ├── TooLarge         413
    │   ├── Unsupported      415
    │   ├── Invalid          422   an option, a description or a batch that breaks its schema
    │   ├── KeyReused        422   an idempotency key with another body
    │   └── NoReport         422   the examination failed or was cancelled; `cause` says why
    ├── Unfit            the upload cannot be examined            the job fails, 422 in the problem
    │   ├── UnreadableModel
    │   ├── UnreadableBatch
    │   ├── UnsupportedOperator
    │   ├── UnsupportedModel
    │   ├── BatchMismatch
    │   ├── TooComplex
    │   └── UnfaithfulImport
    ├── Broken           the examination itself ended early       the job fails, 500 in the problem
    │   ├── TimedOut
    │   ├── OutOfMemory
    │   ├── Crashed
    │   └── Quarantined
    └── Unavailable      something behind the service is away     503

A module that needs another kind adds a class here; its `type` is `/problems/<slug>`.
"""

import re
from typing import ClassVar

from pydantic import ConfigDict, Field

from service.contract.base import Contract

LONGEST = 2000
"""Most letters of a detail: names come from uploads, and can be any length."""


class Problem(Contract):
    """What went wrong, as RFC 9457 `application/problem+json`."""

    model_config = ConfigDict(extra="allow")

    type: str
    """The kind of problem: a path under `/problems/`."""
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    instance: str | None = None
    pointer: str | None = None
    """The JSON pointer of the value at fault, where there is one."""


class Trouble(Exception):
    """Something that ends in a problem.  The message carries the measured value and the limit."""

    title: ClassVar[str] = "Something went wrong."
    status: ClassVar[int] = 500

    def __init__(self, detail: str, *, pointer: str | None = None) -> None:
        """Say what is wrong, and where in the caller's document (a JSON pointer)."""
        detail = detail if len(detail) <= LONGEST else f"{detail[:LONGEST]} …"
        super().__init__(detail)
        self.detail = detail
        self.pointer = pointer if pointer is None or len(pointer) <= LONGEST else pointer[:LONGEST].rpartition("/")[0]

    @classmethod
    def slug(cls) -> str:
        """Return the kind's name in a URL: `TooLarge` is `too-large`."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", cls.__name__).lower()

    def problem(self, instance: str | None = None) -> Problem:
        """Return what goes on the wire."""
        return Problem(
            type=f"/problems/{self.slug()}",
            title=self.title,
            status=self.status,
            detail=self.detail,
            instance=instance,
            pointer=self.pointer,
        )


class Refused(Trouble):
    """The request is at fault."""

    title, status = "The request is refused.", 400


class Malformed(Refused):
    """A body that cannot be read as what its Content-Type says."""

    title, status = "The body cannot be read.", 400


class NotFound(Refused):
    """Nothing is kept under this name."""

    title, status = "There is no such thing.", 404


class NotAllowed(Refused):
    """A method that this path does not have."""

    title, status = "This path does not have this method.", 405


class NotAcceptable(Refused):
    """A representation that nobody here writes."""

    title, status = "There is no such representation.", 406


class NotFinished(Refused):
    """What was asked for is not there yet."""

    title, status = "The examination is not finished.", 409


class TooLarge(Refused):
    """An upload over the limit."""

    title, status = "The upload is too large.", 413


class Unsupported(Refused):
    """A format that is not accepted."""

    title, status = "This format is not accepted.", 415


class Invalid(Refused):
    """A value that breaks its schema."""

    title, status = "The request does not fit the schema.", 422


class KeyReused(Refused):
    """An idempotency key that came before with another body."""

    title, status = "The idempotency key belongs to another request.", 422


class NoReport(Refused):
    """An examination that ended without a report: it failed, or it was cancelled."""

    title, status = "The examination ended without a report.", 422

    def __init__(self, detail: str, *, cause: Problem | None = None) -> None:
        """Say what became of the job, and the problem that it ended in."""
        super().__init__(detail)
        self.cause = cause

    def problem(self, instance: str | None = None) -> Problem:
        """Return what goes on the wire, with the job's own problem as `cause`."""
        return Problem(**super().problem(instance).model_dump(), cause=self.cause)


class Unfit(Trouble):
    """The upload cannot be examined."""

    title, status = "The upload cannot be examined.", 422


class UnreadableModel(Unfit):
    """A model file that does not parse."""

    title = "The model cannot be read."


class UnreadableBatch(Unfit):
    """A batch file that does not parse."""

    title = "The batch cannot be read."


class UnsupportedOperator(Unfit):
    """An operator that no function here computes."""

    title = "The model holds an operator that is not supported."


class UnsupportedModel(Unfit):
    """A model that is well formed but cannot be examined."""

    title = "This kind of model is not supported."


class BatchMismatch(Unfit):
    """A batch that does not fit the model's inputs or the loss."""

    title = "The batch does not fit the model."


class TooComplex(Unfit):
    """A model over a limit on nodes, parameters or nesting."""

    title = "The model is too complex."


class UnfaithfulImport(Unfit):
    """A model of which an operator is computed otherwise here than by an independent runtime.

    The message names the output that shows it, the error, the limit and the first node at fault.
    """

    title = "The model is not computed as an independent runtime computes it."


class Broken(Trouble):
    """The examination itself ended early."""

    title, status = "The examination ended early.", 500


class TimedOut(Broken):
    """An examination over its time limit."""

    title = "The examination took too long."


class OutOfMemory(Broken):
    """An examination over its memory limit."""

    title = "The examination ran out of memory."


class Crashed(Broken):
    """An examination whose process died."""

    title = "The examination crashed."


class Quarantined(Broken):
    """A job that ended its worker too often."""

    title = "The job is quarantined."


class Unavailable(Trouble):
    """Something behind the service is away."""

    title, status = "The service is not available.", 503


def kinds(root: type[Trouble] = Trouble) -> tuple[type[Trouble], ...]:
    """Return every kind of trouble below `root`, in the order of their definition."""
    return tuple(kind for child in root.__subclasses__() for kind in (child, *kinds(child)))
