"""The front door for people: what this is, how to ask, and what was examined lately."""

from html import escape

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from service.backing import Use
from service.contract.job import Job, Status
from service.present.page import SECURITY, page

router = APIRouter(include_in_schema=False)

_ASK = """<p>Send a network and a sample batch; get a diagnosis of its gradients, with fixes that were tried and
measured.</p>
<pre>curl -F model=@model.onnx -F batch=@batch.npz -H 'Prefer: wait=60' {base}v1/diagnoses</pre>
<p><a href="/docs">The API</a> · <a href="/v1/rules">the rules</a> · <a href="/v1/treatments">the treatments</a> ·
<a href="/v1/layers">the layers</a> · <a href="/problems">the problems</a></p><h2>Lately</h2>"""
_LATELY = 20


@router.get("/")
def home(request: Request, use: Use) -> HTMLResponse:
    """Show the newest diagnoses, each with its report."""
    jobs = use.jobs.page(limit=_LATELY, cursor=None, status=None, verdict=None).items
    rows = "".join(map(_row, jobs))
    table = f"<table><tbody>{rows}</tbody></table>" if rows else "<p>Nothing yet.</p>"
    return HTMLResponse(page("Gradgate", _ASK.format(base=escape(str(request.base_url))) + table), headers=SECURITY)


def _row(job: Job) -> str:
    home = f"/v1/diagnoses/{escape(job.id)}"
    link = f"{home}/report?format=html" if job.status is Status.SUCCEEDED else home
    said = str(job.verdict or job.status)
    detail = escape(job.problem.detail if job.problem else "")
    when = job.created_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    cells = (when, f'<a href="{link}"><code>{escape(job.id[:12])}</code></a>', f'<b class="{said}">{said}</b>', detail)
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
