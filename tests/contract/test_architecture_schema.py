"""The JSON Schema of descriptions takes what the service takes, and catches what a schema can catch."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from service.contract.architecture import Architecture, parse
from service.contract.problem import Invalid

SCHEMA = Draft202012Validator(Architecture.model_json_schema())
EXAMPLES = sorted((Path(__file__).parents[2] / "examples").rglob("*.json"))
OWN = [path for path in EXAMPLES if '"gradgate"' in path.read_text(encoding="utf-8")]
DENSE = {"kind": "dense", "name": "fc", "units": 3}
INPUT = {"shape": [4]}


def chain(**layer: Any) -> dict[str, Any]:  # noqa: ANN401  whatever a file may hold
    """Return a file of one dense layer with these fields."""
    return {"gradgate": "1", "input": INPUT, "layers": [DENSE | layer]}


def test_the_examples_fit_the_schema() -> None:
    assert len(OWN) > 5
    assert [str(path) for path in OWN if not SCHEMA.is_valid(json.loads(path.read_text(encoding="utf-8")))] == []


@pytest.mark.parametrize(
    "init",
    [
        "he_normal",
        "glorot_uniform",
        {"law": "kaiming_truncated", "gain": 2},
        {"kernel": "orthogonal", "bias": {"law": "constant", "value": 1}},
        {"kernel": {"law": "glorot_normal"}, "recurrent": "kaiming_uniform"},
    ],
)
def test_a_law_by_any_of_its_names_fits_the_schema_and_is_read(init: Any) -> None:  # noqa: ANN401  a law or laws
    parse(json.dumps(chain(init=init)).encode())
    SCHEMA.validate(chain(init=init))


@pytest.mark.parametrize(
    "document",
    [
        chain(untis=4),
        chain(kind="dens"),
        chain(units="3"),
        chain(init="he_normall"),
        chain(init="constant"),
        chain(init={"law": "he_normal", "gian": 2}),
        chain(init={"kernl": "he_normal"}),
        chain() | {"optimiser": "adam"},
        chain() | {"inputs": {"x": INPUT}},
        chain() | {"nodes": [DENSE]},
        chain() | {"outputs": ["fc"]},
        {"gradgate": "1", "layers": [DENSE]},
        {"gradgate": "1", "input": INPUT},
        {"gradgate": "1", "inputs": {"x": INPUT}, "layers": [DENSE]},
        {"gradgate": "1", "input": INPUT, "nodes": [{"kind": "relu"}]},
        {"gradgate": "1", "input": INPUT, "layers": [{"kind": "block", "nodes": [{"kind": "relu"}]}]},
    ],
    ids=json.dumps,
)
def test_what_the_schema_catches_is_refused_as_well(document: dict[str, Any]) -> None:
    assert not SCHEMA.is_valid(document)
    with pytest.raises(Invalid):
        parse(json.dumps(document).encode())


@pytest.mark.parametrize(
    "document",
    [
        {"gradgate": "1", "input": INPUT, "nodes": [DENSE]},
        {"gradgate": "1", "inputs": {"x": INPUT}, "nodes": [DENSE], "outputs": ["fc"]},
        chain() | {"inputs": None, "nodes": None, "outputs": None},
    ],
    ids=json.dumps,
)
def test_a_file_of_any_form_fits_the_schema_and_is_read(document: dict[str, Any]) -> None:
    parse(json.dumps(document).encode())
    SCHEMA.validate(document)
