"""The JSON Schemas of what callers send and receive."""

from functools import cache
from typing import Any

from service.contract.architecture import Architecture
from service.contract.options import Options
from service.contract.policy import Policy
from service.contract.report import Report

DIALECT = "https://json-schema.org/draft/2020-12/schema"


@cache
def of(name: str) -> dict[str, Any]:
    """Return the schema of `architecture`, `options`, `policy` or `report`."""
    if name == "report":
        return {"$schema": DIALECT} | Report.model_json_schema(mode="serialization")
    if name == "options":
        return {"$schema": DIALECT} | Options.model_json_schema()
    return {"$schema": DIALECT} | (Policy if name == "policy" else Architecture).model_json_schema()
