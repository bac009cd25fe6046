"""The scores of the labelled benchmark: their arithmetic, and the published rules that stand beside ours."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.diagnosis.accuracy import RESULTS, page, reasons
from benchmarks.diagnosis.peers import PEERS, judged
from benchmarks.diagnosis.score import (
    Detection,
    Rate,
    best_rules,
    by_peer,
    detection,
    named_first,
    precision,
    recall,
    rejection,
    scored,
)
from benchmarks.diagnosis.tables import in_text
from benchmarks.diagnosis.traces import Activation, Step, Trace, Weight

# -- arithmetic --


@pytest.mark.parametrize(("hits", "of"), [(0, 10), (1, 10), (9, 10), (10, 10), (0, 149), (81, 263), (187, 187)])
def test_wilsons_limits_are_the_shares_that_the_score_test_just_does_not_reject(hits: int, of: int) -> None:
    """Each limit p solves |p̂ - p| = z √(p(1 - p)/n), but where a share of 0 or 1 is a limit itself."""
    share = hits / of
    for limit in Rate(hits, of).interval:
        if 1e-9 < limit < 1 - 1e-9:
            assert abs(share - limit) == pytest.approx(1.959964 * math.sqrt(limit * (1 - limit) / of), rel=1e-6)


def test_wilsons_interval_is_newcombes_worked_example() -> None:
    """81 of 263: .2553 to .3662 (Newcombe 1998, table I)."""
    assert Rate(81, 263).interval == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_the_interval_of_a_difference_is_newcombes_worked_example() -> None:
    """56/70 - 48/80: .0524 to .3339 (Newcombe 1998, table II a); balanced accuracy is (1 + it)/2."""
    low, high = Detection(Rate(56, 70), Rate(48, 80)).interval
    assert (2 * low - 1, 2 * high - 1) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def row(**changes: Any) -> dict[str, Any]:  # noqa: ANN401  whatever a row holds
    """Return a healthy model that passed."""
    known = {
        "name": "family/variant-1",
        "family": "family",
        "half": "tuning",
        "sick": False,
        "symptoms": [],
        "severity": "healthy",
        "hard": False,
        "trains": 1.0,
        "disputed": None,
        "verdict": "pass",
        "findings": [],
        "seconds": 1.0,
        "peers": {},
    }
    return {**known, **changes}


def sick(verdict: str, *told: str, trains: float = 0.0, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a model whose gradient vanishes, and what was said of it."""
    findings = [["X", symptom, "warning"] for symptom in told]
    known = {"sick": True, "symptoms": ["vanishing_gradient"], "severity": "severe", "trains": trains}
    return row(verdict=verdict, findings=findings, **known, **changes)


ROWS = [
    sick("fail", "vanishing_gradient", "stalled_training"),
    sick("warn", "dead_units", "vanishing_gradient", trains=1.0),
    sick("warn", "dead_units"),
    sick("pass"),
    sick("refused"),
    row(),
    row(verdict="warn", findings=[["X", "dead_units", "warning"], ["Y", "vanishing_gradient", "info"]]),
    row(verdict="refused"),
    row(),
    row(severity="borderline", verdict="fail"),
]


def test_detection_counts_warnings_and_rejections_of_what_is_scored() -> None:
    found = detection(scored(ROWS))
    assert (found.sick, found.healthy) == (Rate(3, 5), Rate(2, 4))
    assert found.balanced == pytest.approx((0.6 + 0.5) / 2)


def test_rejections_are_asked_for_only_where_nothing_trained() -> None:
    found = rejection(scored(ROWS))
    assert (found.sick, found.healthy) == (Rate(1, 4), Rate(0, 4))


def test_a_fault_is_named_by_findings_that_weigh_and_first_by_the_first_of_them() -> None:
    assert recall(scored(ROWS)) == Rate(2, 5)
    assert recall(scored(ROWS), "vanishing_gradient", named_first) == Rate(1, 5)


def test_precision_asks_of_every_telling_whether_the_model_has_it() -> None:
    assert precision(scored(ROWS), "dead_units") == Rate(0, 3)
    assert precision(scored(ROWS), "vanishing_gradient") == Rate(2, 2)
    assert precision(scored(ROWS), "stalled_training") == Rate(1, 1)
    assert precision(scored(ROWS)) == Rate(3, 6)


def test_the_best_rules_of_a_peer_are_those_that_add_to_its_balanced_accuracy() -> None:
    fired = [["loud", "good"], ["loud", "good"], ["loud", "other"], ["loud"], ["loud"]]
    rows = [row(sick=each < 3, peers={"P": rules}) for each, rules in enumerate(fired)]
    assert best_rules(rows, "P", ["loud", "good", "other"]) == ("good", "other")
    assert detection(rows, by_peer("P")) == Detection(Rate(3, 3), Rate(2, 2))


def test_models_of_the_held_out_half_are_not_named_in_the_terminal() -> None:
    seen = [sick("pass", name="a/seen-1"), sick("pass", name="a/hidden-2", half="held-out"), row(half="held-out")]
    assert "a/seen-1" in in_text(seen)
    assert "a/hidden-2" not in in_text(seen)


