"""What treatments do on sick models: what must help does, and what theory says cannot does not."""

from collections.abc import Callable
from typing import Any

import pytest

from service.contract.words import RemedyStatus
from tests.case_files import bench, read
from tests.probe.subjects import dense
from worker.budget import Deadline, Meter, OutOfTime
from worker.treatments import Inapplicable, treatments
from worker.trial import Bench, Tried
from worker.trial.duel import FIRST, PAIRS
from worker.trial.judging import judged

CURES = {
    "batch-norm": "GRD01",
    "critical-init": "INI01",
    "fix-loss": "LOS01",
    "layer-norm": "GRD02",
    "leaky-relu": "UNT01",
    "learning-rate": "TRN01",
    "orthogonal-init": "UNT01",
    "recurrent-init": "REC01",
    "relu": "GRD01",
    "residual-scale": "GRD02",
    "selu": "GRD01",
    "standardize-input": "INP01",
    "tanh": "GRD01",
}
"""Per treatment, the rule whose sick model it cures."""
RELU = {"kind": "relu"}
WAITING = ("adagrad", "clip-norm", "clip-value", "dropout", "l1", "l2", "momentum", "warm-up", "weight-sharing")
"""What articles advise and theory does not: a gradient that fades is not restored by any of it."""


def network(*layers: dict[str, Any], steps: int = 50, **training: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a case of a described network: one seed, a short trial."""
    head = {"kind": "dense", "units": 4}
    model = {"gradgate": "1", "input": {"shape": [16]}, "layers": [*layers, head], **training}
    return {"model": model, "options": {"seeds": 1, "steps": steps}}


def deep(depth: int, *layers: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "repeat", "times": depth, "layers": list(layers)}


CASES = {
    "default init of twenty layers": network(deep(20, {"kind": "dense", "units": 32}, RELU)),
    "default init of eighty layers": network(deep(80, {"kind": "dense", "units": 24}, RELU), steps=10),
    "a rate of fifty": network(dense(32), RELU, dense(32), RELU, optimizer="sgd", learning_rate=50),
}

Measured = Callable[[str], Bench]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """Return a function that measures, once, a case or a rule's sick model."""
    done: dict[str, Bench] = {}

    def made(name: str) -> Bench:
        if name not in done:
            case = CASES[name] if name in CASES else read(name, "sick")
            done[name] = bench(case, tmp_path_factory.mktemp("case"))
        return done[name]

    return made


def tried(bench: Bench, *names: str) -> Tried:
    """Return what treatments that apply did."""
    screened = bench.screen([treatments[name] for name in names])
    assert not isinstance(screened, Inapplicable), screened
    return bench.attempt(screened)


@pytest.mark.parametrize("name", list(CURES))
def test_a_treatment_cures_the_sickness_that_it_is_for(name: str, measured: Measured) -> None:
    found = tried(measured(CURES[name]), name)
    assert CURES[name] in found.cures
    assert judged(found) is RemedyStatus.WORKS
    assert found.changes
    assert len(found.duel.gains) in {FIRST, PAIRS}


@pytest.mark.parametrize("name", WAITING)
def test_what_does_not_restore_a_gradient_is_ineffective_against_its_fading(name: str, measured: Measured) -> None:
    sick = measured("GRD01")
    screened = sick.screen([treatments[name]])
    if isinstance(screened, Inapplicable):
        assert name == "weight-sharing"
        return
    found = sick.attempt(screened)
    assert judged(found) is RemedyStatus.INEFFECTIVE
    assert "GRD01" not in found.cures


@pytest.mark.parametrize("name", ["critical-init", "orthogonal-init", "xavier-init"])
def test_no_scale_of_weights_makes_a_deep_sigmoid_network_train(name: str, measured: Measured) -> None:
    found = tried(measured("GRD01"), name)
    assert judged(found) is not RemedyStatus.WORKS
    assert "GRD01" not in found.cures


def test_critical_init_cures_pytorchs_default(measured: Measured) -> None:
    """Twenty layers of default weights pass e⁻³⁴ of a squared gradient; He's pass all."""
    found = tried(measured("default init of twenty layers"), "critical-init")
    before, after = found.before.evidences[0].gain, found.after.evidences[0].gain
    assert judged(found) is RemedyStatus.WORKS
    assert before is not None
    assert after is not None
    assert abs(after.total) < 6 < abs(before.total)


def test_batch_norm_on_a_deep_plain_network_turns_fading_into_growing(measured: Measured) -> None:
    """ReLU behind batch norm multiplies the squared gradient by 1.21 per layer (Yang et al. 2019): eighty make e⁺¹⁵."""
    found = tried(measured("default init of eighty layers"), "batch-norm")
    after = found.after.evidences[0].gain
    assert judged(found) in {RemedyStatus.HARMFUL, RemedyStatus.INEFFECTIVE}
    assert found.causes
    assert after is not None
    assert after.total > 12


def test_a_setting_goes_by_what_the_changed_network_shows(measured: Measured) -> None:
    """The norms of a gradient that vanishes say nothing of where to clip the one that was restored."""
    sick = measured("default init of twenty layers")
    alone, behind = tried(sick, "clip-norm"), tried(sick, "critical-init", "clip-norm")
    assert float(behind.values["limit"]) > 100 * float(alone.values["limit"])


@pytest.mark.parametrize("left_s", [0.0, 1e-6])
def test_no_copy_is_found_healthy_because_the_plan_is_spent(left_s: float, measured: Measured) -> None:
    """Training that is given no step finds nothing to warn of, and so would confirm whatever was tried."""
    spent = Bench(measured("a rate of fifty").before, 50, Deadline(Meter(600.0), at=left_s))
    with pytest.raises(OutOfTime):
        spent.fresh([treatments["l2"]])
