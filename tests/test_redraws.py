"""Draws of a description without weights: each follows its seed, most of them decide, and the report tells each."""

import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from service.contract.options import Options
from service.contract.redraws import Redraws, Seeds
from service.contract.report import Report
from service.contract.words import Verdict
from service.majority import decided
from tests.case_files import examined
from tests.probe.subjects import chain, dense
from worker.examine import examine

RELU = {"kind": "relu"}
NARROW = chain(8, dense(3), RELU)
"""Layers so narrow that in some draws one of them is dead."""


def case(layers: Any = NARROW, **options: Any) -> dict[str, Any]:  # noqa: ANN401
    model = {"gradgate": "1", "input": {"shape": [8]}, "layers": layers}
    batch = {"samples": 64, "input": {"law": "normal"}, "target": {"law": "classes", "of": 4}}
    return {"model": model, "batch": batch, "options": {"steps": 2, **options}}


def redraws(report: Report) -> Redraws:
    assert report.redraws is not None
    return report.redraws


def test_a_description_is_drawn_three_times_and_each_draw_is_told(tmp_path: Path) -> None:
    report = examined(case(chain(3, dense(16), RELU)), tmp_path)
    told = redraws(report)
    assert [draw.seed for draw in told.draws] == [0, 1, 2]
    gains = [float(draw.measures["gain"]) for draw in told.draws]
    assert len(set(gains)) == 3
    spread = told.spread["gain"]
    assert (spread.lowest, spread.median, spread.highest) == tuple(sorted(gains))
    assert spread.standard_error == pytest.approx(statistics.stdev(gains) / 3**0.5)
    assert told.draws[0].measures["initial_loss"] == report.loss.value


def test_each_draw_is_what_its_seed_gives_alone(tmp_path: Path) -> None:
    """Redraw k of seed s is the draw of seed s + k: with the same batch, the same measures and the same findings."""
    several = redraws(examined(case(seed=5), tmp_path))
    for draw in several.draws:
        (alone, _) = redraws(examined(case(seed=draw.seed, seeds=2), tmp_path)).draws
        assert alone == draw
        one = examined(case(seed=draw.seed, seeds=1), tmp_path)
        assert one.redraws is None
        assert one.loss.value == draw.measures["initial_loss"]
        assert {finding.code: finding.severity for finding in one.findings} == draw.codes
        assert one.verdict is draw.verdict


def test_the_same_upload_options_and_seed_give_the_same_digest(tmp_path: Path) -> None:
    first, again, other = (examined(case(seed=seed), tmp_path) for seed in (5, 5, 6))
    assert first.digest == again.digest
    assert other.digest != first.digest


def test_findings_and_verdict_are_those_of_most_draws(tmp_path: Path) -> None:
    verdicts = set()
    for seed in range(0, 18, 3):
        report = examined(case(seed=seed), tmp_path)
        draws = redraws(report).draws
        assert {finding.code: finding.severity for finding in report.findings} == decided([d.codes for d in draws])
        for finding in report.findings:
            assert finding.seeds == Seeds(of=3, showing=sum(finding.code in draw.codes for draw in draws))
        failing = sum(draw.verdict is Verdict.FAIL for draw in draws)
        assert (report.verdict is Verdict.FAIL) == (failing > 1)
        assert failing == 0 or report.verdict is not Verdict.PASS
        verdicts |= {draw.verdict for draw in draws}
    assert len(verdicts) > 1, "draws that all agree show nothing here"


def test_draws_for_which_there_is_no_time_are_told_and_do_not_count(tmp_path: Path) -> None:
    report = examined(case(chain(3, dense(16), RELU), time_limit_s=1e-6), tmp_path)
    first, *late = redraws(report).draws
    assert first.verdict is not None
    assert [draw.verdict for draw in late] == [None, None]
    assert all("no time" in draw.note and not draw.codes for draw in late)
    assert "time box" in first.note
    assert report.verdict is first.verdict is Verdict.PASS, "a trial that was cut short condemns nothing"
    assert next(each.status for each in report.coverage if each.code == "TRN02") == "could_not_judge"
    assert report.confidence is not None
    assert report.confidence < 0.8, "and clears nothing"
    assert all(finding.seeds is None for finding in report.findings)


def test_one_trial_to_its_end_goes_before_three_that_are_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With passes that are planned to take a second, an hour is enough for the trials of one draw that fails."""
    monkeypatch.setattr("worker.load.subject.pass_seconds", lambda _graph, _values: 1.0)
    fading = chain(12, {"kind": "dense", "units": 16}, {"kind": "sigmoid"})
    report = examined(case(fading, steps=200, time_limit_s=3600), tmp_path)
    first, *late = redraws(report).draws
    assert first.note == ""
    assert report.verdict is first.verdict is Verdict.FAIL
    assert [draw.verdict for draw in late] == [None, None]


def test_weights_of_a_file_are_not_drawn_and_the_report_says_so(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    weight = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    values = [helper.make_tensor_value_info(name, 1, ["batch", size]) for name, size in (("x", 8), ("y", 4))]
    nodes = [helper.make_node("Gemm", ["x", "w"], ["y"], name="gemm")]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [numpy_helper.from_array(weight, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10), path)
    batch = tmp_path / "batch.json"
    batch.write_text(json.dumps({"x": np.eye(8).tolist(), "target": [0, 1, 2, 3] * 2}))
    report = examine(path, batch, Options(seeds=3, steps=2, treat=False))
    assert len({draw.measures["initial_loss"] for draw in redraws(report).draws}) == 1
    assert any("the file's own in all 3 draws" in note for note in report.notes)
    one = examine(path, batch, Options(steps=2, treat=False))
    assert one.redraws is None
    assert not any("draws" in note for note in one.notes)
