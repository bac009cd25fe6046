"""Rules of the batch, the loss, the head and the target, on evidence made up for them."""

import math
from dataclasses import replace
from typing import Any

import pytest

from service.contract.words import LossName, Severity
from tests.probe.subjects import chain, dense, described
from worker.course import Run
from worker.probe.evidence import (
    Evidence,
    InputEvidence,
    LossEvidence,
    Mixing,
    NonFinite,
    TargetEvidence,
    Training,
)
from worker.probe.measure import probe
from worker.rules import Observation, Silence, rules

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
HEALTHY: Evidence = probe(described(chain(2, dense(32), {"kind": "relu"})))
LOST = Run("adam", 1e-3, declared=False, losses=(1.0,), final=1.0, lowest=1.0, gradient_norms=(1.0,), beaten=False,
           diverged=False, spike=1.0)  # fmt: skip
FAILED = Training((LOST,), steps=200, complete=True, converged=False, judged=True)
GIVEN = InputEvidence("x", rms=1.0, mean=0.0, std=1.0, nonfinite=0.0, constant=0.0, columns=16, shape=(64, 16))
TARGET = TargetEvidence(samples=64, distinct=64, count=64, mean=0.0, std=1.0)


def said(code: str, evidence: Evidence) -> Severity | str:
    """Return how gravely a rule speaks, or why it does not."""
    answer = rules[code].judge(evidence)
    return answer.severity if isinstance(answer, Observation) else answer.status


def loss(**given: Any) -> LossEvidence:  # noqa: ANN401
    return replace(HEALTHY.loss, head_width=3, output_rank=2, **given)


@pytest.mark.parametrize(
    ("head", "declared", "expected"),
    [
        ("Relu", False, WARNING),
        ("Sigmoid", False, INFO),
        ("Tanh", False, INFO),
        ("Tanh", True, WARNING),
        ("Relu", True, WARNING),
        ("", True, "clear"),
        ("Gelu", False, "clear"),
    ],
)
def test_a_head_that_squeezes_the_logits_of_classes_is_told(head: str, declared: bool, expected: object) -> None:  # noqa: FBT001
    given = loss(name=LossName.CROSS_ENTROPY, head=head, declared=declared)
    assert said("LOS01", replace(HEALTHY, loss=given, target=TARGET)) == expected


def test_a_drawn_target_says_nothing_about_a_head() -> None:
    given = loss(name=LossName.CROSS_ENTROPY, head="Relu", declared=False)
    assert said("LOS01", replace(HEALTHY, loss=given, target=None)) == "clear"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"unreachable": 0.04}, "clear"),
        ({"unreachable": 0.06}, WARNING),
        ({"unreachable": 0.51}, ERROR),
        ({"squashed_again": "softmax_2", "head": "Softmax"}, WARNING),
        ({"one_hot": True, "head": "Softmax"}, INFO),
        ({"one_hot": True, "head": ""}, "clear"),
        ({"head": "LogSoftmax", "head_axis": -2}, ERROR),
        ({"head": "Softmax", "head_axis": 0, "of_pairs": True}, "clear"),
    ],
)
def test_reach_repetition_and_axis_of_a_head_are_judged(given: dict[str, Any], expected: object) -> None:
    assert said("LOS01", replace(HEALTHY, loss=loss(**given), target=TARGET)) == expected


@pytest.mark.parametrize(
    ("high", "expected"), [(1.0, "clear"), (1.00001, "clear"), (1.1, ERROR)]
)  # rounding is no fault
def test_probabilities_may_be_rounded_but_not_beyond_one(high: float, expected: object) -> None:
    given = loss(name=LossName.BCE, head="", declared=True, output_low=0.0, output_high=high)
    assert said("LOS01", replace(HEALTHY, loss=given)) == expected


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize(("above", "expected"), [(0.9, "clear"), (1.1, INFO), (10.1, WARNING)])
@pytest.mark.parametrize(("name", "guess"), [(LossName.CROSS_ENTROPY, math.log(3)), (LossName.BCE, math.log(2))])
def test_a_first_loss_is_held_against_an_even_guess_whatever_its_scale(
    scale: float, above: float, expected: object, name: LossName, guess: float
) -> None:
    given = loss(name=name, value=scale * (guess + above), scale=scale)
    assert said("LOS02", replace(HEALTHY, loss=given)) == expected