def test_the_page_names_every_miss_and_false_alarm_with_its_reason() -> None:
    text = page([sick("pass", name="a/b-1"), row(name="c/d-1", verdict="warn")], {"a/b": "too mild"})
    assert "| tuning | `a/b-1` | vanishing_gradient | pass | no finding | too mild |" in text
    assert "| tuning | `c/d-1` | healthy | warn | no finding | not explained yet |" in text


@pytest.mark.skipif(not RESULTS.exists(), reason="the benchmark's results are made by `make bench-diagnosis`")
def test_the_page_is_that_of_the_results(golden: Callable[[str, str], None]) -> None:
    golden("docs/accuracy.md", page(json.loads(RESULTS.read_text(encoding="utf-8")), reasons()))


def test_the_page_names_every_model_that_training_disputes() -> None:
    text = page([row(name="e/f-1", severity="borderline", disputed="sick, and learns")], {})
    assert "| tuning | `e/f-1` | sick, and learns | pass | no finding |" in text


# -- peers --


def healthy() -> Trace:
    """Return a hundred steps of a classifier that learns its batch."""
    return Trace(tuple(_steps()))


def _steps() -> Iterator[Step]:
    for index in range(100):
        left = 0.95**index
        weight = Weight(mean=1e-3 + 1e-5 * index, gradient=1e-2 * left, gradient_mean=1e-4 * left, gradient_norm=left)
        yield Step(
            loss=0.6931 * left,
            accuracy=1 - 0.5 * left,
            weights={"a": weight, "b": weight, "bias": replace(weight, matrix=False)},
            activations={"relu": Activation("relu"), "tanh": Activation("tanh")}
            if index % 5 == 0 or index == 99
            else {},
        )


def with_weights(name: str = "a", **changes: Any) -> Trace:  # noqa: ANN401  whatever a weight holds
    """Return the healthy trace with a weight changed at every step."""
    trace = healthy()
    steps = (replace(s, weights={**s.weights, name: replace(s.weights[name], **changes)}) for s in trace.steps)
    return replace(trace, steps=tuple(steps))


def with_activations(name: str = "relu", **changes: Any) -> Trace:  # noqa: ANN401  whatever an activation holds
    """Return the healthy trace with an activation changed wherever it is read."""
    trace = healthy()
    steps = (
        replace(s, activations={**s.activations, name: replace(s.activations[name], **changes)}) if s.activations else s
        for s in trace.steps
    )
    return replace(trace, steps=tuple(steps))


def with_steps(loss: Callable[[int], float] | None = None, accuracy: Callable[[int], float] | None = None) -> Trace:
    """Return the healthy trace with other losses or accuracies."""
    trace = healthy()
    steps = [
        replace(s, loss=loss(i) if loss else s.loss, accuracy=accuracy(i) if accuracy else s.accuracy)
        for i, s in enumerate(trace.steps)
    ]
    return replace(trace, steps=tuple(steps))


def growing(field: str, rate: float) -> Trace:
    """Return the healthy trace with a number of a weight that grows by this factor at every step."""
    trace = healthy()
    steps = (
        replace(s, weights={**s.weights, "a": replace(s.weights["a"], **{field: 1e-2 * rate**i})})  # type: ignore[arg-type]
        for i, s in enumerate(trace.steps)
    )
    return replace(trace, steps=tuple(steps))


def unlearnt(trace: Trace) -> Trace:
    """Return the trace with accuracies that stay low."""
    return replace(trace, steps=tuple(replace(s, accuracy=0.5 + 1e-4 * i) for i, s in enumerate(trace.steps)))


BROKEN = with_steps(loss=lambda step: math.nan if step == 99 else 0.6931 * 0.95**step)
CONSTANT = with_steps(loss=lambda _: 0.6931)

