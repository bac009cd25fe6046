"""The report as one HTML page: no script, nothing loaded from elsewhere, readable in the dark and on paper."""

import json
from functools import cache
from importlib import resources

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from service.contract.gate import GateResult
from service.contract.report import Report
from service.present import Format, add, chart, depth, draws, numbers, remedies, words
from service.present.numbers import number
from service.present.page import SECURITY, STYLE
from service.present.words import plain


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": number, "plain": plain, "pretty": _pretty}
    return environment.from_string(resources.files("service.present").joinpath("report.html").read_text("utf-8"))


def render(report: Report, gate: GateResult | None, source: str = "") -> str:
    """Return the report as a page; everything that came from a model is escaped by the template."""
    training = report.training
    return _template().render(
        report=report,
        gate=gate,
        verdict=gate.verdict if gate else report.verdict,
        words=words,
        depth=depth,
        draws=draws,
        numbers=numbers,
        remedies=remedies,
        style=Markup(STYLE + chart.STYLE),  # noqa: S704  our own constants
        picture=Markup(chart.gradients(report)),  # noqa: S704  chart escapes the names
        loss=Markup(chart.curve(training.loss, "Loss") if training else ""),  # noqa: S704  numbers only
        norm=Markup(chart.curve(training.gradient_norm, "Gradient norm") if training else ""),  # noqa: S704  the same
    )


def _pretty(patch: object) -> str:
    return json.dumps(patch, indent=1)


add(Format("html", "text/html", render, SECURITY))
