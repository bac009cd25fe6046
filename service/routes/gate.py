"""The gate over HTTP: 200 lets through, 409 does not."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from service import strict
from service.backing import Backing, Use
from service.contract.gate import GateResult
from service.contract.job import Job
from service.contract.policy import Policy
from service.contract.problem import Invalid, Malformed, NoReport, NotFinished, NotFound, TooLarge
from service.contract.report import Report
from service.contract.words import Verdict
from service.gate import judge
from service.intake import body
from service.problems import MEDIA_TYPE, refusals
from service.routes.answers import existing, progress_headers
from service.routes.reports import own_policy, read_report, today
from service.routes.submitting import BODY, REFUSALS, IdempotencyKey, Prefer, accept
from service.settings import MIB
from service.waiting import applied, wished

router = APIRouter(tags=["gate"])

_POLICY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Policy"}}},
    }
}
_SHUT = "The gate is shut; the body says why.  "
_ANSWERS: dict[int | str, dict[str, Any]] = {200: {"description": "The gate is open: `pass` or `warn`."}}
_CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {
        "model": GateResult,
        "description": _SHUT
        + "Or, as a problem, the examination is not finished: the Content-Type tells the two apart.",
        "content": {MEDIA_TYPE: refusals(NotFinished)[409]["content"][MEDIA_TYPE]},
    }
}


@router.get(
    "/v1/diagnoses/{job_id}/gate",
    response_model=GateResult,
    responses=_ANSWERS | refusals(NotFound, NoReport) | _CONFLICT,
)
def verdict(use: Use, job: Annotated[Job, Depends(existing)]) -> Response:
    """Judge the report by the policy in the job's options: 200 `pass` or `warn`, 409 `fail`.

    A failed or cancelled job has no verdict: that is a 422 problem, with the job's own problem as `cause`.
    """
    report = read_report(use, job)
    return judged(use, report, own_policy(use, job))


@router.post(
    "/v1/diagnoses/{job_id}/gate",
    response_model=GateResult,
    responses=_ANSWERS | refusals(Malformed, NotFound, TooLarge, Invalid, NoReport) | _CONFLICT,
    openapi_extra=_POLICY,
)
async def verdict_under(request: Request, use: Use, job: Annotated[Job, Depends(existing)]) -> Response:
    """Judge the report by the policy in the body, whatever the job's own says."""
    value = strict.read(await body(request, MIB), "The policy")
    policy = strict.fit(Policy, value, "The policy")
    report = await run_in_threadpool(read_report, use, job)
    return judged(use, report, policy)


@router.post(
    "/v1/gate",
    response_model=GateResult,
    responses=_ANSWERS
    | {202: {"model": Job, "description": "The wait ran out; the job goes on."}}
    | REFUSALS
    | refusals(Invalid, NoReport)
    | {409: {"model": GateResult, "description": _SHUT}},
    openapi_extra=BODY,
)
async def submit_and_judge(
    request: Request, use: Use, prefer: Prefer = None, idempotency_key: IdempotencyKey = None
) -> Response:
    """Submit, wait and judge in one call.

    Waits for as long as the service lets it, or for `Prefer: wait=N`.
    """
    seconds = wished(prefer, use.settings.wait_limit_s)
    patience = use.settings.wait_limit_s if seconds is None else seconds
    job = await accept(request, use, idempotency_key, patience)
    headers = progress_headers(job) | ({} if seconds is None else applied(seconds))
    if not job.status.final:
        return JSONResponse(job.model_dump(mode="json"), 202, headers)
    answer = await run_in_threadpool(verdict, use, job)
    answer.headers.update(headers)
    return answer


def judged(use: Backing, report: Report, policy: Policy) -> Response:
    """Return the verdict as an answer; its status shuts a `curl --fail`."""
    result = judge(report, policy, today())
    use.metrics.judged.labels(result.verdict).inc()
    status = 409 if result.verdict is Verdict.FAIL else 200
    return Response(result.model_dump_json(), status, {"Cache-Control": "no-store"}, "application/json")
