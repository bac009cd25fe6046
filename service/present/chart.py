"""The gradient's way through a network, as SVG: no script, readable without colour."""

import math
from collections.abc import Iterator, Sequence
from html import escape

from service.contract.profile import ProfileRow
from service.contract.report import Report
from service.present import words
from service.present.numbers import number
from service.present.words import plain

_DECADES = 10
_LABEL, _PLOT, _TOP = 250, 520, 40
_WIDTH = _LABEL + _PLOT + 130
_HEALTHY = 1e-3
_LABELLED = 120

STYLE = """
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg .soft { fill: var(--soft); } svg .grid { stroke: var(--line); }
svg .band { fill: #009e73; opacity: .1; } svg .dot { fill: #0072b2; } svg .stem { stroke: #0072b2; opacity: .35; }
svg .low { fill: #d55e00; } svg .lowstem { stroke: #d55e00; opacity: .45; }
"""


def gradients(report: Report) -> str:
    """Return one row per layer, or place, in forward order: a dot at the gradient's norm, as a share of the largest."""
    rows = [row for row, _ in words.layers(report)]
    if not rows:
        return ""
    named = {place.origin or place.node for finding in report.findings for place in finding.places}
    step = 20 if len(rows) <= _LABELLED else max(3, 2400 // len(rows))
    height = _TOP + step * len(rows) + 10
    inner = "".join((*_axis(height), *(_row(row, at, step, len(rows), named) for at, row in enumerate(rows))))
    described = f"Gradient norm of {len(rows)} places on a logarithmic scale, the network's input on top."
    return (
        f'<svg role="img" aria-labelledby="gt gd" viewBox="0 0 {_WIDTH} {height}" xmlns="http://www.w3.org/2000/svg">'
        f'<title id="gt">Gradient, from input to output</title><desc id="gd">{described}</desc>{inner}</svg>'
    )


def curve(values: Sequence[float], title: str) -> str:
    """Return a line over steps, on a linear scale; steps that are not finite are gaps."""
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2:  # noqa: PLR2004  a line has two ends
        return ""
    low, high = min(finite), max(finite)
    span = (high - low) or 1.0
    pieces, pen = [], "M"
    for index, value in enumerate(values):
        if math.isfinite(value):
            x, y = 10 + 400 * index / max(1, len(values) - 1), 90 - 70 * (value - low) / span
            pieces.append(f"{pen}{x:.1f} {y:.1f}")
        pen = "L" if math.isfinite(value) else "M"
    said = f"{escape(title)}: {number(values[0])} to {number(values[-1])}"
    return (
        f'<svg role="img" viewBox="0 0 480 110" xmlns="http://www.w3.org/2000/svg"><title>{said}</title>'
        f'<text x="10" y="14">{said}</text>'
        f'<path d="{"".join(pieces)}" fill="none" stroke="#0072b2" stroke-width="1.5"/>'
        f'<text class="soft" x="415" y="25">{number(high)}</text>'
        f'<text class="soft" x="415" y="94">{number(low)}</text></svg>'
    )


def _axis(height: int) -> Iterator[str]:
    left = _x(_HEALTHY)
    yield f'<rect class="band" x="{left:.1f}" y="{_TOP - 8}" width="{_x(1) - left:.1f}" height="{height - _TOP}"/>'
    for decade in range(-_DECADES, 1, 2):
        x = _x(10.0**decade)
        yield f'<line class="grid" x1="{x:.1f}" y1="{_TOP - 8}" x2="{x:.1f}" y2="{height - 8}"/>'
        yield f'<text class="soft" x="{x:.1f}" y="{_TOP - 16}" text-anchor="middle">1e{decade}</text>'


def _row(row: ProfileRow, at: int, step: int, total: int, named: set[str]) -> str:
    share = row.gradient.relative if row.gradient else math.nan
    y = _TOP + step * at + step / 2
    low = (row.origin or row.node) in named
    name = plain(row.origin or row.node, 200)
    said = f"{escape(name)}: {number(share)}"
    x = _x(share)
    dot = "low" if low else "dot"
    parts = [
        f'<line class="{"lowstem" if low else "stem"}" x1="{_LABEL}" y1="{y:.1f}" x2="{x:.1f}" y2="{y:.1f}"/>',
        f'<circle class="{dot}" cx="{x:.1f}" cy="{y:.1f}" r="{min(5, step / 2):.1f}"><title>{said}</title></circle>',
    ]
    if total <= _LABELLED:
        parts.append(
            f'<text x="{_LABEL - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(words.fitted(name, 36))}</text>'
        )
    if total <= _LABELLED and (low or not math.isfinite(share)):
        mark = "▼ in a finding" if math.isfinite(share) else f"▲ {number(share)}"
        parts.append(f'<text x="{_LABEL + _PLOT + 8}" y="{y + 4:.1f}">{mark}</text>')
    return "".join(parts)


def _x(share: float) -> float:
    if not math.isfinite(share):
        return float(_LABEL + _PLOT)
    level = 0.0 if share <= 0 else 1 + math.log10(share) / _DECADES
    return _LABEL + _PLOT * max(0.0, min(1.0, level))
