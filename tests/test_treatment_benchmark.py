"""The benchmark of treatments: its training, its advice and its arithmetic, against what is known by hand."""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from benchmarks.articles import NETWORKS, REMEDIES
from benchmarks.diagnosis.case import Case
from benchmarks.treatments import autotrainer, training
from benchmarks.treatments.advice import SETTINGS, advised, by_chance, generic, of_settings
from benchmarks.treatments.articles import RESULTS, page
from benchmarks.treatments.autotrainer import ORDER, AutoTrainer
from benchmarks.treatments.check import Check
from benchmarks.treatments.curable import INCURABLE, sick
from benchmarks.treatments.page import composed
from benchmarks.treatments.tables import failures, in_text, tables
from benchmarks.treatments.training import Way, ratio, reached, ways
from service.contract.options import Clipping
from service.contract.words import OptimizerName
from worker.subject import Settings, Subject
from worker.treatments import treatments

SGD = OptimizerName.SGD


def case(*layers: dict[str, Any], **options: Any) -> Case:  # noqa: ANN401  whatever options hold
    """Return a model of these layers on a line that a straight network learns."""
    points = np.linspace(-1, 1, 16, dtype=np.float32)[:, None]
    document = {"gradgate": "1", "input": {"shape": [1]}, "layers": list(layers)}
    return Case(
        name="by/hand-1",
        family="by",
        model=json.dumps(document).encode(),
        suffix=".json",
        batch={"input": points, "target": 2 * points},
        options={"loss": "mse", "seed": 1, **options},
        sick=True,
        symptoms=frozenset({"dead_units"}),
        severity="severe",
        hard=False,
        half="tuning",
    )


def dense(units: int = 1, **more: Any) -> dict[str, Any]:  # noqa: ANN401  whatever a layer holds
    return {"kind": "dense", "units": units, **more}


def subject(*layers: dict[str, Any], **options: Any) -> Subject:  # noqa: ANN401  whatever options hold
    return Check(case(*layers, **options)).subject


# -- training --


def test_a_model_is_trained_as_it_says_and_else_under_sgd_and_adam() -> None:
    assert [way.name for way in ways(Settings())] == ["adam", "sgd"]
    assert ways(Settings(optimizer=SGD, learning_rate=0.5)) == (Way(SGD, (0.5,)),)
    assert [len(way.rates) > 1 for way in ways(Settings(optimizer=SGD))] == [True]


@pytest.mark.parametrize(
    ("ends", "held", "learnt", "tried"),
    [
        ({"adam": 0.1, "sgd": 0.9}, (), True, ["adam"]),
        ({"adam": 0.9, "sgd": 0.1}, (), True, ["adam", "sgd"]),
        ({"adam": 0.1, "sgd": 0.9}, ("adam",), False, ["adam", "sgd"]),
        ({"adam": 0.9, "sgd": 0.1}, ("adam",), False, ["adam"]),
        ({"adam": 0.1, "sgd": 0.1}, ("adam", "sgd"), True, ["adam", "sgd"]),
        ({"adam": 0.1, "sgd": 0.9}, ("adam", "sgd"), False, ["adam", "sgd"]),
    ],
)
def test_a_seed_has_to_learn_where_it_did_and_somewhere_where_it_did_not(
    monkeypatch: pytest.MonkeyPatch, ends: dict[str, float], held: tuple[str, ...], tried: list[str], *, learnt: bool
) -> None:
    monkeypatch.setattr(training, "ratio", lambda _, name, *given: ends[name] + 0 * len(given))
    found = reached(subject(dense()), 0, held=held)
    assert (found.learnt, list(found.ratios)) == (learnt, tried)
    assert reached(subject(dense()), 0, held=held, every=True).every is (max(ends.values()) < 0.5)


def test_a_straight_line_is_learnt_to_nothing() -> None:
    """Gradient descent on (2x - wx - b)² contracts by 1 - 2 η E[x²] a step, .92 at a rate of .1."""
    assert ratio(subject(dense()), SGD, 0.1, 0) < 1e-6


def test_a_rate_beyond_twice_the_inverse_curvature_breaks_the_run() -> None:
    """The bias's curvature is 2, so that no rate above 1 is stable."""
    assert ratio(subject(dense(init={"kernel": "ones", "bias": "ones"})), SGD, 3.0, 0) == math.inf


def test_what_has_no_gradient_ends_where_it_began() -> None:
    dead = dense(init={"kernel": "zeros", "bias": {"law": "constant", "value": -1}})
    assert ratio(subject(dead, {"kind": "relu"}), SGD, 0.1, 0) == pytest.approx(1, abs=1e-6)


