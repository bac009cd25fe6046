"""Every treatment on networks of every kind: what it makes still runs, learns, and exports to what onnxruntime runs."""

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from service.contract.words import LossName
from tests.probe.subjects import by_hand, chain, dense, described, node, normal, tensors
from worker.budget import Deadline
from worker.network.export import to_onnx
from worker.network.run import Program
from worker.probe.evidence import Evidence
from worker.probe.measure import probe
from worker.probe.sweep import sweep
from worker.probe.training import Ask
from worker.subject import Subject
from worker.treatments import Change, Inapplicable, treatments
from worker.trial import measured

RELU, SIGMOID = {"kind": "relu"}, {"kind": "sigmoid"}
FOREVER = Deadline.after(1e9)


def transposed() -> Subject:
    """Return a network as PyTorch exports it: kernels stored (out, in), a convolution, and its transposition."""
    nodes = [
        node("Conv", "x c cb", "a", pads=(1, 1, 1, 1)),
        node("Relu", "a", "b"),
        node("ConvTranspose", "b t", "c1", strides=(2, 2)),
        node("Relu", "c1", "d"),
        node("Flatten", "d", "e"),
        node("Gemm", "e g gb", "f", transB=1),
        node("Tanh", "f", "h"),
        node("Transpose", "w", "wt", perm=(1, 0)),
        node("MatMul", "h wt", "m"),
        node("Add", "m mb", "n"),
        node("Sigmoid", "n", "o"),
        node("MatMul", "o v", "y"),
    ]
    shapes = {
        "c": (6, 2, 3, 3),
        "cb": (6,),
        "t": (6, 5, 2, 2),
        "g": (12, 320),
        "gb": (12,),
        "w": (9, 12),
        "mb": (9,),
        "v": (9, 3),
    }
    weights = {name: 0.3 * normal(*shape, seed=index) for index, (name, shape) in enumerate(shapes.items())}
    return by_hand(nodes, weights, {"x": normal(32, 2, 4, 4)})


def mismatched() -> Subject:
    subject = described([dense(8), RELU, dense(3), {"kind": "softmax"}], loss=LossName.CROSS_ENTROPY)
    return subject.replace(declared_loss=True)


SUBJECTS: Mapping[str, Callable[[], Subject]] = {
    "plain": lambda: described(chain(3, dense(12), RELU)),
    "sigmoid": lambda: described(chain(3, dense(12), SIGMOID)),
    "without biases": lambda: described(chain(2, dense(12, bias=False), RELU)),
    "transposed": transposed,
    "images": lambda: described(
        [
            {"kind": "conv2d", "filters": 6, "kernel": 3, "padding": "same"},
            RELU,
            {"kind": "max_pool2d", "kernel": 2},
            {"kind": "conv2d", "filters": 6, "kernel": 3},
            {"kind": "batch_norm"},
            RELU,
            {"kind": "flatten"},
            dense(3),
        ],
        (2, 8, 8),
    ),
    "series": lambda: described(
        [{"kind": "conv1d", "filters": 6, "kernel": 3}, RELU, {"kind": "flatten"}, dense(3)], (7, 5)
    ),
    "sequence": lambda: described([dense(8), RELU, dense(4), {"kind": "tanh"}, dense(3)], (6, 5)),
    "residual": lambda: described(
        [dense(8), *[{"kind": "residual", "layers": [dense(8), RELU, dense(8)]}] * 3, dense(3)]
    ),
    "lstm": lambda: described([{"kind": "lstm", "units": 6}, dense(8), RELU, dense(3)], (6, 5)),
    "gru": lambda: described([{"kind": "gru", "units": 6, "bidirectional": True}, dense(3)], (6, 5)),
    "transformer": lambda: described(
        [{"kind": "transformer_block", "heads": 2}, {"kind": "flatten"}, dense(8), SIGMOID, dense(3)], (5, 6)
    ),
    "mismatched": mismatched,
}

ANY = {"critical-init", "orthogonal-init", "selu", "layer-norm", "batch-norm"}
INITS = {"critical-init", "orthogonal-init"}
APPLIES = {
    "plain": {*ANY, "leaky-relu"},
    "sigmoid": {*ANY, "relu", "tanh"},
    "residual": {*ANY, "leaky-relu", "residual-scale"},
    "lstm": {*ANY, "leaky-relu", "recurrent-init"},
    "sequence": {*ANY - {"batch-norm"}, "leaky-relu", "relu"},
    "mismatched": {*ANY, "leaky-relu", "fix-loss"},
}
ALWAYS = {"standardize-input", "clip-norm"}
"""What applies to any network that has float inputs and was trained."""


def trained(subject: Subject) -> Evidence:
    return measured(subject, Ask(10), FOREVER)


