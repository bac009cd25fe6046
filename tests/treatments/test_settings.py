"""Clipping, rates, optimizers and regularization, against what was measured, closed forms and the labelled cases."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor

from benchmarks.diagnosis.families.rates import rates
from benchmarks.diagnosis.labels import loaded
from service.contract.options import Clipping
from service.contract.words import LossName, Mode, OptimizerName, Severity
from tests.probe.subjects import by_hand, chain, dense, described, node, normal
from worker.budget import Deadline
from worker.diagnose import diagnose
from worker.network.graph import Penalty
from worker.network.run import Program
from worker.probe.evidence import Evidence
from worker.probe.measure import probe
from worker.probe.sweep import sweep
from worker.probe.training import Ask, usual_optimizer
from worker.subject import Settings, Subject
from worker.training import Trainer
from worker.treatments import Change, Inapplicable, treatments
from worker.trial import measured

FOREVER = Deadline.after(1e9)
RELU, SIGMOID = {"kind": "relu"}, {"kind": "sigmoid"}
SMALL = chain(2, dense(16), RELU)


def subject_of(settings: Settings = Settings(), **more: object) -> Subject:  # noqa: B008  frozen
    return described(SMALL, loss=LossName.CROSS_ENTROPY, settings=settings, **more)  # type: ignore[arg-type]


def sgd(rate: float, **more: object) -> Settings:
    return Settings(OptimizerName.SGD, rate, **more)  # type: ignore[arg-type]


@cache
def evidence(settings: Settings, steps: int = 60) -> Evidence:
    return measured(subject_of(settings), Ask(steps, both=True), FOREVER)


def change(name: str, settings: Settings = Settings(), found: Evidence | None = None) -> Change:  # noqa: B008
    made = treatments[name].apply(subject_of(settings), found or evidence(settings))
    assert isinstance(made, Change), made
    return made


def refused(name: str, subject: Subject, found: Evidence) -> str:
    made = treatments[name].apply(subject, found)
    assert isinstance(made, Inapplicable)
    assert made.reason.endswith(".")
    return made.reason


def ends(subject: Subject, steps: int = 60) -> float:
    return Trainer(subject).run(usual_optimizer(subject), steps, 0, FOREVER).final


def test_the_clip_limit_is_the_norm_that_nine_of_ten_measured_steps_stay_under() -> None:
    settings = sgd(0.1)
    run = evidence(settings).training.best  # type: ignore[union-attr]
    assert run is not None
    made = change("clip-norm", settings)
    limit = made.subject.settings.clipping
    assert limit is not None
    below = sum(norm <= limit.limit * 1.005 for norm in run.gradient_norms)
    assert below == pytest.approx(0.9 * len(run.gradient_norms), abs=2)
    assert f"{limit.limit:g}" in made.changes[0]
    assert made.values == {"limit": f"{limit.limit:g}"}


def test_clipping_by_value_cuts_at_three_root_mean_squares_of_such_a_gradient() -> None:
    settings = sgd(0.1)
    norm, value = (change(name, settings).subject.settings.clipping for name in ("clip-norm", "clip-value"))
    assert norm is not None
    assert value is not None
    count = sum(each.value.numel() for each in subject_of().graph.parameters.values())
    assert value.limit == pytest.approx(3 * norm.limit / math.sqrt(count), rel=0.01)


@pytest.mark.parametrize("norm", [1e-8, 1e14])
def test_where_gradients_have_faded_or_nothing_learns_the_usual_limit_stands(norm: float) -> None:
    settings = sgd(0.1)
    found = evidence(settings)
    assert found.training is not None
    runs = tuple(
        replace(run, gradient_norms=(norm,) * len(run.losses), beaten=False, by_heart=False)
        for run in found.training.runs
    )
    ill = replace(found, training=replace(found.training, runs=runs))
    made = change("clip-norm", settings, ill)
    assert made.subject.settings.clipping == Clipping(kind="norm", limit=1)
    assert f"{norm:g}" in made.changes[0]


def test_a_declared_limit_far_below_the_norms_is_exchanged_and_one_near_them_stays() -> None:
    tight = sgd(0.1, clipping=Clipping(kind="norm", limit=1e-8))
    made = change("clip-norm", tight)
    assert made.subject.settings.clipping is not None
    assert made.subject.settings.clipping.limit > 1e-3
    assert ends(made.subject) < 0.95 * ends(subject_of(tight))
    near = sgd(0.1, clipping=Clipping(kind="norm", limit=1.0))
    assert "declared already" in refused("clip-norm", subject_of(near), evidence(near))


@pytest.mark.parametrize("rate", [1e4, 1e-7])
def test_a_rate_that_fails_gives_way_to_one_at_which_the_same_optimizer_learns(rate: float) -> None:
    made = change("learning-rate", sgd(rate)).subject
    assert made.settings.optimizer is OptimizerName.SGD
    assert made.settings.learning_rate is not None
    assert 1e-3 < made.settings.learning_rate < 10
    found = measured(made, Ask(60), FOREVER).training
    assert found is not None
    assert found.declared is not None
    assert found.declared.beaten


def test_what_learns_only_without_the_declared_clipping_is_trained_without_it() -> None:
    tight = sgd(0.1, clipping=Clipping(kind="norm", limit=1e-8))
    made = change("learning-rate", tight)
    assert made.subject.settings.clipping is None
    assert "without the declared clipping" in made.changes[0]
    assert ends(made.subject) < 0.95 * ends(subject_of(tight))


def test_an_absurd_rate_becomes_the_usual_one_where_nothing_trains() -> None:
    still = described(chain(8, dense(8, {"law": "normal", "std": 0.01}), SIGMOID), settings=sgd(1e5))
    found = measured(still, Ask(30), FOREVER)
    assert found.training is not None
    assert not found.training.passed
    made = treatments["learning-rate"].apply(still, found)
    assert isinstance(made, Change)
    assert made.subject.settings.learning_rate == 0.01
    usual = still.replace(settings=sgd(0.01))
    assert "found to train" in refused("learning-rate", usual, measured(usual, Ask(30), FOREVER))


def linear(settings: Settings) -> Subject:
    """Return least squares: y = x w, whose Hessian is 2 XᵀX / n."""
    made = by_hand([node("MatMul", "x w", "y")], {"w": normal(5, 1)}, {"x": normal(64, 5)})
    return made.replace(settings=settings)


def test_the_rate_from_the_curvature_is_one_by_the_largest_eigenvalue() -> None:
    subject = linear(sgd(10.0))
    inputs = subject.batch.inputs["x"].double()
    largest = float(torch.linalg.eigvalsh(2 * inputs.T @ inputs / 64)[-1])
    made = treatments["curvature-rate"].apply(subject, probe(subject, sharp=True))
    assert isinstance(made, Change)
    assert made.subject.settings.learning_rate == pytest.approx(1 / largest, rel=0.01)


def test_no_rate_is_taken_from_a_curvature_that_was_not_measured_or_agrees() -> None:
    subject = linear(sgd(10.0))
    assert "not measured" in refused("curvature-rate", subject, probe(subject))
    made = treatments["curvature-rate"].apply(subject, probe(subject, sharp=True))
    assert isinstance(made, Change)
    refused("curvature-rate", made.subject, probe(made.subject, sharp=True))


def test_warm_up_takes_a_tenth_of_the_trials_steps_once() -> None:
    made = change("warm-up", sgd(0.1))
    assert made.subject.settings.warmup == 6
    assert "over the first 6 of 60 steps" in made.changes[0]
    assert "already" in refused("warm-up", made.subject, evidence(sgd(0.1)))


@pytest.mark.parametrize("name", ["adam", "nadam", "rmsprop", "adagrad", "momentum", "sgd"])
def test_every_optimizer_trains_at_the_rate_it_comes_with(name: str) -> None:
    start = Settings(OptimizerName.ADAMW, 3e-4) if name == "sgd" else sgd(0.003)
    made = change(name, start).subject
    assert made.settings.optimizer == name
    losses = Trainer(made).run(usual_optimizer(made), 100, 0, FOREVER).losses
    assert losses[-1] < 0.95 * losses[0]


def test_a_declared_rate_is_kept_within_the_family_and_the_same_optimizer_is_refused() -> None:
    assert change("nadam", Settings(OptimizerName.ADAM, 3e-4)).subject.settings.learning_rate == 3e-4
    assert change("adam", sgd(0.1)).subject.settings.learning_rate == 1e-3
    assert "declared already" in refused("sgd", subject_of(sgd(0.1)), evidence(sgd(0.1)))
    assert "where none is declared" in refused("adam", subject_of(), evidence(Settings()))


@pytest.mark.parametrize(
    ("name", "added"),
    [("l1", lambda weight: 1e-5 * weight.sign()), ("l2", lambda weight: 2e-4 * weight)],
    ids=["l1", "l2"],
)
def test_a_penalty_adds_its_derivative_to_each_kernels_gradient(name: str, added: object) -> None:
    before = subject_of()
    after = change(name, found=probe(before)).subject
    for key, (plain, held) in _gradients(before, after).items():
        extra = added(before.graph.parameters[key].value) if key.endswith("kernel") else torch.zeros_like(plain)  # type: ignore[operator]
        torch.testing.assert_close(held, plain + extra, rtol=1e-4, atol=1e-8)


def _gradients(before: Subject, after: Subject) -> Mapping[str, tuple[Tensor, Tensor]]:
    found = []
    for subject in (before, after):
        leaves = {name: each.value.clone().requires_grad_() for name, each in subject.graph.parameters.items()}
        cost = subject.cost(Program(subject.graph), leaves, torch.Generator())
        found.append(torch.autograd.grad(subject.penalized(cost, leaves), list(leaves.values())))
    return dict(zip(before.graph.parameters, zip(*found, strict=True), strict=True))


def test_dropout_zeroes_a_fifth_and_keeps_the_mean_in_training_alone() -> None:
    before = described(chain(2, dense(400), SIGMOID))
    after = treatments["dropout"].apply(before, probe(before))
    assert isinstance(after, Change)
    nodes = [each for each in after.subject.graph.nodes if each.op == "Dropout"]
    assert len(nodes) == 2
    values = sweep(after.subject).values
    for each in nodes:
        given, kept = values[each.inputs[0]], values[each.outputs[0]]
        zero = kept == 0
        assert float(zero.float().mean()) == pytest.approx(0.2, abs=0.01)
        torch.testing.assert_close(kept[~zero], given[~zero] / 0.8)
    inputs = before.batch.inputs
    one, other = (Program(each.graph).run(inputs)["output"] for each in (before, after.subject))
    torch.testing.assert_close(one, other)


def test_dropout_stays_away_from_batch_norms_gates_selu_and_evaluation() -> None:
    normed = described(chain(2, dense(8), {"kind": "batch_norm"}, RELU))
    assert "batch norm" in refused("dropout", normed, probe(normed))
    selu = described(chain(2, dense(8), {"kind": "selu"}))
    refused("dropout", selu, probe(selu))
    still = subject_of().replace(mode=Mode.EVAL)
    assert "evaluation" in refused("dropout", still, probe(still))
    gates = [node("MatMul", "x a", "g"), node("Sigmoid", "g", "s"), node("Mul", "s x", "m"), node("MatMul", "m b", "y")]
    gated = by_hand(gates, {"a": normal(6, 6), "b": normal(6, 2)}, {"x": normal(32, 6)})
    refused("dropout", gated, probe(gated))


HELD = ["rates/decay-", "rates/dropout-97-"]


def held_back(variant: str) -> Subject:
    (case,) = [each for each in rates() if each.half == "tuning" and each.name.startswith(variant)]
    return loaded(case)


@pytest.mark.parametrize("variant", HELD)
def test_less_regularization_lets_a_network_that_is_held_back_learn(variant: str) -> None:
    before = held_back(variant)
    made = treatments["less-regularization"].apply(before, probe(before))
    assert isinstance(made, Change)
    assert ends(made.subject, 100) < 0.5 * ends(before, 100)


@pytest.mark.slow
@pytest.mark.parametrize("variant", HELD)
def test_less_regularization_cures_the_finding(variant: str) -> None:
    before = held_back(variant)
    found = measured(before, Ask(200, both=True), FOREVER)
    assert "REG01" in rejected(found)
    made = treatments["less-regularization"].apply(before, found)
    assert isinstance(made, Change)
    assert rejected(measured(made.subject, Ask(200), FOREVER)) == set()


def rejected(found: Evidence) -> set[str]:
    return {each.code for each in diagnose([found])[0] if each.severity is Severity.ERROR}


def test_mild_regularization_is_left_as_it_is() -> None:
    mild = described([dense(8), RELU, {"kind": "dropout", "rate": 0.1}, dense(4)], settings=sgd(0.1, weight_decay=1e-4))
    refused("less-regularization", mild, probe(mild))


def test_penalties_are_taken_away_and_dropouts_of_every_opset_lowered() -> None:
    held = described([dense(8), RELU, {"kind": "dropout", "rate": 0.9}, dense(4)])
    graph = held.graph
    kernel = graph.parameters["layers/0.kernel"]
    heavy = {**graph.parameters, "layers/0.kernel": kernel.__class__(kernel.value, penalty=Penalty(l2=10))}
    for opset in (9, 22):
        nodes = tuple(
            each
            if each.op != "Dropout" or opset > 9
            else each.__class__(each.op, each.inputs[:1], each.outputs, each.name, {"ratio": 0.9})
            for each in graph.nodes
        )
        subject = held.replace(graph=graph.replace(nodes=nodes, parameters=heavy, opsets={"": opset}))
        made = treatments["less-regularization"].apply(subject, probe(subject))
        assert isinstance(made, Change)
        assert all(each.penalty is None for each in made.subject.graph.parameters.values())
        regularized = probe(made.subject).regularization
        assert regularized is not None
        assert [share for _, share in regularized.dropouts] == pytest.approx([0.2])


def test_decay_with_adam_is_taken_apart_from_the_gradient() -> None:
    settings = Settings(OptimizerName.ADAM, 1e-3, weight_decay=0.01)
    made = change("decouple-decay", settings, probe(subject_of(settings))).subject.settings
    assert (made.optimizer, made.learning_rate, made.weight_decay) == (OptimizerName.ADAMW, 1e-3, 0.01)
    codes = {each.code for each in diagnose([probe(subject_of(settings))])[0]}
    after = {each.code for each in diagnose([probe(subject_of(made))])[0]}
    assert codes - after == {"OPT02"}
    plain = sgd(0.1, weight_decay=0.01)
    refused("decouple-decay", subject_of(plain), probe(subject_of(plain)))
