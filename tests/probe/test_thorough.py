"""When measures of many passes are taken, and what is said where they cannot be."""

from dataclasses import replace
from functools import partial

import pytest

from service.contract.words import LossName
from tests.probe.subjects import chain, dense, described
from worker.load.widening import widened
from worker.loss import Loss
from worker.probe.measure import probe
from worker.probe.thorough import Thorough, planned_s
from worker.subject import Settings, Subject

RELU = {"kind": "relu"}
DECLARED = Settings(learning_rate=0.1)


def subject(settings: Settings = Settings()) -> Subject:  # noqa: B008  frozen
    return described(chain(3, dense(16), RELU), settings=settings)


@pytest.mark.parametrize(
    ("settings", "pass_s", "measured"), [(DECLARED, 1e-4, True), (DECLARED, 1.0, False), (Settings(), 1e-4, False)]
)
def test_sharpness_is_measured_where_a_rate_is_declared_and_it_costs_little(
    settings: Settings, pass_s: float, *, measured: bool
) -> None:
    given = subject(settings).replace(pass_s=pass_s)
    evidence = probe(given, sharp=True)
    assert (evidence.sharpness is not None) is measured
    assert (planned_s(given, deep=False, sharp=True) > 0) is measured
    assert evidence.deep is None
    assert probe(given).sharpness is None


def test_a_deep_probe_measures_sharpness_whatever_it_costs() -> None:
    given = subject().replace(pass_s=100.0)
    assert probe(given, deep=True).sharpness is not None


def test_what_cannot_be_measured_is_told_with_its_reason() -> None:
    evidence = probe(described([{"kind": "batch_norm"}, dense(4)], size=8), deep=True)
    assert set(evidence.unmeasured) == {"noise", "coherence", "isometry", "halves", "widths"}
    assert all(evidence.unmeasured.values())


def test_a_measure_that_fails_is_told_and_not_raised() -> None:
    def fails() -> float:
        msg = "shapes do not fit\nand more"
        raise RuntimeError(msg)

    notes = Thorough()
    assert notes.taken("noise", fails) is None
    assert notes.unmeasured == {"noise": "the network does not run so: shapes do not fit"}


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_recurrent_networks_are_examined_in_depth(kind: str) -> None:
    layers = [{"kind": kind, "units": 8}, dense(4)]
    document = {"gradgate": "1", "input": {"shape": [5, 3]}, "layers": layers}
    given = described(layers, (5, 3)).replace(widened=partial(widened, document, seed=0))
    deep = probe(given, deep=True).deep
    assert deep is not None
    assert deep.noise is not None
    assert deep.coherence is not None
    assert len(deep.widths) == 1


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_losss_scale_changes_none_of_it(scale: float) -> None:
    given = subject()
    found, scaled = (
        probe(each, deep=True).deep for each in (given, given.replace(loss=Loss(LossName.MSE, scale=scale)))
    )
    assert found is not None
    assert found.noise is not None
    assert scaled is not None
    assert scaled.noise is not None
    assert scaled.noise.scale == pytest.approx(found.noise.scale, rel=0.01)
    assert scaled.coherence == pytest.approx(found.coherence, abs=1e-4)
    assert replace(scaled, noise=None, coherence=None) == replace(found, noise=None, coherence=None)
