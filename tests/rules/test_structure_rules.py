"""Rules of structure on evidence made up for them: what is a note, what warns, and what they keep out of."""

from dataclasses import replace
from typing import Any

import pytest

from service.contract.words import Severity
from tests.probe.subjects import chain, dense, described
from tests.rules.asking import judge, severity, status
from worker.course import Run
from worker.diagnose import diagnose
from worker.probe.evidence import (
    Evaluation,
    Evidence,
    Gain,
    Kernel,
    MeanField,
    PlainNorm,
    Segment,
    Spot,
    Structure,
    Training,
)
from worker.probe.measure import probe
from worker.rules import SHOWN_PLACES, Observation, rules

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
PLAIN: Evidence = probe(described(chain(3, dense(32), {"kind": "relu"})))
WINDOWS: Evidence = probe(
    described(
        [
            {"kind": "conv2d", "filters": 4, "kernel": 3, "bias": False},
            {"kind": "batch_norm"},
            {"kind": "relu"},
            {"kind": "flatten"},
            {"kind": "dense", "units": 4},
        ],
        (2, 6, 6),
    )
)
HERE = Spot("here", "Conv", measured=0.5, also="there")
RUN = Run(
    "sgd",
    0.1,
    declared=False,
    losses=(1.0,),
    final=1.0,
    lowest=1.0,
    gradient_norms=(1.0,),
    beaten=False,
    diverged=False,
    spike=1.0,
)


def trial(*, beaten: bool) -> Training:
    return Training((replace(RUN, beaten=beaten),), 200, complete=True, converged=False, judged=True)


FAILED, PASSED = trial(beaten=False), trial(beaten=True)


def gained(size: float) -> Evidence:
    """Return evidence of a gradient whose ln of squared gain is `size`, spread evenly."""
    segments = tuple(Segment(f"n{at}", f"n{at + 1}", size / 10, 1) for at in range(10))
    return replace(PLAIN, gain=Gain(segments, size, size, size, 0.1, 0.5, 0.0, 0.0, 0.0))


def shown(evidence: Evidence = PLAIN, **given: Any) -> Evidence:  # noqa: ANN401
    return replace(evidence, structure=replace(evidence.structure, **given))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"linear": True, "layers": 4, "unbent": (HERE,)}, WARNING),
        ({"linear": True, "layers": 3, "unbent": (HERE,)}, WARNING),
        ({"linear": True, "layers": 2, "unbent": (HERE,)}, INFO),
        ({"linear": True, "layers": 4, "factored": True}, None),
        ({"linear": True, "layers": 1}, None),
        ({"linear": False, "layers": 9, "unbent": (HERE,)}, INFO),
    ],
)
def test_a_network_of_nothing_but_matrices_warns_and_a_pair_of_them_is_noted(
    given: dict[str, Any], expected: Severity | None
) -> None:
    assert severity("ARC01", shown(**given)) is expected
    tried = replace(shown(**given), training=FAILED)
    assert severity("ARC01", tried) is (ERROR if expected is WARNING else expected)


NOTES = {
    "ARC02": "pointlike",
    "NRM01": "biased",
    "NRM03": "dropped",
    "NRM06": "repeating",
    "EXP01": "folded",
    "ACT01": "repeated",
}


@pytest.mark.parametrize(("code", "field"), NOTES.items())
def test_a_note_stays_one_whatever_training_says_and_names_five_places(code: str, field: str) -> None:
    for training in (None, PASSED, FAILED):
        found = replace(shown(WINDOWS, **{field: (HERE,) * 9}), training=training)
        answer = judge(code, found)
        assert isinstance(answer, Observation)
        assert answer.severity is INFO
        assert len(answer.places) == SHOWN_PLACES
        assert "9 " in answer.explanation
    assert status(code, shown(WINDOWS, **{field: ()})) == "clear"
    one = judge(code, shown(WINDOWS, **{field: (HERE,)}))
    assert isinstance(one, Observation)


def test_one_even_window_shifts_by_half_a_position_which_is_no_note() -> None:
    assert status("ARC03", shown(WINDOWS, lopsided=(HERE,))) == "clear"
    assert severity("ARC03", shown(WINDOWS, lopsided=(HERE, HERE))) is INFO


@pytest.mark.parametrize("code", ["ARC02", "ARC03", "EXP01", "NRM01", "NRM03", "NRM04", "NRM06", "NRM07", "EVL01"])
def test_what_needs_a_convolution_or_a_norm_does_not_apply_without(code: str) -> None:
    assert status(code, PLAIN) == "not_applicable"


def kernel(**given: Any) -> Kernel:  # noqa: ANN401
    base = Kernel("k", "here", units=32, zeros=0.0, copies=0.0, chance=0.0, kept=False, hidden=True)
    return replace(base, **given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"copies": 0.6, "kept": True}, WARNING),
        ({"copies": 0.6, "kept": False}, INFO),  # sub-pixel convolutions start so
        ({"copies": 0.5, "kept": True}, INFO),
        ({"copies": 0.6, "kept": True, "hidden": False}, INFO),
        ({"copies": 0.6, "kept": True, "chance": 0.55}, None),  # signs of three weights
        ({"copies": 0.05, "zeros": 0.05}, None),
        ({"zeros": 0.9}, INFO),  # pruned
    ],
)
def test_copies_warn_only_where_they_are_most_of_a_hidden_layer_and_stay(
    given: dict[str, Any], expected: Severity | None
) -> None:
    assert severity("INI04", shown(kernels=(kernel(), kernel(**given)))) is expected