def clipped(kind: Any, limit: float, start: str = "zeros") -> float:  # noqa: ANN401  a word of the contract
    """Return the slope that 400 steps at a rate of .01 come to, of 2; the bias has no gradient."""
    straight = subject(dense(init={"kernel": start, "bias": "zeros"}))
    left = ratio(straight.replace(settings=Settings(clipping=Clipping(kind=kind, limit=limit))), SGD, 0.01, 0)
    return 2 - 2 * math.sqrt(left)


def test_clipped_steps_are_as_long_as_the_limit_says() -> None:
    """400 steps of .01 · .1 are .4; steps of a thousandth of the weight make 1 · 1.001 ** 400 of it."""
    assert clipped("value", 0.1) == pytest.approx(0.4, abs=0.01)
    assert clipped("norm", 0.1) == pytest.approx(0.4, abs=0.01)
    assert clipped("agc", 0.1, "ones") == pytest.approx(1.001**400, abs=0.01)


def test_norms_that_only_shrink_are_no_outliers() -> None:
    assert clipped("zscore", 2.5) == pytest.approx(clipped("norm", 1e9), rel=1e-6)


def test_a_warm_up_as_long_as_the_run_takes_half_of_its_way() -> None:
    """The rates add up to half of what they would: the loss's logarithm falls half as far."""
    straight = subject(dense(init={"kernel": "zeros", "bias": "zeros"}))
    whole = ratio(straight, SGD, 0.005, 0)
    rising = ratio(straight.replace(settings=Settings(warmup=400)), SGD, 0.005, 0)
    assert math.log(rising) == pytest.approx(math.log(whole) / 2, rel=0.05)


# -- the check --


def test_a_dead_unit_is_not_cured_by_advice_about_the_rate_and_is_by_a_redraw() -> None:
    dead = {"kernel": "he_normal", "bias": {"law": "constant", "value": -9}}
    check = Check(case(dense(16, init=dead), {"kind": "relu"}, dense(), optimizer="adam", learning_rate=0.01))
    assert not check.cure(["rate / 10"]).cured
    assert check.cure(["critical-init"]).cured


def test_advice_that_has_nothing_to_change_cures_nothing_and_says_why() -> None:
    cure = Check(case(dense())).cure(["rate / 10"])
    assert (cure.cured, cure.told()["note"]) == (False, "rate / 10: No rate is declared.")


# -- advice --


def test_advice_on_rates_multiplies_the_declared_one() -> None:
    declared = subject(dense(), optimizer="sgd", learning_rate=0.5)
    changed, reasons = advised(declared, Check(case(dense())).evidence, ["rate / 10"])
    assert (changed.settings.learning_rate, reasons) == (0.05, [])


def test_chance_draws_different_treatments_and_the_same_ones_again() -> None:
    drawn = by_chance(bool, 3, "seed")
    assert len(set(drawn)) == 3
    assert drawn == by_chance(bool, 3, "seed")
    assert drawn[:1] == by_chance(lambda names: len(names) < 2, 3, "seed")


def test_all_advice_is_known_by_name() -> None:
    named = {*generic(), *(name for order in ORDER.values() for name in order)}
    assert named <= {*treatments, *SETTINGS}
    assert of_settings("Adam")
    assert not of_settings("batch-norm")


# -- AutoTrainer --


class Alone(Check):
    """A model of which every repair has something to change."""

    def __init__(self) -> None:
        """Be of no model."""

    def treated(self, names: Sequence[str]) -> Any:  # noqa: ANN401  what `watched` reads, here
        """Return the names in the treated model's place."""
        return tuple(names)


@pytest.mark.parametrize(
    ("monitor", "repairs"),
    [
        ({}, ()),
        ({(): "vanish", ("selu",): "vanish", ("relu",): "", ("batch-norm",): ""}, ("relu",)),
        ({(): "vanish", **{(name,): "vanish" for name in ORDER["vanish"]}}, ()),
        ({(): "vanish", ("selu",): "unstable", ("selu", "Keras's adam"): ""}, ("selu", "Keras's adam")),
    ],
)
def test_repairs_follow_one_another_until_the_monitor_raises_nothing(
    monkeypatch: pytest.MonkeyPatch, monitor: dict[tuple[str, ...], str], repairs: tuple[str, ...]
) -> None:
    """The last: SELU turns a vanishing gradient into unstable training, and no other repair ends either."""
    monkeypatch.setattr(autotrainer, "Subject", tuple)
    monkeypatch.setattr(autotrainer, "watched", lambda names: monitor.get(names, "vanish" if names else ""))
    assert AutoTrainer(Alone()).repaired() == repairs


# -- figures --


