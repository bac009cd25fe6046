"""Keras models from file to finding."""

from math import log
from pathlib import Path

import keras
import pytest
from keras import layers

from service.contract.options import Options
from service.contract.report import Finding, Report
from service.contract.words import Severity, Verdict
from worker.examine import examine

QUICK = Options(steps=50, treat=False, seeds=1)


def examined(model: keras.Model, folder: Path, options: Options = QUICK) -> Report:
    """Return the report on what `to_json()` prints."""
    file = folder / "model.json"
    file.write_text(model.to_json(), "utf-8")
    return examine(file, None, options)


def classifier(last: str | None, *, logits: bool) -> keras.Model:
    """Return a classifier that ends in this activation, compiled with cross entropy of logits or of probabilities."""
    model = keras.Sequential(
        [layers.Input((8,), name="given"), layers.Dense(16, "relu", name="hidden"), layers.Dense(3, last, name="head")]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=logits))
    return model


def mismatches(report: Report) -> list[Finding]:
    """Return the findings on head and loss."""
    return [finding for finding in report.findings if finding.code == "LOS01"]


@pytest.mark.parametrize(("last", "logits"), [("softmax", False), (None, True)])
def test_a_head_that_fits_its_loss_passes(last: str | None, logits: bool, tmp_path: Path) -> None:  # noqa: FBT001  a parameter
    report = examined(classifier(last, logits=logits), tmp_path)
    assert not mismatches(report)
    assert report.verdict is not Verdict.FAIL
    assert report.model.format == "keras"


def test_logits_in_a_loss_of_probabilities_are_rejected(tmp_path: Path) -> None:
    """The most common slip: a linear head, and `from_logits` left at its default."""
    (finding,) = mismatches(examined(classifier(None, logits=False), tmp_path))
    assert finding.severity is Severity.ERROR
    assert "from_logits" in finding.explanation
    assert finding.places[0].origin == 'config/layers/2 "head" (Dense)'


def test_probabilities_in_a_loss_of_logits_are_told(tmp_path: Path) -> None:
    (finding,) = mismatches(examined(classifier("softmax", logits=True), tmp_path))
    assert "softmax" in finding.explanation


def test_draws_tell_how_far_they_part(tmp_path: Path) -> None:
    model = keras.Sequential([layers.Input((8,)), *(layers.Dense(16, activation="sigmoid") for _ in range(8))])
    report = examined(model, tmp_path, Options(steps=50, treat=False))
    assert report.redraws is not None
    assert len(report.redraws.draws) == 3


def test_the_compiled_optimizer_is_the_one_that_is_tried(tmp_path: Path) -> None:
    model = keras.Sequential([layers.Input((8,)), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1e3), "mse")
    report = examined(model, tmp_path)
    assert report.verdict is Verdict.FAIL
    assert any(finding.code == "TRN01" for finding in report.findings)


@pytest.mark.parametrize("last", ["softmax", None])
def test_classes_of_images_are_counted_along_the_last_axis(last: str | None, tmp_path: Path) -> None:
    """Three classes at each of 6 x 5 places: a guess costs ln 3."""
    model = keras.Sequential([layers.Input((6, 5, 2), name="given"), layers.Conv2D(3, 1, activation=last, name="head")])
    report = examined(model, tmp_path, Options(steps=1, treat=False, seeds=1))
    assert report.loss.name == "cross_entropy"
    assert float(report.loss.chance) == pytest.approx(log(3), abs=0.01)