def test_a_first_loss_that_training_does_not_mend_rejects() -> None:
    given = loss(name=LossName.CROSS_ENTROPY, value=5.0)
    assert said("LOS02", replace(HEALTHY, loss=given, training=FAILED)) is ERROR
    assert said("LOS02", replace(HEALTHY, loss=replace(given, value=math.nan))) == "could_not_judge"


def test_first_numbers_are_held_against_those_to_be_predicted() -> None:
    assert said("LOS02", replace(HEALTHY, target=TARGET, loss=loss(output_rms=31.0))) == "clear"
    assert said("LOS02", replace(HEALTHY, target=TARGET, loss=loss(output_rms=32.0))) is INFO
    large = replace(TARGET, std=1000.0)
    assert said("LOS02", replace(HEALTHY, loss=loss(output_rms=1000.0), target=large)) == "clear"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"rms": 1000.0}, WARNING),
        ({"rms": 1000.0, "normalized": "norm"}, "not_applicable"),
        ({"rms": 1000.0, "positions": True}, "not_applicable"),
        ({"rms": 0.02, "zero": 0.9996, "active": 1.0}, "clear"),
        ({"rms": 0.02, "zero": 0.0, "active": 0.02}, WARNING),
        ({"rms": 0.0, "zero": 1.0}, "clear"),
    ],
)
def test_a_scale_counts_where_it_reaches_the_weights(given: dict[str, Any], expected: object) -> None:
    assert said("INP01", replace(HEALTHY, inputs=(replace(GIVEN, **given),))) == expected


def test_an_input_is_called_what_was_measured() -> None:
    far = replace(GIVEN, rms=1000.0)
    plain, behind = (
        rules["INP01"].judge(replace(HEALTHY, inputs=(replace(far, rescaled=each),))) for each in (False, True)
    )
    assert isinstance(plain, Observation)
    assert isinstance(behind, Observation)
    assert plain.explanation.startswith("The input 'x' has a root mean square of 1e+03")
    assert behind.explanation.startswith("What the network's own rescaling leaves of the input 'x' has")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"contrast": 990.0}, "clear"),
        ({"contrast": 1010.0}, WARNING),
        ({"contrast": 1010.0, "by_column": True}, "not_applicable"),
        ({"constant": 0.25}, INFO),
        ({"constant": 0.25, "zero": 0.9}, "clear"),
        ({"columns": 0}, "not_applicable"),
    ],
)
def test_columns_that_drown_others_warn_and_constant_ones_are_noted(given: dict[str, Any], expected: object) -> None:
    assert said("INP02", replace(HEALTHY, inputs=(replace(GIVEN, **given),))) == expected


def test_a_batch_of_one_sample_many_times_is_no_batch() -> None:
    same = replace(HEALTHY, inputs=(GIVEN,), target=replace(TARGET, distinct=1, contradicting=1.0, floor=1.0))
    assert said("INP02", same) is WARNING
    assert said("TGT01", same) == "clear", "one cause is one finding"
    assert said("INP02", replace(same, samples=31)) == "could_not_judge"


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((64, 32, 32, 3), INFO),
        ((64, 28, 28, 1), INFO),
        ((64, 3, 32, 32), "clear"),
        ((64, 22, 128, 1), "clear"),
        ((64, 4, 4, 4), "clear"),
        ((64, 32, 32, 32), "clear"),
    ],
)
def test_rows_in_the_place_of_channels_are_noted(shape: tuple[int, ...], expected: object) -> None:
    image = replace(GIVEN, shape=shape, channels_first=True)
    assert said("INP03", replace(HEALTHY, inputs=(image,))) == expected
    assert said("INP03", replace(HEALTHY, inputs=(replace(image, channels_first=False),))) == "not_applicable"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "clear"),
        ({"contradicting": 0.04, "floor": 0.04}, "clear"),
        ({"contradicting": 0.3, "floor": 0.2}, INFO),
        ({"contradicting": 0.9, "floor": 0.4}, INFO),
        ({"contradicting": 0.6, "floor": 0.6}, WARNING),
        ({"leak": ("x", 3)}, INFO),
        ({"classes": 2, "dominant": 0.96}, INFO),
        ({"classes": 2, "dominant": 0.94}, "clear"),
        ({"count": 640, "dominant": 0.99}, "clear"),
        ({"classes": 6, "missing": 2}, INFO),
        ({"classes": 7, "missing": 2}, "clear"),
        ({"samples": 31, "classes": 2, "dominant": 1.0}, "could_not_judge"),
    ],
)
def test_targets_are_judged_by_what_can_be_learnt_from_them(given: dict[str, Any], expected: object) -> None:
    assert said("TGT01", replace(HEALTHY, target=replace(TARGET, **given))) == expected


