"""Whatever is examined, every rule answers; one that does not judge says why in a sentence that is true."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest

from service.contract.options import Options
from service.contract.report import Report
from tests.odd_models import CLASSES, Arrays, dense, graph, normal, odd, x
from worker.examine import examine
from worker.rules import rules

NOTHING = graph("(float[N,6] x) => (float[N,6] y)", "y = Relu(x)", {})
FOLDED = graph(
    "(float[N,3,6,6] x) => (float[N,4] y)",
    "h = Conv(x, c, b) n = BatchNormalization(h, g, o, m, v) a = Relu(n) p = GlobalAveragePool(a) f = Flatten(p) "
    "y = Gemm(f, w2)",
    {
        "c": normal(8, 3, 3, 3),
        "b": normal(8),
        "g": np.ones(8, np.float32),
        "o": normal(8),
        "m": normal(8),
        "v": np.ones(8, np.float32),
        "w2": normal(8, 4),
    },
)
UNUSUAL: Mapping[str, tuple[onnx.ModelProto, Arrays | None]] = {
    "one sample": (dense(), x(1, 6, target=np.array([1]))),
    "three samples": (dense(), x(3, 6, target=np.array([0, 1, 2]))),
    "no batch": (dense(), None),
    "no target": (dense(), x()),
    "an export for inference": (FOLDED, {"x": normal(8, 3, 6, 6)}),
    "no weights": (NOTHING, x()),
    "a logarithm of what is below zero": (dense(hidden="Log(h)"), x(target=CLASSES)),
    "inputs that are no numbers": (dense(), x(target=CLASSES, std=float("nan"))),
}


def report(model: onnx.ModelProto, batch: Arrays | None, folder: Path) -> Report:
    case = odd(model, batch, mode="eval" if model is FOLDED else "train")
    onnx.save(model, folder / "model.onnx")
    given = None
    if batch is not None:
        given = folder / "batch.npz"
        np.savez(given, **batch)  # type: ignore[arg-type]
    options = Options.model_validate({**case.options.model_dump(exclude_unset=True), "seeds": 1})
    return examine(folder / "model.onnx", given, options)


@pytest.mark.parametrize("name", UNUSUAL)
def test_every_rule_answers_and_says_why_where_it_does_not_judge(name: str, tmp_path: Path) -> None:
    found = report(*UNUSUAL[name], tmp_path)
    assert {each.code for each in found.coverage} == set(rules)
    for each in found.coverage:
        unjudged = each.status in {"not_applicable", "could_not_judge"}
        assert not unjudged or len(each.reason.split()) > 2, each


def reasons(name: str, folder: Path) -> dict[str, tuple[str, str]]:
    return {each.code: (each.status, each.reason) for each in report(*UNUSUAL[name], folder).coverage}


def test_a_drawn_batch_is_said_to_be_drawn(tmp_path: Path) -> None:
    said = reasons("no batch", tmp_path)
    assert said["INP01"] == ("not_applicable", "the batch was drawn")
    assert said["TGT01"] == ("not_applicable", "the target was drawn")
    assert said["BAT01"][0] == "could_not_judge"


def test_what_a_few_samples_cannot_show_is_said_to_be_open(tmp_path: Path) -> None:
    said = reasons("three samples", tmp_path)
    assert said["TGT01"] == ("could_not_judge", "3 samples are too few; 32 tell chance from fault")
    assert said["RNK02"] == ("could_not_judge", "3 samples are too few; 8 show a spread")


def test_numbers_that_are_not_finite_leave_what_is_made_of_them_open(tmp_path: Path) -> None:
    said = reasons("a logarithm of what is below zero", tmp_path)
    assert said["NUM01"][0] == "fired"
    for code in ("GRD01", "LOS02", "BAT01", "RNK01", "RNK02", "TRN02"):
        assert said[code][0] == "could_not_judge", code
        assert "NUM01" in said[code][1], code


def test_a_loss_below_zero_is_no_sign_of_training(tmp_path: Path) -> None:
    onnx.save(dense("y = Softmax(z)"), tmp_path / "model.onnx")
    np.savez(tmp_path / "batch.npz", **x(target=CLASSES))  # type: ignore[arg-type]
    options = Options.model_validate({"steps": 5, "treat": False, "seeds": 1, "loss": "nll"})
    found = examine(tmp_path / "model.onnx", tmp_path / "batch.npz", options)
    assert found.loss.value < 0
    assert [each.code for each in found.findings if each.symptom == "loss_mismatch"] == ["LOS01"]
    assert all("comes trained" not in each.reason for each in found.coverage)
