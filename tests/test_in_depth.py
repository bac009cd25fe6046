"""A deep examination, as a caller sees it."""

from pathlib import Path

import pytest

from service.contract.report import Report
from tests.case_files import examined, read


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A deep report of two hidden layers that learn their batch."""
    dense = {"kind": "dense", "units": 16, "init": "he_normal"}
    case = read("NOI01", "healthy")
    case["model"]["layers"] = [dense, {"kind": "relu"}, dense, {"kind": "relu"}, {"kind": "dense", "units": 2}]
    return examined(case, tmp_path_factory.mktemp("deep"))


def test_a_deep_report_tells_what_many_passes_show(report: Report) -> None:
    deep = report.deep
    assert deep is not None
    assert deep.unmeasured == {}
    assert deep.noise_scale is not None
    assert 0 < deep.noise_scale < 64
    assert deep.coherence is not None
    assert 0 < deep.coherence < 1
    assert deep.conditioning is not None
    assert deep.conditioning > 1
    assert deep.half_gains is not None
    assert [rank.most for rank in deep.ranks] == [16, 16, 2]


def test_a_deep_report_tells_the_sharpness_of_the_loss(report: Report) -> None:
    assert report.training is not None
    assert report.training.sharpness is not None
    assert report.training.sharpness > 0


def test_a_deep_examination_ends_in_the_same_report_twice(report: Report, tmp_path: Path) -> None:
    case = read("NOI01", "healthy")
    assert examined(case, tmp_path).digest == examined(case, tmp_path).digest


def test_an_ordinary_report_leaves_it_out(tmp_path: Path) -> None:
    assert examined(read("NOI01", "healthy"), tmp_path, depth="standard").deep is None
