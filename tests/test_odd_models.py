"""Odd but valid uploads end in a report or in a trouble, and in no other exception."""

import json
import math
import re
from pathlib import Path

import numpy as np
import onnx
import pytest

from service.contract.problem import BatchMismatch, Invalid, Trouble
from service.contract.report import Report
from service.contract.words import LossName, Severity, Verdict
from tests.odd_models import (
    ATTENTION,
    CLASSES,
    COPIES,
    FOLDED,
    LAYER,
    NAMES,
    PIXELS,
    RELU,
    RNN,
    SCALED,
    SEQUENCE,
    SHARES,
    SIZE,
    SQUEEZED,
    TO_ONE,
    TWO,
    Odd,
    classes,
    dense,
    described,
    full,
    graph,
    normal,
    odd,
    one_hot,
    weights,
    x,
)
from worker.examine import examine

FAIL, PASS = Verdict.FAIL, Verdict.PASS
CROSS_ENTROPY, MSE, BCE = LossName.CROSS_ENTROPY, LossName.MSE, LossName.BCE_WITH_LOGITS

TARGETS = {
    "classes in a column": odd(dense(), x(target=classes(SIZE, 1)), reads=CROSS_ENTROPY),
    "classes as floats": odd(dense(), x(target=CLASSES.astype(np.float32)), reads=CROSS_ENTROPY),
    "one-hot integers": odd(dense("y = Softmax(z)"), x(target=one_hot(SIZE).astype(np.int64)), reads=CROSS_ENTROPY),
    "one-hot in a sequence": odd(SEQUENCE, x(SIZE, 4, 6, target=one_hot(SIZE, 4)), reads=CROSS_ENTROPY),
    "one-hot under nll": odd(dense(), x(target=one_hot(SIZE)), BatchMismatch, loss="nll"),
    "a class per image of one pixel": odd(SHARES, x(SIZE, 3, 6, 6, target=classes(SIZE, of=5)), reads=CROSS_ENTROPY),
    "classes as images": odd(SHARES, x(SIZE, 3, 6, 6, target=classes(SIZE, 1, 1, of=5)), reads=CROSS_ENTROPY),
    "images without a target": odd(PIXELS, reads=CROSS_ENTROPY),
    "bits for one number": odd(SQUEEZED, x(target=classes(SIZE, of=2)), reads=BCE),
    "booleans": odd(dense(outputs=1), x(target=classes(SIZE, 1, of=2).astype(bool)), reads=BCE),
    "five classes for one number": odd(SQUEEZED, x(target=classes(SIZE, of=5)), reads=MSE),
    "one number without a target": odd(SQUEEZED, reads=MSE),
    "classes for one number": odd(SQUEEZED, x(), BatchMismatch, loss="cross_entropy"),
    "a target that is not a number": odd(dense(outputs=1), x(target=full(math.nan, SIZE, 1)), FAIL, "NUM01"),
    "classes that are no numbers": odd(dense(), x(target=full(math.nan, SIZE)), BatchMismatch, loss="cross_entropy"),
    "bits beyond 0 and 1": odd(dense(outputs=1), x(target=normal(SIZE, 1)), BatchMismatch, loss="bce_with_logits"),
    "a negative class": odd(dense(), x(target=np.full(SIZE, -1)), BatchMismatch),
    "too many targets": odd(dense(), x(target=classes(SIZE + 3)), BatchMismatch),
    "no samples": odd(dense(), {"x": full(0, 0, 6), "target": np.zeros(0, np.int64)}, BatchMismatch),
    "one sample": odd(dense(), x(1, 6, target=np.array([1])), PASS),
    "one sample of a regression": odd(dense(outputs=1), x(1, 6, target=full(2, 1, 1)), PASS, reads=MSE),
    "one number for the whole batch": odd(TO_ONE, x(), PASS, reads=MSE),
    "a target for the whole batch": odd(TO_ONE, x(target=np.float32(1)), BatchMismatch),
    "classes for the whole batch": odd(TO_ONE, x(), BatchMismatch, loss="cross_entropy"),
}
OUTPUTS = {
    "the second output": odd(TWO, x(target=normal(SIZE, 3)), output="z", reads=MSE),
    "an output that there is not": odd(TWO, None, BatchMismatch, output="nope"),
    "an output that is a class": odd(
        dense("m = ArgMax<axis = 1>(z) y = Cast<to = 1>(m)", outputs=1), x(target=normal(SIZE, 1)), FAIL, "GRD03"
    ),
    "an input as output": odd(
        dense(result="float[N,3] y, float[N,6] x"), x(target=normal(SIZE, 6)), FAIL, "GRD03", output="x"
    ),
    "a softmax over one unit, laid out anew": odd(
        dense("s = Softmax<axis = 1>(z) y = Flatten(s)", 1), x(target=classes(SIZE, 1, of=2)), FAIL, "LOS01"
    ),
    "a softmax over the batch": odd(dense("y = Softmax<axis = 0>(z)"), x(target=CLASSES), FAIL, "LOS01"),
    "a softmax of before opset 13": odd(dense("y = Softmax(z)", opset=9), x(target=CLASSES), reads=CROSS_ENTROPY),
    "negative targets behind a rectifier": odd(
        dense("r = Relu(z) y = Flatten(r)", 1), x(target=full(-1, SIZE, 1) * (1 + CLASSES[:, None])), FAIL, "LOS01"
    ),
    "a logarithm of negative numbers": odd(dense("y = Log(z)"), x(target=normal(SIZE, 3)), FAIL, "NUM01"),
    "logits declared as logarithms": odd(dense(), x(target=CLASSES), FAIL, "LOS01", loss="nll"),
}
INPUTS = {
    "a number beside the batch": odd(dense(**SCALED), x(s=np.float32(2), target=CLASSES)),
    "a number before the batch": odd(
        dense(**(SCALED | {"given": "float s, float[N,6] x"})), x(s=np.float32(2), target=CLASSES)
    ),
    "numbers that no sample owns": odd(
        dense(
            given="float[N,6] x, float[M,6] c",
            before="m = ReduceMean<axes = [0], keepdims = 1>(c) x1 = Add(x, m)",
        ),
        x(100, 6, c=normal(7, 6), target=classes(100)),
    ),
    "infinite inputs": odd(dense(), {"x": full(math.inf, SIZE, 6), "target": CLASSES}, FAIL, "NUM01"),
    "huge inputs": odd(dense(), x(std=1e30, target=CLASSES), code="INP01"),
    "float64": odd(dense(given="double[N,6] x", before="x1 = Cast<to = 1>(x)"), {"x": normal(SIZE, 6).astype(float)}),
    "samples folded into rows": odd(FOLDED, x(100, 4, 6)),
    "a target per row": odd(FOLDED, x(100, 4, 6, target=classes(400)), BatchMismatch),
    "a batch of a fixed size": odd(
        dense(given=f"float[{SIZE},6] x", result=f"float[{SIZE},3] y"), x(100, 6, target=classes(100))
    ),
}
GRAPHS = {
    "no weights": odd(graph("(float[N,6] x) => (float[N,6] y)", "y = Relu(x)", {}), x(), PASS),
    "no weights and no floats": odd(
        graph("(int64[N,5] x) => (float[N,5] y)", "y = Cast<to = 1>(x)", {}), {"x": classes(SIZE, 5, of=20)}, PASS
    ),
    "one weight, a number": odd(
        graph("(float[N,6] x) => (float[N,6] y)", "y = Mul(x, w)", {"w": np.float32(1.5)}), x()
    ),
    "a kernel that is a vector": odd(
        graph("(float[N,6] x) => (float[N] y)", "h = MatMul(x, w) y = Sigmoid(h)", {"w": normal(6)}), x()
    ),
    "weights that are not numbers": odd(dense(w1=full(math.nan, 6, 8)), x(target=CLASSES), FAIL, "NUM01"),
    "weights that are all the same": odd(
        dense(w1=full(1, 6, 8), b1=full(1, 8), w2=full(1, 8, 3)), x(target=CLASSES), FAIL, "INI01"
    ),
    "transposed convolutions of copies": odd(COPIES, x(SIZE, 4, 3, 3, target=normal(SIZE, 1, 7, 7)), FAIL, "INI01"),
    "a clip that its bias shuts": odd(
        dense(hidden="Clip(h, low, high)", b1=full(-40, 8), low=np.float32(0), high=np.float32(6)),
        x(target=CLASSES),
        FAIL,
        "GRD03",
    ),
    "a weight for another output": odd(TWO, x(target=CLASSES), output="z", reads=CROSS_ENTROPY),
    "attention under an infinite mask": odd(ATTENTION, x(SIZE, 5, 8, target=CLASSES), reads=CROSS_ENTROPY),
    "a recurrent layer": odd(RNN, x(SIZE, 7, 6, target=CLASSES), reads=CROSS_ENTROPY),
    "float64 throughout": odd(
        graph(
            "(double[N,6] x) => (double[N,3] y)",
            "h = Gemm(x, w1, b1) a = Relu(h) y = Gemm(a, w2, b2)",
            {name: each.astype(float) for name, each in weights().items()},
        ),
        {"x": normal(SIZE, 6).astype(float), "target": CLASSES},
        reads=CROSS_ENTROPY,
    ),
    "a value read twice": odd(dense(hidden="Mul(h, h)"), x(target=CLASSES), reads=CROSS_ENTROPY),
    "a head alone": odd(described(LAYER)),
    "an unknown field": odd(described({**LAYER, "trainable": False}), None, Invalid),
}
OPTIONS = {
    "nesterov without momentum": odd(dense(), x(target=CLASSES), optimizer="nesterov", momentum=0, learning_rate=0.1),
    "clipping by unit of a number": odd(
        dense(before="x1 = Mul(x, w)", w=np.float32(1.5)),
        x(target=CLASSES),
        clipping={"kind": "agc", "limit": 0.01},
        optimizer="sgd",
        learning_rate=0.1,
    ),
    "the highest rate": odd(dense(), x(target=CLASSES), FAIL, "TRN01", optimizer="sgd", learning_rate=1e6, steps=20),
    "one step": odd(dense(), x(target=CLASSES), steps=1),
    "four steps": odd(dense(), x(target=CLASSES), steps=4),
    "no time": odd(described(LAYER, RELU, LAYER), time_limit_s=1e-3),
    "running statistics": odd(described(LAYER, {"kind": "batch_norm"}, RELU, LAYER), mode="eval"),
}
TREATED = {
    "names that a treatment would give": odd(NAMES, x(std=1e4, target=CLASSES), code="INP01", treat=True),
    "a vector out of scale": odd(
        graph(
            "(float[N,6] x) => (float[N] y)",
            "h = MatMul(x, w) s = Sigmoid(h) y = Mul(s, g)",
            {"w": normal(6), "g": normal(1)},
        ),
        x(std=60, target=normal(SIZE)),
        code="INP01",
        treat=True,
    ),
    "sigmoids of before layer norm": odd(
        dense(
            before="x1 = Sigmoid(x)", hidden="Sigmoid(h)", opset=8, w1=normal(6, 8, std=1e-4), w2=normal(8, 3, std=1e-4)
        ),
        x(std=100, target=CLASSES),
        code="INP01",
        treat=True,
    ),
    "one unit behind a softmax": odd(
        dense("s = Softmax<axis = 1>(z) y = Flatten(s)", 1),
        x(target=classes(SIZE, 1, of=2)),
        FAIL,
        "LOS01",
        treat=True,
    ),
    "copies to break": odd(COPIES, x(SIZE, 4, 3, 3, target=normal(SIZE, 1, 7, 7)), FAIL, "INI01", treat=True),
}
UPLOADS = TARGETS | OUTPUTS | INPUTS | GRAPHS | OPTIONS | TREATED