def row(name: str, *, cured: bool, half: str = "tuning", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return what a model came to."""
    found = {
        "name": name,
        "half": half,
        "symptoms": ["dead_units"],
        "incurable": None,
        "verdict": "fail",
        "prescription": ["relu"],
        "cure": {"cured": cured, "ratios": [{"adam": 0.9, "sgd": "inf"}], "every": True, "verdict": "pass"},
        "seconds": 3.0,
        "passes": {"steps": 100},
        "remedies": {"relu": "recommended", "l2": "harmful"},
        "untreated": {"cured": False},
        "advice": {"relu": {"cured": cured}, "l2": {"cured": False, "note": "none"}},
        "chance": {"one": [{"cured": True}, {"cured": False}], "as many": [{"cured": False}] * 2},
        "autotrainer": {"cured": False},
    }
    return {**found, **more}


ROWS = [
    row("a/good-1", cured=True),
    row("a/bad-1", cured=False),
    row("a/hidden-1", cured=False, half="held-out"),
    row("inputs/one-class-1", cured=False, incurable="no more to learn"),
]


def cells(title: str) -> list[tuple[str, ...]]:
    return [line for table in tables(ROWS) if table.title == title for line in table.rows]


def test_shares_are_of_the_models_that_may_be_cured() -> None:
    found = {line[:2]: line[2].split(" ")[0] for line in cells("Cured")}
    assert found["tuning", "the prescription"] == "1/2"
    assert found["tuning", "the prescription, under SGD and Adam alike"] == "1/2"
    assert found["tuning", "one treatment by chance"] == "2/4"
    assert found["held-out", "the prescription"] == "0/1"
    assert found["tuning", "the best single advice for all: relu"] == "1/2"


def test_advice_counts_where_it_changes_anything_and_what_the_trial_said() -> None:
    assert [line[0] for line in cells("Single advice, applied blindly")] == ["relu", "l2"]
    assert cells("Single advice, applied blindly")[1][2:] == ("0", "0", "0", "0", "4")


def test_what_the_trial_said_is_held_against_what_training_came_to() -> None:
    found = {line[0]: line[1:] for line in cells("What the trial said, and what came of it")}
    assert found["recommended"][1].startswith("1/4 = 0.250")
    assert found["harmful"] == ("4", "0/4 = 0.000 [0.000, 0.490]")
    assert found["works"] == ("0", "")


def test_failures_are_named_in_the_terminal_for_the_tuning_half_alone() -> None:
    assert [line[1] for line in failures(ROWS)] == ["`a/bad-1`", "`a/hidden-1`"]
    assert "a/bad-1" in in_text(ROWS)
    assert "a/hidden-1" not in in_text(ROWS)


def test_figures_stand_between_the_pages_head_and_its_first_treatment() -> None:
    text = composed("# Treatments\n\nMade.\n\n## first: One\n\n## second: Two\n", ROWS)
    order = [
        text.index(part) for part in ("Made.", "## How often", "### Cured", "`a/bad-1`", "## first: One", "## second")
    ]
    assert order == sorted(order)


def test_what_is_not_to_be_cured_is_a_sick_variant() -> None:
    assert INCURABLE.keys() <= {each.name.rpartition("-")[0] for each in sick("")}


@pytest.mark.skipif(not RESULTS.exists(), reason="what articles advise is measured by `make bench-treatments`")
def test_the_page_of_the_articles_is_that_of_the_results(golden: Callable[[str, str], None]) -> None:
    golden("docs/articles.md", page(json.loads(RESULTS.read_text(encoding="utf-8"))["networks"]))


def test_a_claim_is_held_against_what_was_measured() -> None:
    """A loss of .5 where chance is 1, and a paired gain of nothing."""
    clipped = {"name": "clip-norm", "status": "ineffective", "gain": -20.0, "loss": 0.5, "log_loss_gain": 0.0}
    faded = {"name": "e_deep", "says": "deep", "verdict": "fail", "gain": -20.0, "loss": 0.5, "chance": 1.0}
    text = page(
        [{**faded, "findings": [["GRD01", "vanishing_gradient", "error"]], "remedies": [clipped], "prescription": []}]
    )
    assert "| `e_deep` | clip-norm | ineffective | -20.0 → -20.0 | 0.5 → 0.5 | 0.00 |" in text
    assert "| `e_deep` | none | fail: vanishing_gradient | -20.0 | 0.5 |  |" in text


def test_every_article_has_a_network_and_its_remedies_treatments() -> None:
    assert {network.article for network in NETWORKS} == set("ABCDE")
    assert all(network.path.exists() for network in NETWORKS)
    assert len(REMEDIES.keys() & treatments.keys()) > 15
