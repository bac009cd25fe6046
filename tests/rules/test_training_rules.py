"""Rules on what the training trial came to: where each begins to speak, how grave it is, and when it is silent."""

import math
from dataclasses import replace
from typing import Any

import pytest

from service.contract.words import OptimizerName, Severity, Verdict
from tests.probe.subjects import chain, dense, described
from tests.rules.asking import judge, severity, status, training
from worker.course import RatePoint, Run
from worker.diagnose import diagnose, verdict
from worker.in_training import training_section
from worker.probe.evidence import Declared, Evidence, Gain, Regularization, Segment
from worker.probe.measure import probe
from worker.rules import Observation
from worker.summary import summary
from worker.sureness import sureness

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
CHANCE = 1.0
_BASE = probe(described(chain(3, dense(32), {"kind": "relu"})))
HEALTHY: Evidence = replace(_BASE, loss=replace(_BASE.loss, value=2.0, chance=CHANCE), gain=None)


def run(**given: Any) -> Run:  # noqa: ANN401
    base = Run(
        optimizer=OptimizerName.SGD,
        learning_rate=0.1,
        declared=True,
        losses=(2.0, *(0.2,) * 199),
        final=0.2,
        lowest=0.2,
        gradient_norms=(1.0,) * 200,
        beaten=True,
        diverged=False,
        spike=1.0,
    )
    return replace(base, **given)


def trained(*runs: Run, **given: Any) -> Evidence:  # noqa: ANN401
    return replace(HEALTHY, training=training(*runs, **given))


def noisy(*spiky: int, height: float = 100.0) -> tuple[float, ...]:
    calm = [math.exp(0.1 * (-1) ** step) for step in range(200)]
    return tuple(height if step in spiky else norm for step, norm in enumerate(calm))


def test_a_spike_is_a_note_with_a_clip_limit_that_nine_of_ten_steps_stay_under() -> None:
    answer = judge("TRN04", trained(run(gradient_norms=noisy(50, 120))))
    assert isinstance(answer, Observation)
    assert answer.severity is INFO
    assert [place.node for place in answer.places] == ["step 50", "step 120"]
    assert answer.evidence["clip"] == pytest.approx(math.exp(0.1))
    assert "2 of 200 steps" in answer.explanation
    assert severity("TRN04", trained(run(gradient_norms=noisy()))) is None
    assert severity("TRN04", trained(run(gradient_norms=noisy(50, height=2.5)))) is None, "under three times the median"
    assert status("TRN04", trained(run(gradient_norms=(1.0,) * 49))) == "not_applicable"


def test_spikes_do_not_depend_on_the_scale_of_the_loss() -> None:
    said = {
        tuple((place.node, round(place.measured / scale, 6)) for place in answer.places)
        for scale in (1e-6, 1.0, 1e6)
        if isinstance(
            answer := judge("TRN04", trained(run(gradient_norms=tuple(scale * each for each in noisy(50))))),
            Observation,
        )
    }
    assert said == {(("step 50", 100.0),)}


def test_a_spike_behind_which_all_is_lost_warns() -> None:
    assert severity("TRN04", trained(run(gradient_norms=noisy(50), lowest=0.3, final=1.0))) is WARNING


def swinging(low: float, high: float, **given: Any) -> Run:  # noqa: ANN401
    return run(losses=(2.0, *((low, high) * 100)[:199]), **given)


def test_a_loss_that_jumps_back_and_forth_is_a_note_and_above_its_start_a_warning() -> None:
    assert severity("TRN05", trained(swinging(0.5, 0.6))) is INFO
    assert severity("TRN05", trained(swinging(0.5, 0.503))) is None, "a ripple"
    assert severity("TRN05", trained(swinging(1.5, 2.5))) is WARNING
    assert severity("TRN05", trained(run())) is None
    assert status("TRN05", trained(swinging(0.5, 0.6, whole=False))) == "could_not_judge"
    assert status("TRN05", trained(run(declared=False))) == "not_applicable"
    drops = replace(trained(swinging(0.5, 0.6)), regularization=Regularization(0.0, (), (("drop", 0.5),)))
    assert status("TRN05", drops) == "could_not_judge"