@cache
def made(name: str) -> tuple[Subject, Evidence]:
    """Return a subject and what was measured on it."""
    subject = SUBJECTS[name]()
    return subject, trained(subject)


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("treatment", list(treatments))
def test_a_treated_network_runs_learns_and_exports(treatment: str, name: str) -> None:
    subject, evidence = made(name)
    before = tensors(subject)
    change = treatments[treatment].apply(subject, evidence)
    after = tensors(subject)
    assert all(torch.equal(before[each], after[each]) for each in before), "a treatment changes a copy"
    if isinstance(change, Inapplicable):
        assert treatment not in APPLIES.get(name, set()) | ALWAYS
        return
    assert change.changes
    assert all(sentence.endswith(".") for sentence in change.changes)
    _learns(change.subject)
    _exports(change.subject)


def _learns(subject: Subject) -> None:
    """Check that a finite gradient reaches every trainable parameter that the loss depends on."""
    found = sweep(subject)
    names = [name for name, each in subject.graph.parameters.items() if each.trainable]
    gradients = found.gradients(names)
    assert gradients.keys() == set(names)
    assert all(bool(each.isfinite().all()) for each in gradients.values())
    assert any(bool(each.any()) for each in gradients.values())


def _exports(subject: Subject) -> None:
    """Check that onnxruntime computes the same, in evaluation mode."""
    session = onnxruntime.InferenceSession(
        to_onnx(subject.graph).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (there,) = session.run(None, {name: value.numpy() for name, value in subject.batch.inputs.items()})
    here = Program(subject.graph).run(subject.batch.inputs)[subject.graph.outputs[0]]
    np.testing.assert_allclose(there, here.detach().numpy(), rtol=1e-3, atol=1e-4 * max(1, float(here.abs().max())))


@pytest.mark.parametrize("treatment", list(treatments))
def test_a_treatment_draws_the_same_again_and_something_else_under_another_seed(treatment: str) -> None:
    subject, evidence = made("sigmoid" if treatment in {"relu", "tanh"} else "residual")
    first, again = (treatments[treatment].apply(subject, evidence) for _ in range(2))
    other = treatments[treatment].apply(subject.redrawn(7), evidence)
    if isinstance(first, Inapplicable) or isinstance(again, Inapplicable) or isinstance(other, Inapplicable):
        assert first == again == other
        return
    one, two, three = (tensors(change.subject) for change in (first, again, other))
    assert all(torch.equal(one[name], two[name]) for name in one)
    if treatments[treatment].retrains:
        assert any(not torch.equal(one[name], three[name]) for name in one)


def test_a_network_without_what_a_treatment_changes_is_left_alone() -> None:
    linear = described([dense(3)])
    evidence = probe(linear)
    silent = {name for name, each in treatments.items() if isinstance(each.apply(linear, evidence), Inapplicable)}
    assert silent >= (ANY | {"relu", "tanh", "leaky-relu", "residual-scale", "recurrent-init", "fix-loss"}) - INITS


def test_batch_norm_is_not_put_before_fewer_than_sixteen_samples() -> None:
    layers = chain(2, dense(12), RELU)
    few, enough = described(layers, size=15), described(layers, size=16)
    assert isinstance(treatments["batch-norm"].apply(few, probe(few)), Inapplicable)
    assert isinstance(treatments["batch-norm"].apply(enough, probe(enough)), Change)


def test_no_norm_is_put_behind_a_layer_of_one_number_per_sample() -> None:
    nodes = [node("MatMul", "x w", "h"), node("Sigmoid", "h", "s"), node("Mul", "s g", "y")]
    vector = by_hand(nodes, {"w": normal(16), "g": normal(1)}, {"x": normal(64, 16)})
    for name in ("layer-norm", "batch-norm"):
        assert isinstance(treatments[name].apply(vector, probe(vector)), Inapplicable)


@pytest.mark.parametrize(("opset", "stands"), [(8, False), (9, True), (16, True), (17, True)])
def test_layer_norm_stands_only_in_files_whose_opset_can_say_it(opset: int, stands: bool) -> None:  # noqa: FBT001
    subject = described(chain(2, dense(12), RELU))
    old = subject.replace(graph=subject.graph.replace(opsets={"": opset}))
    change = treatments["layer-norm"].apply(old, probe(old))
    assert isinstance(change, Change) is stands
    for added in change.subject.graph.nodes if isinstance(change, Change) else ():
        assert onnx.defs.get_schema(added.op, opset, "").since_version <= opset


@pytest.mark.parametrize("name", list(treatments))
def test_a_treatments_page_has_its_headings_and_its_title_is_no_sentence(name: str) -> None:
    page = treatments[name]
    assert list(page.sections) == ["What it changes", "Why it helps", "When it is wrong", "References"]
    assert all(page.sections.values())
    assert page.title
    assert not page.title.endswith(".")
