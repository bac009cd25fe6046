"""The catalogues, the schemas, and a page for every kind of problem."""

from html import escape
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Response
from fastapi.responses import HTMLResponse, JSONResponse

from service import catalogue, schemas
from service.contract.problem import NotFound, Trouble, kinds
from service.present.page import SECURITY, page
from service.problems import refusals

router = APIRouter(tags=["catalogue"])

KINDS: tuple[type[Trouble], ...] = (Trouble, *kinds())
PAGE: dict[int | str, dict[str, Any]] = {200: {"content": {"text/html": {"schema": {"type": "string"}}}}}
Accept = Annotated[str, Header(max_length=1000)]
Entries = list[dict[str, Any]]


@router.get("/v1/rules")
def rules() -> Entries:
    """List the rules: what each measures, why it matters, and when it is wrong."""
    return list(catalogue.entries("rules"))


@router.get("/v1/rules/{code}", response_model=dict[str, Any], responses={**PAGE, **refusals(NotFound)})
def rule(code: str, accept: Accept = "") -> Response:
    """Return one rule, by its code or by one of its aliases; as a page for a browser."""
    if entry := catalogue.rule(code):
        return _either(entry, f"{entry['code']}: {entry['title']}", _sections(entry), accept)
    msg = f"There is no rule {code[:80]!r}; /v1/rules lists them."
    raise NotFound(msg)


@router.get("/v1/treatments")
def treatments() -> Entries:
    """List the treatments that can be tried."""
    return list(catalogue.entries("treatments"))


@router.get("/v1/treatments/{name}", response_model=dict[str, Any], responses={**PAGE, **refusals(NotFound)})
def treatment(name: str, accept: Accept = "") -> Response:
    """Return one treatment, by its name, with code for the same change; as a page for a browser."""
    if entry := catalogue.treatment(name):
        code = "".join(
            f"<h2>In {escape(framework)}</h2><pre>{escape(lines)}</pre>"
            for framework, lines in entry.get("hints", {}).items()
        )
        return _either(entry, f"{entry['name']}: {entry['title']}", _sections(entry) + code, accept)
    msg = f"There is no treatment {name[:80]!r}; /v1/treatments lists them."
    raise NotFound(msg)


@router.get("/v1/operators")
def operators() -> Entries:
    """List the ONNX operators that can be examined."""
    return list(catalogue.entries("operators"))


@router.get("/v1/layers")
def layers() -> Entries:
    """List the layers of descriptions in JSON: our own format's, each with an example, and Keras's (`format`)."""
    return list(catalogue.layers())


@router.get("/v1/schema/{name}", responses=refusals(NotFound))
def schema(name: Literal["architecture", "options", "policy", "report"]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a document that callers send or receive."""
    return schemas.of(name)


@router.get("/problems", response_model=list[dict[str, Any]])
def problems() -> Entries:
    """List the kinds of problem."""
    return [_described(kind) for kind in KINDS]


@router.get(
    "/problems/{slug}",
    response_model=dict[str, Any],
    responses=PAGE | refusals(NotFound),
)
def problem(slug: str, accept: Accept = "") -> Response:
    """Describe one kind of problem: where the `type` of an error leads."""
    for kind in KINDS:
        if kind.slug() == slug:
            said = _described(kind)
            text = f"<p>{escape(said['description'])}</p><p>Status {kind.status}, {escape(said['type'])}</p>"
            return _either(said, kind.title, text, accept)
    msg = f"There is no kind of problem {slug[:80]!r}; /problems lists them."
    raise NotFound(msg)


def _sections(entry: dict[str, Any]) -> str:
    return "".join(f"<h2>{escape(title)}</h2><p>{escape(text)}</p>" for title, text in entry["sections"].items())


def _either(entry: dict[str, Any], title: str, text: str, accept: str) -> Response:
    """Return a page where a browser asks, the entry otherwise."""
    if "text/html" in accept:
        return HTMLResponse(page(title, text), headers={**SECURITY, "Vary": "Accept"})
    return JSONResponse(entry, headers={"Vary": "Accept"})


def _described(kind: type[Trouble]) -> dict[str, Any]:
    return {
        "type": f"/problems/{kind.slug()}",
        "title": kind.title,
        "status": kind.status,
        "description": " ".join((kind.__doc__ or "").split()),
    }
