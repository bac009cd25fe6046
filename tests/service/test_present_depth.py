"""What a deep examination measured, and what it took, as each format tells it."""

import pytest

from service.contract.deep import DeepSection, Rank, WidthTrend
from service.contract.report import Passes
from service.present import depth, formats
from tests.service.samples import report

DEEP = DeepSection(
    noise_scale=120.0,
    noise_scale_error=7.0,
    coherence=0.25,
    conditioning=28.5,
    half_gains=(-0.5, -0.75),
    ranks=(Rank(node="a", participation=30, most=32), Rank(node="b", participation=2, most=32)),
    widths=(WidthTrend(node="c", slope=0.9),),
    unmeasured={"stability": "the batch has one sample"},
)


@pytest.mark.parametrize("name", ["text", "markdown", "html"])
def test_every_format_tells_what_was_measured_in_depth(name: str) -> None:
    said = formats[name].render(report(deep=DEEP), None)
    for number in ("120 ± 7", "0.25", "28.5", "-0.75", "2 of 32"):
        assert number in said
    assert "in depth" in said.lower()
    assert "in depth" not in formats[name].render(report(), None).lower()


def test_the_rank_that_is_told_is_the_least_and_what_was_not_measured_has_its_reason() -> None:
    said = list(depth.measured(report(deep=DEEP)))
    assert any("directions at b" in sentence for sentence in said)
    assert said[-1] == "stability: not measured, the batch has one sample"


def test_the_effort_counts_passes_and_steps() -> None:
    told = report(passes=Passes(forward=12, backward=1, steps=800), timing={"probing": 1.25, "training": 2.0})
    assert depth.effort(told) == "3.2 s (12 passes forward, 1 back, 800 training steps)"
    assert depth.effort(report(timing={"probing": 1.0})) == "1.0 s"
