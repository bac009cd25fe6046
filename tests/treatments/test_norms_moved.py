"""Norms moved, norms that cannot vary, queries and keys, columns, dropouts before norms: what their treatments do."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from service.contract.words import LossName
from tests.probe.subjects import by_hand, chain, dense, described, node, normal
from tests.treatments.applied import outcome, output, treated
from worker.patch.alike import alike
from worker.probe.measure import probe
from worker.probe.sweep import sweep
from worker.subject import Subject
from worker.treatments import Inapplicable

RELU, BATCH_NORM, LAYER_NORM = {"kind": "relu"}, {"kind": "batch_norm"}, {"kind": "layer_norm"}
FLATTEN = {"kind": "flatten"}


def transformer(norm: str, *behind: dict[str, Any], blocks: int = 24) -> Subject:
    block = {"kind": "transformer_block", "heads": 2, "norm": norm}
    return described([{"kind": "repeat", "times": blocks, "layers": [block]}, *behind, FLATTEN, dense(3)], (5, 16))


def test_a_transformer_with_norms_behind_its_sums_becomes_one_with_norms_in_front() -> None:
    after, made = treated("pre-norm", transformer("post")), transformer("pre", LAYER_NORM)
    assert alike(after.graph, made.graph) is not None
    gains = [probe(each).gain for each in (transformer("post"), after, made)]
    assert all(gains)
    behind, moved, in_front = (each.total for each in gains if each)
    assert moved == pytest.approx(in_front, abs=1e-3)
    assert abs(moved) < abs(behind)


def test_norms_that_stand_in_front_already_stay() -> None:
    for subject in (transformer("pre", blocks=2), transformer("pre", LAYER_NORM, blocks=2), described([dense(3)])):
        assert isinstance(outcome("pre-norm", subject), Inapplicable)
    assert isinstance(outcome("pre-norm", treated("pre-norm", transformer("post", blocks=2))), Inapplicable)


def spelt() -> Subject:
    """Return two blocks whose norms behind sums are spelt out, as many exports have them."""
    nodes = []
    for block in "ab":
        given = {"a": "x", "b": "a_out"}[block]
        nodes += [
            node("MatMul", f"{given} {block}_w", f"{block}_h"),
            node("Relu", f"{block}_h", f"{block}_r"),
            node("Add", f"{given} {block}_r", f"{block}_sum"),
            node("ReduceMean", f"{block}_sum last", f"{block}_mean"),
            node("Sub", f"{block}_sum {block}_mean", f"{block}_centred"),
            node("Pow", f"{block}_centred two", f"{block}_squares"),
            node("ReduceMean", f"{block}_squares last", f"{block}_variance"),
            node("Add", f"{block}_variance epsilon", f"{block}_safe"),
            node("Sqrt", f"{block}_safe", f"{block}_root"),
            node("Div", f"{block}_centred {block}_root", f"{block}_unit"),
            node("Mul", f"{block}_unit {block}_gain", f"{block}_scaled"),
            node("Add", f"{block}_scaled {block}_bias", f"{block}_out"),
        ]
    nodes.append(node("MatMul", "b_out head", "y"))
    weights = {"head": normal(8, 3)}
    for block in "ab":
        weights |= {f"{block}_w": normal(8, 8), f"{block}_gain": 1 + 0.1 * normal(8), f"{block}_bias": 0.1 * normal(8)}
    constants = {"two": torch.tensor(2.0), "epsilon": torch.tensor(1e-5), "last": torch.tensor([-1])}
    return by_hand(nodes, weights, {"x": normal(16, 8)}, constants=constants)


def test_norms_that_are_spelt_out_are_moved_as_well() -> None:
    after = treated("pre-norm", spelt())
    held = {name: each.value for name, each in after.graph.parameters.items()}

    def norm(x: torch.Tensor, gain: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.layer_norm(x, (8,), gain, bias)

    x = after.batch.inputs["x"]
    first = x + (norm(x, torch.ones(8), torch.zeros(8)) @ held["a_w"]).relu()
    second = first + (norm(first, held["a_gain"], held["a_bias"]) @ held["b_w"]).relu()
    expected = norm(second, held["b_gain"], held["b_bias"]) @ held["head"]
    torch.testing.assert_close(output(after), expected, rtol=1e-3, atol=1e-4)


SHARP = {"law": "xavier_normal", "gain": 10}


@pytest.mark.parametrize("more", [{}, {"causal": True}, {"rotary": True}], ids=["plain", "causal", "rotary"])
def test_norms_of_queries_and_keys_bring_entropy_back(more: dict[str, bool]) -> None:
    attention = {"kind": "self_attention", "heads": 4, "query_init": SHARP, "key_init": SHARP, **more}
    before = described([{"kind": "residual", "layers": [LAYER_NORM, attention]}, FLATTEN, dense(3)], (6, 32))
    after = treated("qk-norm", before)
    (sharp,), (even,) = (probe(each).attention.values() for each in (before, after))
    assert sharp.entropy < 0.1
    assert even.entropy > 0.7
    assert even.logit < 8**0.5 + 1e-3  # no score exceeds √width where gains are 1
    assert isinstance(outcome("qk-norm", after), Inapplicable)


def test_the_gains_of_queries_and_keys_start_where_scores_have_unit_deviation() -> None:
    """Scores without their division by √width would be √64 too large."""
    nodes = [
        node("MatMul", "x wq", "q"),
        node("MatMul", "x wk", "k"),
        node("Transpose", "k", "kt", perm=(0, 2, 1)),
        node("MatMul", "q kt", "scores"),
        node("Softmax", "scores", "weights", axis=-1),
        node("MatMul", "weights x", "y"),
    ]
    before = by_hand(nodes, {"wq": normal(64, 64), "wk": normal(64, 64, seed=1)}, {"x": normal(32, 12, 64)})
    after = treated("qk-norm", before)
    assert float(sweep(after).values["scores"].detach().std()) == pytest.approx(1, rel=0.1)


def test_a_norm_of_one_feature_is_taken_out_and_gradients_come_through() -> None:
    hidden = [dense(16), RELU]
    before = described([*hidden, dense(1), LAYER_NORM, dense(16), RELU, dense(3)])
    assert not sweep(before).gradients(["layers/0.kernel"])["layers/0.kernel"].abs().max() > 1e-6
    after = treated("remove-constant-norm", before)
    assert sweep(after).gradients(["layers/0.kernel"])["layers/0.kernel"].abs().max() > 1e-6
    assert isinstance(outcome("remove-constant-norm", described([*hidden, LAYER_NORM, dense(3)])), Inapplicable)


def given_weights(subject: Subject) -> Subject:
    held = subject.graph.parameters.items()
    return subject.replace(graph=subject.graph.replace(parameters={n: replace(each, law=None) for n, each in held}))


def test_batch_norms_of_trained_weights_leave_the_function_that_they_computed() -> None:
    before = given_weights(described([dense(16), BATCH_NORM, RELU, dense(8), BATCH_NORM, RELU, dense(3)]))
    evidence = probe(before)
    trained = replace(evidence, structure=replace(evidence.structure, trained=True))
    after = treated("remove-norm", before, trained)
    assert not any(each.op == "BatchNormalization" for each in after.graph.nodes)
    torch.testing.assert_close(output(after), output(before), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(output(after, training=False), output(after))


def test_fresh_statistics_make_evaluation_compute_what_training_does() -> None:
    before = given_weights(described([dense(16), BATCH_NORM, RELU, dense(8), BATCH_NORM, RELU, dense(3)]))
    after = treated("fresh-statistics", before)
    assert not torch.allclose(output(before, training=False), output(before), rtol=0.1)
    torch.testing.assert_close(output(after, training=False), output(before), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(output(after), output(before))


def uneven() -> Subject:
    subject = described([dense(16), RELU, dense(3)], (6,), loss=LossName.CROSS_ENTROPY)
    x = normal(64, 6) * torch.tensor([1.0, 1e4, 0.01, 1.0, 0.0, 3.0]) + torch.tensor([0.0, 5e3, 0.0, 7.0, 2.0, 0.0])
    return subject.replace(batch=replace(subject.batch, inputs={"input": x}))


def test_columns_have_zero_mean_and_unit_deviation_and_a_flat_one_is_zero() -> None:
    after = treated("standardize-columns", uneven())
    (kernel, *_) = [each for each in after.graph.nodes if each.op in {"Gemm", "MatMul"}]
    value = sweep(after).values[kernel.inputs[0]]
    torch.testing.assert_close(value.mean(0), torch.zeros(6), rtol=0, atol=1e-5)
    expected = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0, 1.0])
    torch.testing.assert_close(value.std(0, correction=0), expected, rtol=1e-4, atol=0)
    assert max(given.contrast for given in probe(after).inputs) == pytest.approx(1, rel=1e-3)
    assert isinstance(outcome("standardize-columns", after), Inapplicable)


def test_columns_that_are_alike_need_one_number_alone() -> None:
    assert isinstance(outcome("standardize-columns", described(chain(1, dense(8), RELU))), Inapplicable)


def test_dropout_moves_behind_the_last_batch_norm() -> None:
    drop = {"kind": "dropout", "rate": 0.4}
    layers = [dense(16), BATCH_NORM, RELU, drop, dense(16), BATCH_NORM, RELU, dense(3)]
    before = described(layers)
    assert probe(before).structure.dropped
    after = treated("swap-dropout-norm", before)
    assert not probe(after).structure.dropped
    ops = [each.op for each in after.graph.nodes if each.op in {"BatchNormalization", "Dropout"}]
    assert ops == ["BatchNormalization", "BatchNormalization", "Dropout"]
    torch.testing.assert_close(output(after, training=False), output(before, training=False))
    assert isinstance(outcome("swap-dropout-norm", after), Inapplicable)