@pytest.mark.parametrize("name", UPLOADS)
def test_an_odd_upload_ends_in_a_report_or_in_a_trouble(name: str, tmp_path: Path) -> None:
    case = UPLOADS[name]
    if isinstance(case.outcome, type):
        with pytest.raises(Trouble, match=r"\.$") as refusal:
            examined(case, tmp_path)
        assert type(refusal.value) is case.outcome
        return
    report = examined(case, tmp_path)
    assert case.outcome in {None, report.verdict}
    assert not case.code or case.code in {finding.code for finding in report.findings}
    assert case.reads in {None, report.loss.name}
    _tells(report)


def examined(case: Odd, folder: Path) -> Report:
    """Return the report of a case, its files written to `folder`."""
    model, batch = folder / "model", None
    written = json.dumps(case.model).encode() if isinstance(case.model, dict) else case.model.SerializeToString()
    model.write_bytes(written)
    if case.batch is not None:
        batch = folder / "batch.npz"
        np.savez(batch, **case.batch)  # type: ignore[arg-type]
    treated = folder / "treated.onnx"
    report = examine(model, batch, case.options, treated=treated)
    if treated.exists():
        onnx.checker.check_model(onnx.load(treated), full_check=True)
    return report


def _tells(report: Report) -> None:
    """Hold the report to being JSON, and its sentences to numbers that are some."""
    assert json.loads(report.model_dump_json())["verdict"] == report.verdict
    errors = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    assert (report.verdict is FAIL) == bool(errors)
    finite = [finding for finding in report.findings if finding.code != "NUM01"]
    told = " ".join([report.summary, *(finding.explanation for finding in finite)])
    assert not re.search(r"\b(inf|nan)\b", told)
