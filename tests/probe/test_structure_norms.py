"""Norms in the graph by itself: the biases, dropouts and loops around them, and what evaluation makes of them."""

import io
import math
import warnings
from dataclasses import replace

import onnx
import pytest
import torch
from torch import nn

from service.contract.words import Mode
from tests.probe.subjects import Layers, chain, dense, described, normal
from tests.probe.test_structure import FLAT, HEAD, NORM, RELU, conv, of, outputs, structure
from worker.load.onnx import interpret
from worker.network.graph import Graph, Node, Parameter
from worker.probe.path import Path
from worker.probe.structure.batch_norms import repeating
from worker.probe.structure.evaluation import folded
from worker.probe.sweep import sweep


@pytest.mark.parametrize("mode", [Mode.TRAIN, Mode.EVAL])
@pytest.mark.parametrize("norm", ["batch_norm", "instance_norm", "layer_norm", "group_norm"])
def test_a_bias_is_called_useless_exactly_where_no_bias_changes_the_output(norm: str, mode: Mode) -> None:
    kind = {"kind": norm, "groups": 2} if norm == "group_norm" else {"kind": norm}
    subject = described([conv(8), kind, RELU, FLAT, HEAD], (3, 6, 6)).replace(mode=mode)
    moved = subject.graph.with_parameters({"layers/0.bias": normal(8)})
    before, after = (
        sweep(subject.replace(graph=graph)).values[subject.output].detach() for graph in (subject.graph, moved)
    )
    idle = float((before - after).abs().max()) < 1e-4
    found = structure(subject).biased
    assert bool(found) is idle
    assert all(spot.measured == 8 and spot.also == "layers/1" for spot in found)


def test_a_bias_behind_a_dropout_or_without_training_is_left_alone() -> None:
    assert of([dense(8), {"kind": "dropout", "rate": 0.5}, NORM, HEAD]).biased == ()
    subject = described([dense(8), NORM, HEAD])
    frozen = {**subject.graph.parameters}
    frozen["layers/0.bias"] = Parameter(frozen["layers/0.bias"].value, trainable=False)
    assert structure(subject.replace(graph=subject.graph.replace(parameters=frozen))).biased == ()


@pytest.mark.parametrize(
    ("layers", "rates"),
    [
        ([dense(8), {"kind": "dropout", "rate": 0.25}, NORM, RELU, HEAD], [0.25]),
        ([dense(8), {"kind": "dropout", "rate": 0.5}, RELU, dense(8), NORM, HEAD], [0.5]),
        ([dense(8), {"kind": "dropout", "rate": 0.0}, NORM, RELU, HEAD], []),
        ([dense(8), NORM, RELU, {"kind": "dropout", "rate": 0.5}, HEAD], []),
        ([{"kind": "dropout", "rate": 0.5}, dense(8), RELU, dense(8), NORM, HEAD], []),
    ],
)
def test_a_batch_norm_is_behind_a_dropout_past_one_layer_at_most(layers: Layers, rates: list[float]) -> None:
    assert [spot.measured for spot in of(layers).dropped] == rates


def test_a_norms_numbers_are_samples_times_positions() -> None:
    flat, wide = of([conv(8), NORM, RELU, FLAT, dense(4), NORM, HEAD], (3, 5, 5), size=6).norms
    assert (flat.samples, flat.numbers) == (6, 150)
    assert (wide.samples, wide.numbers) == (6, 6)


@pytest.mark.parametrize(
    ("kind", "chi"),
    [
        ("relu", math.pi / (math.pi - 1)),
        ("tanh", 1.177807),
        ("sigmoid", 1.033592),
        ("gelu", 1.318845),
        ("silu", 1.212081),
        ("softplus", 1.080528),
        ("selu", 1.071575),
    ],
)
def test_what_a_plain_batch_norm_does_is_as_theory_has_it(kind: str, chi: float) -> None:
    """χ = E[φ'²] / Var[φ] for a standard normal (Yang et al. 2019), here to six digits."""
    found = of(chain(5, dense(8), NORM, {"kind": kind}))
    assert found.bare == 5
    assert found.bare_gain == pytest.approx(5 * math.log(chi), abs=1e-5)


def test_a_skip_around_batch_norms_leaves_none_bare() -> None:
    block = {"kind": "residual", "layers": [NORM, RELU, dense(16), NORM, RELU, dense(16)]}
    assert of([dense(16), block, block, HEAD]).bare_gain == 0


def test_norms_between_two_uses_of_a_kernel_repeat_and_others_do_not() -> None:
    layers = [dense(8), NORM, RELU]
    again = {"kind": "repeat", "times": 3, "layers": layers}
    start = [dense(8), RELU]
    assert len(of([*start, {**again, "shared": True}, HEAD]).repeating) == 2
    assert of([*start, again, HEAD]).repeating == ()


def test_a_norm_in_a_loops_body_repeats() -> None:
    body = Graph((Node("BatchNormalization", ("a",), ("b",), "inner"),), (), ("b",), {})
    looped = Graph((Node("Scan", ("x",), ("y",), "scan", {"body": body}),), (), ("y",), {})
    (spot,) = repeating(Path(looped, ("x", "y"), "y"))
    assert (spot.node, spot.op) == ("scan", "BatchNormalization")


def test_evaluation_is_measured_only_where_it_computes_something_else() -> None:
    subject = described([dense(8), NORM, RELU, {"kind": "dropout", "rate": 0.1}, HEAD])
    output = sweep(subject).values[subject.output].detach()
    subject = subject.replace(batch=replace(subject.batch, target=output + 0.1 * normal(*output.shape)))
    seen = structure(subject).evaluation
    assert seen is not None
    expected = subject.loss(outputs(subject, subject.batch.inputs["input"]).float(), subject.target)
    assert seen.loss == pytest.approx(float(expected))
    assert (seen.norms, seen.fresh) == (1, 1)
    assert structure(subject.replace(mode=Mode.EVAL)).evaluation is None
    assert not structure(subject.replace(mode=Mode.EVAL)).two_modes
    assert not of([dense(8), RELU, HEAD]).two_modes
    untrained = of([dense(8), NORM, RELU, HEAD])
    assert (untrained.two_modes, untrained.evaluation) == (True, None)


@pytest.mark.parametrize(("training", "count"), [(False, 2), (True, 0)])
def test_what_torch_folds_for_inference_is_seen_in_its_names(training: bool, count: int) -> None:  # noqa: FBT001
    inner = (nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Flatten())
    network = nn.Sequential(*inner).train(training)
    mode = torch.onnx.TrainingMode.TRAINING if training else torch.onnx.TrainingMode.EVAL
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (normal(2, 2, 8, 8),), file, dynamo=False, opset_version=17, training=mode)
    assert len(folded(interpret(onnx.load_from_string(file.getvalue())))) == count