def test_a_run_that_forgets_what_it_learnt_is_unstable_where_a_lower_rate_learns() -> None:
    lost, calm = run(learning_rate=5.0, final=1.0, spike=40.0), run(declared=False, learning_rate=0.3)
    assert severity("TRN01", trained(lost, calm, stable_learning_rate=0.3)) is ERROR
    assert severity("TRN01", trained(lost, calm)) is WARNING, "nothing lower was tried"
    assert severity("TRN01", trained(run(learning_rate=5.0, spike=40.0), calm, stable_learning_rate=0.3)) is WARNING
    assert severity("TRN01", trained(run(spike=9.0))) is None


STANDING = run(losses=(2.0, *(0.7,) * 199), final=0.7, lowest=0.7)


def test_a_small_batch_that_is_half_learnt_and_no_further_is_a_note() -> None:
    falling = run(losses=tuple(2.0 * 0.995**step for step in range(200)), final=0.74, lowest=0.74)
    assert severity("TRN06", trained(STANDING)) is INFO
    assert severity("TRN06", trained(falling)) is None
    assert severity("TRN06", trained(run())) is None
    assert status("TRN06", trained(replace(STANDING, whole=False))) == "could_not_judge"
    assert status("TRN06", trained(replace(STANDING, beaten=False))) == "not_applicable"
    many = replace(trained(STANDING), samples=10**6)
    assert status("TRN06", many) == "could_not_judge"


def declared(**given: Any) -> Declared:  # noqa: ANN401
    return Declared(**{"optimizer": "sgd", "learning_rate": 0.1, "momentum": None, "weight_decay": 0.0, **given})


def stepping(*ratios: float, **given: Any) -> Evidence:  # noqa: ANN401
    matrix = next(each for each in HEALTHY.parameters if each.units)
    parameters = tuple(replace(matrix, name=f"w{at}", update_ratio=ratio) for at, ratio in enumerate(ratios))
    return replace(trained(run(**given)), parameters=parameters, declared=declared())


@pytest.mark.parametrize(
    ("ratios", "beaten", "expected"),
    [
        ((1e-3, 0.9), True, None),
        ((1e-3, 1.1), True, INFO),
        ((2.0, 1.1), True, INFO),
        ((2.0, 1.1), False, WARNING),
        ((2.0, 0.1), False, INFO),
        ((1e-8, 1e-3), True, INFO),
    ],
)
def test_first_steps_are_measured_by_their_weights(
    ratios: tuple[float, ...],
    beaten: bool,  # noqa: FBT001  a case
    expected: Severity | None,
) -> None:
    assert severity("OPT01", stepping(*ratios, beaten=beaten)) is expected


def test_without_a_declared_rate_no_step_is_out_of_proportion() -> None:
    assert status("OPT01", replace(stepping(2.0), declared=declared(learning_rate=None))) == "not_applicable"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"optimizer": "adam", "weight_decay": 0.01}, INFO),
        ({"optimizer": "adamw", "weight_decay": 0.01}, None),
        ({"optimizer": "sgd", "weight_decay": 0.01}, None),
        ({"optimizer": "adam", "momentum": 0.9}, INFO),
        ({"optimizer": "sgd", "momentum": 0.9}, None),
    ],
)
def test_settings_that_do_something_else_than_they_say_are_noted(
    given: dict[str, Any], expected: Severity | None
) -> None:
    assert severity("OPT02", replace(HEALTHY, declared=declared(**given))) is expected
    assert status("OPT02", replace(HEALTHY, declared=declared(optimizer=None))) == "not_applicable"


def with_norm(weight_decay: float, held: Regularization | None) -> Evidence:
    norm = replace(HEALTHY.parameters[0], name="gamma", node="bn", op="BatchNormalization")
    parameters = (*HEALTHY.parameters, norm)
    return replace(HEALTHY, parameters=parameters, declared=declared(weight_decay=weight_decay), regularization=held)