MADE_FOR: dict[tuple[str, str], Trace] = {
    ("SageMaker Debugger", "VanishingGradient"): with_weights(gradient=9e-8),
    ("SageMaker Debugger", "ExplodingTensor"): BROKEN,
    ("SageMaker Debugger", "DeadRelu"): with_activations(inactive_units=0.51),
    ("SageMaker Debugger", "SaturatedActivation"): with_activations("tanh", extreme_units=0.51),
    ("SageMaker Debugger", "PoorWeightInitialization"): with_weights(gradient_spread=9e-4),
    ("SageMaker Debugger", "WeightUpdateRatio"): with_weights(update=11.0),
    ("SageMaker Debugger", "AllZero"): with_weights(gradient_zero=1.0),
    ("SageMaker Debugger", "TensorVariance"): with_weights(variance=9e-6),
    ("SageMaker Debugger", "UnchangedTensor"): CONSTANT,
    ("SageMaker Debugger", "LossNotDecreasing"): with_steps(loss=lambda step: 0.6931 - 1e-6 * step),
    ("AutoTrainer", "gradient vanish"): unlearnt(with_weights(gradient_norm=9e-5 * 0.95**99, gradient=1e-9)),
    ("AutoTrainer", "gradient explode"): unlearnt(with_weights(gradient_norm=71.0)),
    ("AutoTrainer", "dying ReLU"): unlearnt(replace(healthy(), steps=tuple(
        replace(s, weights={n: replace(w, gradient_zero=0.7) for n, w in s.weights.items()}) for s in healthy().steps
    ))),
    ("AutoTrainer", "unstable"): with_steps(accuracy=lambda step: 0.9 - 0.1 * (step % 2)),
    ("AutoTrainer", "slow convergence"): unlearnt(healthy()),
    ("TheDeepChecker", "numerical instability"): BROKEN,
    ("TheDeepChecker", "poor weight initialization"): with_weights(variance_by_he=1 / 2.71),
    ("TheDeepChecker", "poor initial loss"): with_steps(loss=lambda step: 1.3863 * 0.95**step),
    ("TheDeepChecker", "underfitting single batch"): with_steps(accuracy=lambda step: 0.94 - 0.4 * 0.95**step),
    ("TheDeepChecker", "constant features"): replace(healthy(), constant_features=1),
    ("TheDeepChecker", "constant output"): replace(
        healthy(), steps=tuple(replace(s, output_constant=True) for s in healthy().steps)
    ),
    ("TheDeepChecker", "unstable activations"): with_activations(output_deviation=0.22),
    ("TheDeepChecker", "dead activations"): with_activations(quiet_units=0.51),
    ("TheDeepChecker", "saturated activations"): with_activations("tanh", saturated_units=0.51),
    ("TheDeepChecker", "dead or negative weights"): with_weights(negative=0.96),
    ("TheDeepChecker", "diverging weights"): growing("size", 2.0),
    ("TheDeepChecker", "vanishing gradient"): with_weights(gradient=9e-9),
    ("TheDeepChecker", "exploding gradient"): growing("gradient", 2.0),
    ("TheDeepChecker", "unstable updates"): with_weights(update=0.11),
    ("TheDeepChecker", "stagnated loss"): with_steps(loss=lambda step: 0.6931 * 0.998**step),
    ("TheDeepChecker", "diverging loss"): with_steps(loss=lambda step: 0.6931 * 1.08**step),
    ("TheDeepChecker", "fluctuating loss"): with_steps(loss=lambda step: 0.6 + 0.1 * (step // 10 % 2)),
    ("DeepDiagnosis", "out of range"): replace(healthy(), head="Tanh", target_high=1.5),
    ("DeepDiagnosis", "numerical error"): with_weights(mean=0.0),
    ("DeepDiagnosis", "dead node"): with_activations(at_most_zero=0.7),
    ("DeepDiagnosis", "saturated activation"): with_activations("tanh", saturated=0.51),
    ("DeepDiagnosis", "unchanged tensor"): with_weights(mean=0.1),
    ("DeepDiagnosis", "invalid loss"): BROKEN,
    ("DeepDiagnosis", "loss not decreasing"): CONSTANT,
    ("DeepDiagnosis", "accuracy not increasing"): with_steps(accuracy=lambda _: 0.5),
    ("DeepDiagnosis", "vanishing gradient"): with_weights(gradient=9e-8),
    ("torch-audit", "TA100 NaN or Inf"): with_weights(finite=False),
    ("torch-audit", "TA102 gradient explosion"): with_weights(gradient_norm=101.0),
    ("torch-audit", "TA104 no gradients"): replace(healthy(), steps=(Step(0.7, 0.5, {"a": Weight(gradient=None)}),)),
    ("torch-audit", "TA105 activation collapse"): with_activations(zero=0.91),
    ("torch-audit", "TA301 data range"): replace(healthy(), inputs=((0.0, 51.0, 1.0),)),
    ("torch-audit", "TA302 flat data"): replace(healthy(), inputs=((0.0, 0.0, 0.0),)),
    ("torch-audit", "TA303 layout"): replace(healthy(), image_shapes=((8, 32, 32, 3),)),
    ("torch-audit", "TA304 tiny batch"): replace(healthy(), batch_norm=True, batch=7),
    ("torch-audit", "TA305 invalid input"): replace(healthy(), negative_indices=True),
    ("torch-audit", "TA400 bias before norm"): replace(healthy(), bias_before_norm=1),
    ("torch-audit", "TA401 Adam with L2"): replace(healthy(), weight_decay=0.1),
    ("torch-audit", "TA402 decay of biases"): replace(healthy(), optimizer="sgd", weight_decay=0.1),
    ("torch-audit", "TA405 dead filters"): with_weights(empty_rows=1),
    ("torch-audit", "TA500 unused layer"): replace(healthy(), unused=1),
}  # fmt: skip


def test_no_published_rule_fires_on_a_healthy_run() -> None:
    assert judged(healthy()) == {peer.name: [] for peer in PEERS}


@pytest.mark.parametrize(("peer", "rule"), [(peer.name, rule.name) for peer in PEERS for rule in peer.rules])
def test_every_published_rule_fires_just_beyond_its_documented_limit(peer: str, rule: str) -> None:
    assert rule in judged(MADE_FOR[peer, rule])[peer]