def test_a_layer_of_nothing_but_copies_is_told_once() -> None:
    """INI01 says it of the whole layer; INI04 has nothing to add."""
    same = {"kernel": {"law": "constant", "value": 0.1}, "bias": "zeros"}
    layers = [dense(16, same), {"kind": "tanh"}, dense(16, same), {"kind": "tanh"}, dense(4, same)]
    evidence = probe(described(layers))
    assert severity("INI04", evidence) is WARNING
    findings, coverage = diagnose([evidence])
    assert [finding.code for finding in findings if finding.code.startswith("INI")] == ["INI01"]
    assert next(each.reason for each in coverage if each.code == "INI04") == "INI01 is the cause and says it"


def expecting(predicted: float) -> MeanField:
    return MeanField(9, predicted, "here", "Relu", 0.333, 2.0)


@pytest.mark.parametrize(
    ("predicted", "measured", "expected"),
    [(-4.0, -4.0, INFO), (4.0, 4.0, INFO), (-2.9, -4.0, None), (-4.0, -2.9, None), (-4.0, 4.0, None)],
)
def test_a_variance_is_noted_where_theory_and_the_measured_gain_agree(
    predicted: float, measured: float, expected: Severity | None
) -> None:
    evidence = replace(gained(measured), structure=Structure(mean_field=expecting(predicted)))
    assert severity("INI05", evidence) is expected


def test_trained_weights_follow_no_law() -> None:
    assert status("INI05", shown(trained=True, mean_field=expecting(-9.0))) == "not_applicable"
    assert status("INI05", shown(mean_field=None)) == "not_applicable"


def test_where_the_gain_warns_the_variance_is_not_told_again() -> None:
    evidence = replace(gained(-9.0), structure=Structure(mean_field=expecting(-9.0)))
    assert severity("INI05", evidence) is INFO
    assert "INI05" not in {finding.code for finding in diagnose([evidence])[0]}


def normed(samples: int, numbers: int) -> Evidence:
    return shown(WINDOWS, norms=(PlainNorm("here", samples, numbers),))


@pytest.mark.parametrize(
    ("samples", "numbers", "expected"),
    [
        (1, 1, WARNING),
        (3, 3, WARNING),
        (4, 4, INFO),
        (1, 49, INFO),  # one image: its positions are not alike
        (7, 7, INFO),
        (8, 8, None),
    ],
)
def test_few_numbers_warn_and_few_samples_are_noted(samples: int, numbers: int, expected: Severity | None) -> None:
    assert severity("NRM04", normed(samples, numbers)) is expected
    assert status("NRM04", replace(normed(samples, numbers), synthetic=True)) == "could_not_judge"


def test_bare_norms_are_noted_unless_the_gradient_says_otherwise() -> None:
    found = shown(WINDOWS, bare=8, bare_gain=3.1)
    assert severity("NRM07", replace(found, gain=None)) is INFO
    assert severity("NRM07", replace(found, gain=gained(7.0).gain)) is INFO
    assert status("NRM07", replace(found, gain=gained(1.0).gain)) == "clear"
    assert status("NRM07", shown(WINDOWS, bare=7, bare_gain=2.7)) == "clear"


def test_where_the_gain_warns_of_batch_norms_they_are_not_told_again() -> None:
    grown = replace(shown(WINDOWS, bare=48, bare_gain=18.0), gain=gained(18.0).gain)
    assert severity("NRM07", grown) is INFO
    assert severity("GRD02", grown) is WARNING
    assert "NRM07" not in {finding.code for finding in diagnose([grown])[0]}


@pytest.mark.parametrize(
    ("training", "loss", "expected"),
    [(0.4, 1.1, WARNING), (0.6, 1.1, None), (0.4, 0.9, None), (1.0, 99.0, None), (0.4, float("nan"), WARNING)],
)
def test_evaluation_warns_where_training_has_learnt_and_it_guesses(
    training: float, loss: float, expected: Severity | None
) -> None:
    seen = Evaluation(loss, training, 1, 0, HERE)
    evidence = shown(WINDOWS, two_modes=True, evaluation=seen)
    evidence = replace(evidence, loss=replace(evidence.loss, chance=1.0))
    assert severity("EVL01", evidence) is expected
    assert status("EVL01", replace(evidence, synthetic=True)) == "could_not_judge"


def test_what_is_idle_is_counted_apart_from_what_is_frozen() -> None:
    first, *others = PLAIN.parameters
    evidence = replace(shown(frozen=100), parameters=(replace(first, state="unused"), *others))
    answer = judge("PAR01", evidence)
    assert isinstance(answer, Observation)
    assert answer.severity is INFO
    total = sum(each.count for each in PLAIN.parameters) + 100
    assert answer.evidence["unused_share"] == pytest.approx(first.count / total)
    assert answer.evidence["frozen_share"] == pytest.approx(100 / total)
    assert status("PAR01", replace(PLAIN, parameters=())) == "not_applicable"


def test_every_sentence_is_whole() -> None:
    for code, field in NOTES.items():
        answer = judge(code, shown(WINDOWS, **{field: (HERE,)}))
        assert isinstance(answer, Observation)
        assert answer.explanation.endswith(".")
        assert answer.explanation[0].isupper() or answer.explanation[0].isdigit()
        assert rules[code].thresholds == {} or all(limit > 0 for limit in rules[code].thresholds.values())
