"""The report as it is: JSON."""

from service.contract.gate import GateResult
from service.contract.report import Report
from service.present import Format, add


def render(report: Report, gate: GateResult | None, source: str = "") -> str:
    """Return the report as JSON, without NaN and without the gate, which has a shape of its own."""
    return report.model_dump_json(by_alias=True)


add(Format("json", "application/json", render))