def test_decay_is_noted_where_it_reaches_norms() -> None:
    assert severity("NRM05", with_norm(1e-4, Regularization(0.1))) is INFO
    assert severity("NRM05", with_norm(0.0, Regularization(0.1, ("gamma",)))) is INFO
    assert severity("NRM05", with_norm(0.0, Regularization(0.1, ("w",)))) is None
    assert status("NRM05", with_norm(0.0, None)) == "not_applicable"
    plain = replace(HEALTHY, declared=declared(weight_decay=1e-4), regularization=Regularization(0.1))
    assert status("NRM05", plain) == "clear"


def held(pull: float, stuck: Run, free: Run, decay: float = 1.0) -> Evidence:
    evidence = trained(run(declared=False), regularized=stuck, unregularized=free)
    drops = () if decay else (("drop", 0.9),)
    held = Regularization(pull, (), drops)
    return replace(evidence, declared=declared(weight_decay=decay), regularization=held)


STUCK, HARDLY, FREE = run(final=1.0, shrinkage=0.01), run(final=0.95, shrinkage=0.01), run(final=0.01)


@pytest.mark.parametrize(
    ("pull", "stuck", "free", "decay", "expected"),
    [
        (5.0, STUCK, FREE, 1.0, ERROR),
        (5.0, replace(STUCK, diverged=True), FREE, 1.0, ERROR),
        (0.5, replace(STUCK, shrinkage=0.9), FREE, 1.0, WARNING),
        (0.0, replace(STUCK, shrinkage=0.9), FREE, 0.0, WARNING),
        (5.0, HARDLY, FREE, 1.0, WARNING),
        (5.0, HARDLY, run(final=0.8), 1.0, INFO),
        (0.5, STUCK, run(final=0.95), 1.0, None),
        (0.5, run(final=0.95, shrinkage=0.9), FREE, 1.0, None),
        (0.5, replace(STUCK, late=True), FREE, 1.0, None),
    ],
)
def test_what_holds_a_network_back_is_judged_by_the_same_run_without_it(
    pull: float, stuck: Run, free: Run, decay: float, expected: Severity | None
) -> None:
    assert severity("REG01", held(pull, stuck, free, decay)) is expected


def test_dropout_of_which_little_passes_is_a_note() -> None:
    for shares, expected in (((0.5, 0.5), None), ((0.1,) * 100, None), ((0.8,), INFO), ((0.7, 0.7), INFO)):
        drops = tuple((f"drop{at}", share) for at, share in enumerate(shares))
        assert severity("REG01", replace(trained(run()), regularization=Regularization(0.0, (), drops))) is expected
    assert status("REG01", trained(run())) == "not_applicable"


def test_a_network_that_decay_makes_diverge_is_told_so_once() -> None:
    wild = run(diverged=True, beaten=False, final=math.inf, spike=math.inf)
    evidence = replace(
        trained(wild, run(declared=False), regularized=wild, unregularized=FREE, stable_learning_rate=0.001),
        declared=declared(weight_decay=100.0),
        regularization=Regularization(600.0),
    )
    findings, _ = diagnose([evidence])
    assert [finding.code for finding in findings if finding.severity is not INFO] == ["REG01"]
    assert verdict(findings) is Verdict.FAIL


def test_the_section_tells_rates_and_how_the_trial_ended() -> None:
    points = (RatePoint("sgd", 0.3, 0.1, diverged=False), RatePoint("sgd", 1.0, 9.0, diverged=True))
    section = training_section([trained(run(), rates=points, suggested_learning_rate=0.1)])
    assert section is not None
    assert section.max_stable_learning_rate == 0.3
    assert section.suggested.clipping is None
    said = " ".join(section.notes)
    assert "sgd at 0.1: after 200 steps it had beaten the best constant prediction." in said
    assert "2 short runs of 20 steps; with sgd 0.3 is the largest rate that does not diverge." in said
    late = training_section([trained(run(losses=(2.0, 1.0), late=True), complete=False)])
    assert late is not None
    assert "after 2 steps of 200, when the time was up," in late.notes[0]


