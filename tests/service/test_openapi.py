"""The OpenAPI document: checked in, valid, and complete in what it says of errors."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from service.app import create_app
from service.contract.problem import kinds
from service.settings import Settings
from tests.service.api import Service


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(Settings(storage="memory:")).openapi()


def test_the_document_that_is_checked_in_is_the_one_served(
    golden: Callable[[str, str], None], document: dict[str, Any]
) -> None:
    golden("openapi/openapi.json", json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    validate(document, cls=OpenAPIV31SpecValidator)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    text = json.dumps(document)
    used = {part.partition('"')[0] for part in text.split('"$ref": "')[1:]}
    assert used <= known


def test_every_operation_says_what_it_does_and_how_it_fails(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation["description"], path
            errors = {status: one for status, one in operation["responses"].items() if status >= "400"}
            assert {"405", "422", "500", "503"} <= errors.keys(), path
            for status, answer in errors.items():
                assert "application/problem+json" in answer["content"] or (path, status) == ("/v1/gate", "409")


def test_every_model_of_the_contract_is_documented(document: dict[str, Any]) -> None:
    schemas = {name: one for name, one in document["components"]["schemas"].items() if one.get("type") == "object"}
    assert {"Job", "JobPage", "Report", "GateResult", "Options", "Policy", "Problem"} <= schemas.keys()
    assert [name for name, schema in schemas.items() if not schema.get("description")] == []


def test_every_kind_of_problem_has_a_page(service: Service) -> None:
    for kind in kinds():
        url = kind("…").problem().type
        said = service.get(url).json()
        assert (said["type"], said["status"], said["title"]) == (url, kind.status, kind.title)
    page = service.get("/problems/too-large", headers={"Accept": "text/html"})
    assert "An upload over the limit." in page.text
    assert service.get("/problems/nonsense").status_code == 404


@pytest.mark.parametrize("module", ["service.app", "service.cli"])
def test_the_service_needs_no_torch(module: str) -> None:
    code = f"import {module}, sys; print([m for m in ('torch', 'onnx', 'numpy') if m in sys.modules])"
    done = subprocess.run(  # noqa: S603  our own interpreter and code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["architecture", "options", "policy", "report"])
def test_schemas_are_json_schemas(service: Service, name: str) -> None:
    schema = service.get(f"/v1/schema/{name}").json()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["properties"]


def test_layers_come_with_an_example_of_their_kind(service: Service) -> None:
    layers = service.get("/v1/layers").json()
    own = {layer["kind"]: layer for layer in layers if layer["format"] == "gradgate"}
    assert {"dense", "conv2d", "relu", "residual"} <= own.keys()
    assert all(layer["example"]["kind"] == kind for kind, layer in own.items())


def test_layers_of_both_formats_are_listed(service: Service) -> None:
    layers = service.get("/v1/layers").json()
    assert {"Dense", "Conv2D", "LSTM", "ops.Add"} <= {layer["kind"] for layer in layers if layer["format"] == "keras"}
    assert all(layer["title"] and layer["schema"].keys() & {"properties", "$ref"} for layer in layers)


def test_an_unknown_rule_is_not_found(service: Service) -> None:
    assert service.get("/v1/rules").status_code == 200
    assert service.get("/v1/rules/XXX99").json()["type"] == "/problems/not-found"


def test_a_served_report_fits_the_schema_that_is_served(service: Service) -> None:
    job_id = service.submit()
    service.succeed(job_id)
    schema = service.get("/v1/schema/report").json()
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(service.get(f"/v1/diagnoses/{job_id}/report").json())


def test_the_examples_of_layers_fit_the_schema_of_their_kind(service: Service) -> None:
    for layer in service.get("/v1/layers").json():
        Draft202012Validator.check_schema(layer["schema"])
        if "example" in layer:
            Draft202012Validator(layer["schema"]).validate(layer["example"])


def test_answers_fit_the_document(service: Service, document: dict[str, Any]) -> None:
    def fits(name: str, value: object) -> None:
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        Draft202012Validator(schema).validate(value)

    job_id = service.submit()
    fits("Job", service.get(f"/v1/diagnoses/{job_id}").json())
    fits("Problem", service.get(f"/v1/diagnoses/{job_id}/gate").json())
    service.succeed(job_id)
    fits("Job", service.get(f"/v1/diagnoses/{job_id}").json())
    fits("JobPage", service.get("/v1/diagnoses").json())
    fits("Report", service.get(f"/v1/diagnoses/{job_id}/report").json())
    fits("GateResult", service.get(f"/v1/diagnoses/{job_id}/gate").json())
    fits("Problem", service.get("/v1/rules/none").json())