def test_targets_that_are_all_the_same_teach_nothing_but_a_discriminator() -> None:
    same = replace(HEALTHY, target=TARGET, loss=loss(target_constant=True))
    assert said("TGT01", same) is WARNING
    assert said("TGT01", replace(same, loss=loss(target_constant=True, name=LossName.BCE))) is INFO


@pytest.mark.parametrize(
    ("given", "output", "expected"),
    [
        ({"std": 31.0}, 1.0, "clear"),
        ({"std": 32.0}, 1.0, INFO),
        ({"mean": 100.0}, 0.5, INFO),
        ({"std": 1000.0}, 1000.0, "clear"),
        ({"mean": 0.0, "std": 0.03}, 1.0, INFO),
        ({"mean": 0.0, "std": 0.03}, 0.03, "clear"),
        ({"mean": 0.0, "std": 0.03}, 0.0, INFO),
        ({"mean": 5.0, "std": 0.0}, 1.0, "clear"),
    ],
)
def test_numbers_far_from_what_a_network_starts_with_are_noted(
    given: dict[str, Any], output: float, expected: object
) -> None:
    evidence = replace(HEALTHY, target=replace(TARGET, **given), loss=loss(output_rms=output))
    assert said("TGT02", evidence) == expected
    if expected is INFO:
        assert said("TGT02", replace(evidence, training=FAILED)) is ERROR


def test_bounded_heads_and_classes_have_no_target_of_free_scale() -> None:
    far = replace(TARGET, mean=100.0)
    assert said("TGT02", replace(HEALTHY, target=far, loss=loss(head_low=-1.0, head_high=1.0))) == "not_applicable"
    assert said("TGT02", replace(HEALTHY, target=far, loss=loss(name=LossName.CROSS_ENTROPY))) == "not_applicable"


@pytest.mark.parametrize(
    ("mixing", "expected"),
    [
        (Mixing(0.0), "clear"),
        (Mixing(5e-4), "clear"),
        (Mixing(0.05), INFO),
        (Mixing(0.2), WARNING),
        (Mixing(0.2, purpose="the output holds a number for each pair of samples"), "not_applicable"),
        (Mixing(unjudged="a single sample has no others beside it"), "could_not_judge"),
        (None, "could_not_judge"),
    ],
)
def test_samples_that_reach_each_other_warn_unless_they_do_by_right(mixing: Mixing | None, expected: object) -> None:
    assert said("BAT01", replace(HEALTHY, mixing=mixing)) == expected


@pytest.mark.parametrize(("spread", "expected"), [(0.06, "clear"), (0.04, INFO), (0.0, INFO)])
def test_a_head_that_sees_the_same_for_everyone_is_noted(spread: float, expected: object) -> None:
    evidence = replace(HEALTHY, loss=loss(hidden="relu", hidden_spread=spread))
    assert said("RNK02", evidence) == expected
    if expected is INFO:
        assert said("RNK02", replace(evidence, training=FAILED)) is ERROR


def test_on_a_drawn_batch_inputs_and_targets_are_not_judged() -> None:
    far = replace(GIVEN, rms=1e4, contrast=1e6, shape=(64, 32, 32, 3), channels_first=True)
    drawn = replace(HEALTHY, inputs=(far,), synthetic=True, target=None)
    for code in ("INP01", "INP02", "INP03", "TGT01", "TGT02"):
        assert said(code, drawn) == "not_applicable", code


NAN = replace(HEALTHY, nonfinite=NonFinite("x", "Log", "forward", "a number below 0", 1.0), gain=None, mixing=None)
TINY = replace(HEALTHY, samples=1, target=replace(TARGET, samples=1, distinct=1, count=1))
BARE = replace(HEALTHY, places=(), parameters=(), inputs=(), gain=None)


@pytest.mark.parametrize("evidence", [HEALTHY, NAN, TINY, BARE], ids=["healthy", "nan", "tiny", "bare"])
@pytest.mark.parametrize("code", list(rules))
def test_every_rule_answers_and_says_why_where_it_does_not_judge(code: str, evidence: Evidence) -> None:
    answer = rules[code].judge(evidence)
    assert isinstance(answer, Observation | Silence)
    if isinstance(answer, Silence) and answer.status != "clear":
        assert len(answer.reason.split()) > 2, answer