def gained(rate: float) -> Evidence:
    gain = Gain((Segment("a", "b", rate, 5),), rate, rate, rate, 0.0, 1.0, 0.0, 0.0, 0.0)
    return replace(trained(run(declared=False)), gain=gain)


def test_a_verdict_is_as_sure_as_jeffreys_posterior_of_its_draws() -> None:
    """One draw that is certain: P(p > ½) under Beta(3/2, 1/2) is ½ + 1/π; three: Beta(7/2, 1/2)."""
    certain = replace(HEALTHY, parameters=tuple(replace(each, state="dead") for each in HEALTHY.parameters))
    findings, _ = diagnose([certain])
    assert verdict(findings) is Verdict.FAIL
    assert sureness(Verdict.FAIL, [certain], redrawn=True) == pytest.approx(0.5 + 1 / math.pi, abs=5e-4)
    three = 0.5 + (1 + 1 / 3 + 2 / 15) / math.pi
    assert sureness(Verdict.FAIL, [certain] * 3, redrawn=True) == pytest.approx(three, abs=5e-4)
    assert sureness(Verdict.FAIL, [certain], redrawn=False) == 1.0


def test_a_gain_nearer_to_its_limit_makes_a_pass_less_sure_but_no_less_than_the_trial_alone() -> None:
    at, near, far = (sureness(Verdict.PASS, [gained(rate)], redrawn=False) for rate in (-5.9, -4.5, 0.0))
    assert far == 0.99
    assert near == pytest.approx(0.99 * 0.5 * (1 + math.erf(1.5 / math.sqrt(2))), abs=1e-3)
    assert at == 0.86


def test_draws_that_disagree_make_a_verdict_less_sure() -> None:
    certain = replace(HEALTHY, parameters=tuple(replace(each, state="dead") for each in HEALTHY.parameters))
    draws = [certain, certain, trained(run(declared=False))]
    split = sureness(Verdict.FAIL, draws, redrawn=True)
    assert 0.5 < split < sureness(Verdict.FAIL, [certain] * 2, redrawn=True)
    assert sureness(Verdict.PASS, draws, redrawn=True) < 0.5


def test_a_pass_that_no_trial_confirms_is_less_sure() -> None:
    untried, tried = (sureness(Verdict.PASS, [each], redrawn=False) for each in (HEALTHY, trained(run())))
    assert untried < tried


def test_what_is_learnt_by_heart_only_is_a_note_and_no_stalled_training() -> None:
    whole, few = (
        run(declared=False, beaten=False, lowest=1.2, final=1.1),
        run(declared=False, by_heart=True, lowest=0.1),
    )
    assert severity("TRN02", trained(whole, few)) is INFO
    assert severity("TRN02", trained(whole, replace(few, beaten=False))) is ERROR
    assert severity("TRN02", trained(run(), few)) is None


def test_a_trial_that_was_cut_off_at_once_says_nothing_of_training() -> None:
    cut = run(declared=False, losses=(2.0,), final=2.0, lowest=math.inf, beaten=False, late=True)
    evidence = trained(cut, complete=False)
    assert status("TRN02", evidence) == "could_not_judge"
    assert "ran out of time after 1 step and shows nothing" in summary(Verdict.PASS, (), None, [evidence])
    assert severity("TRN02", trained(replace(cut, lowest=1.5), complete=False)) is WARNING


def test_a_clip_under_which_no_rate_learns_warns_and_an_optimizer_under_which_none_does_is_noted() -> None:
    still = run(beaten=False, lowest=1.0, final=1.0)
    usual = run(declared=False, optimizer="adam", learning_rate=1e-3)
    evidence = replace(trained(still, usual), declared=declared())
    assert severity("TRN03", evidence) is INFO
    clipped = judge("TRN03", replace(evidence, declared=declared(clip=1e-8)))
    assert isinstance(clipped, Observation)
    assert clipped.severity is WARNING
    assert "clipping at 1e-08" in clipped.explanation
    assert status("TRN03", replace(evidence, training=trained(still).training)) == "could_not_judge"
