"""Norms inserted, exchanged, taken out and moved, against what theory and a closed form say of them."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from tests.probe.subjects import by_hand, chain, dense, described, node, normal
from tests.treatments.applied import outcome, output, treated
from worker.network.export import to_onnx
from worker.network.norming import groups
from worker.network.run import Program
from worker.probe.measure import probe
from worker.probe.sweep import sweep
from worker.subject import Subject
from worker.treatments import Inapplicable

RELU, BATCH_NORM = {"kind": "relu"}, {"kind": "batch_norm"}
WILD = {"law": "normal", "std": 0.5}
PER_LAYER = math.log(math.pi / (math.pi - 1))
"""What a layer of batch norm and ReLU adds to the log of a squared gradient (Yang et al. 2019)."""


INSERTED = ["layer-norm", "rms-norm", "group-norm"]


def gain(subject: Subject) -> float:
    found = probe(subject).gain
    assert found is not None
    return found.total


def fed(subject: Subject, op: str) -> list[torch.Tensor]:
    """Return what every operator of a kind reads."""
    found = sweep(subject)
    return [found.values[each.inputs[0]].detach() for each in subject.graph.nodes if each.op == op]


def images(*layers: Mapping[str, Any], channels: int = 16) -> Subject:
    convolution = {"kind": "conv2d", "filters": channels, "kernel": 3}
    return described([convolution, *layers, RELU, {"kind": "flatten"}, dense(3)], (2, 6, 6))


@pytest.mark.parametrize("name", ["layer-norm", "rms-norm"])
def test_a_norm_of_each_sample_keeps_gradients_through_forty_layers_of_any_weights(name: str) -> None:
    """χ₁ of ReLU behind a layer norm is 1: over 39 layers ln G stays near 0 where it was 80."""
    before = described(chain(40, dense(64, WILD), RELU), (64,), size=128)
    assert gain(before) > 60
    assert abs(gain(treated(name, before))) < 3


def test_exchanging_batch_norms_of_a_deep_plain_network_takes_their_explosion_away() -> None:
    before = described(chain(40, dense(64), BATCH_NORM, RELU), (64,), size=128)
    assert gain(before) == pytest.approx(39 * PER_LAYER, abs=2.5)
    for name in ("replace-batch-norm", "remove-norm"):
        assert abs(gain(treated(name, before))) < 3, name


def test_a_root_mean_square_norm_gives_every_sample_unit_root_mean_square() -> None:
    for value in fed(treated("rms-norm", described(chain(3, dense(32, WILD), RELU))), "Relu"):
        torch.testing.assert_close(value.square().mean(-1), torch.ones(64), rtol=1e-3, atol=0)


def test_a_group_norm_gives_every_group_of_each_sample_zero_mean_and_unit_variance() -> None:
    (value,) = fed(treated("group-norm", images()), "Relu")
    grouped = value.reshape(64, 8, -1)
    torch.testing.assert_close(grouped.mean(-1), torch.zeros(64, 8), rtol=0, atol=1e-4)
    torch.testing.assert_close(grouped.var(-1, correction=0), torch.ones(64, 8), rtol=1e-2, atol=0)


@pytest.mark.parametrize(
    ("channels", "positions", "count"),
    [(64, 49, 32), (32, 49, 16), (6, 49, 2), (5, 49, 1), (64, 1, 4), (64, 4, 16), (8, 1, 1), (48, None, 16)],
)
def test_groups_divide_the_channels_and_hold_two_channels_and_sixteen_numbers(
    channels: int, positions: int | None, count: int
) -> None:
    assert groups(channels, positions) == count
    assert channels % count == 0


@pytest.mark.parametrize("name", INSERTED)
def test_no_norm_is_inserted_over_a_single_number(name: str) -> None:
    assert isinstance(outcome(name, described([dense(1), RELU, dense(3)])), Inapplicable)


@pytest.mark.parametrize("opset", [9, 13, 17, 21])
@pytest.mark.parametrize(
    "name", ["rms-norm", "group-norm", "layer-norm", "replace-batch-norm", "qk-norm", "remove-norm"]
)
def test_norms_compute_in_onnxruntime_at_older_opsets_what_they_do_at_new_ones(name: str, opset: int) -> None:
    before = at(opset)
    after = treated(name, before)
    for each in after.graph.nodes:
        assert onnx.defs.get_schema(each.op, opset, "").since_version <= opset, each.op
    model = to_onnx(after.graph).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (there,) = session.run(None, {"x": after.batch.inputs["x"].numpy()})
    here = output(after, training=False)
    np.testing.assert_allclose(there, here.numpy(), rtol=1e-3, atol=1e-4)
    newer = treated(name, before.replace(graph=before.graph.replace(opsets={"": 23})))
    torch.testing.assert_close(here, output(newer, training=False), rtol=1e-3, atol=1e-4)


def at(opset: int) -> Subject:
    """Return a network of a convolution, batch norms, dense layers, and attention, at an opset."""
    nodes = [
        node("Conv", "x c", "a", pads=(1, 1, 1, 1)),
        node("Relu", "a", "b"),
        node("Conv", "b d", "e", pads=(1, 1, 1, 1)),
        node("BatchNormalization", "e s t m v", "f"),
        node("Relu", "f", "g"),
        node("Flatten", "g", "h"),
        node("Gemm", "h k kb", "i"),
        node("Relu", "i", "j"),
        node("Reshape", "j cut", "l"),
        node("MatMul", "l wq", "q"),
        node("MatMul", "l wk", "u"),
        node("Transpose", "u", "ut", perm=(0, 2, 1)),
        node("MatMul", "q ut", "scores"),
        node("Softmax", "scores", "weights", axis=2),
        node("MatMul", "weights l", "mixed"),
        node("Flatten", "mixed", "n"),
        node("MatMul", "n w", "y"),
    ]
    shapes = {"c": (8, 2, 3, 3), "d": (8, 8, 3, 3), "k": (128, 32), "wq": (8, 8), "wk": (8, 8), "w": (32, 3)}
    weights = {name: 0.3 * normal(*shape, seed=index) for index, (name, shape) in enumerate(shapes.items())}
    weights |= {"kb": torch.zeros(32), "s": 1 + 0.1 * normal(8, seed=8), "t": 0.1 * normal(8, seed=9)}
    constants = {"m": torch.zeros(8), "v": torch.ones(8), "cut": torch.tensor([0, 4, 8])}
    made = by_hand(nodes, weights, {"x": normal(20, 2, 4, 4)}, constants=constants)
    return made.replace(graph=made.graph.replace(opsets={"": opset}))


def test_exchanged_batch_norms_keep_their_gains_and_biases_by_name() -> None:
    before = images(BATCH_NORM)
    after = treated("replace-batch-norm", before).graph
    assert after.parameters.keys() == before.graph.parameters.keys()
    assert all(after.parameters[name] is each for name, each in before.graph.parameters.items())
    assert [each.op for each in after.nodes if each.op.endswith("Normalization")] == ["GroupNormalization"]
    assert not any(each.op == "BatchNormalization" for each in after.nodes)


def test_exchanged_batch_norms_leave_signals_of_zero_mean_and_unit_variance() -> None:
    (dense_value,) = fed(treated("replace-batch-norm", described([dense(32), BATCH_NORM, RELU, dense(3)])), "Relu")
    torch.testing.assert_close(dense_value.var(-1, correction=0), torch.ones(64), rtol=1e-2, atol=0)
    (map_value,) = fed(treated("replace-batch-norm", images(BATCH_NORM)), "Relu")
    assert float(map_value.mean()) == pytest.approx(0, abs=1e-4)
    assert float(map_value.var()) == pytest.approx(1, rel=1e-2)


def test_a_batch_norm_along_a_sequence_becomes_a_norm_of_each_step() -> None:
    after = treated("replace-batch-norm", described([dense(16), BATCH_NORM, RELU, dense(3)], (5, 8)))
    (value,) = fed(after, "Relu")
    torch.testing.assert_close(value.mean(-1), torch.zeros(64, 5), rtol=0, atol=1e-4)
    torch.testing.assert_close(value.var(-1, correction=0), torch.ones(64, 5), rtol=1e-2, atol=0)


def test_an_exchanged_batch_norm_no_longer_minds_who_else_is_in_the_batch() -> None:
    after = treated("replace-batch-norm", described([dense(32), BATCH_NORM, RELU, dense(3)]))
    alone = Program(after.graph).run({"input": after.batch.inputs["input"][:1]}, training=True)[after.output]
    torch.testing.assert_close(alone, output(after)[:1])


def test_a_frozen_batch_norm_is_left_alone() -> None:
    subject = described([dense(8), BATCH_NORM, RELU, dense(3)])
    held = subject.graph.parameters.items()
    frozen = {name: each if "kernel" in name else replace(each, trainable=False) for name, each in held}
    still = subject.replace(graph=subject.graph.replace(parameters=frozen))
    for name in ("replace-batch-norm", "remove-norm"):
        assert isinstance(outcome(name, still), Inapplicable)
