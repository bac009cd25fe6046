"""Guards in front of operators, number formats, and inputs that are no numbers."""

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor

from service.contract.words import Precision
from tests.probe.subjects import by_hand, dense, described, node, normal
from tests.treatments.applied import treated
from worker.network.export import to_onnx
from worker.network.graph import Node
from worker.network.run import Program
from worker.probe.measure import probe
from worker.probe.nonfinite import find_nonfinite
from worker.probe.sweep import sweep
from worker.subject import Settings, Subject
from worker.treatments import Change, Inapplicable, treatments

ROWS = normal(32, 8)


def fed(*nodes: Node, x: Tensor = ROWS, **constants: Tensor) -> Subject:
    """Return a network of one weight, these operators from `h` to `z`, and a sum with a bypass of the weight."""
    first, last = node("Mul", "x w", "h"), node("Add", "z h", "y")
    return by_hand([first, *nodes, last], {"w": torch.ones(8)}, {"x": x}, constants=constants)


def with_zeros() -> Tensor:
    """Return positive numbers, with a few zeros."""
    return ROWS.abs().clamp_min(0.1).index_fill(0, torch.tensor([3, 7]), 0.0)


def masked() -> Tensor:
    """Return scores with a mask's infinities in every row, and one row that is shut altogether."""
    shut = (torch.arange(8) % 3 == 0).expand(32, 8).clone()
    shut[5] = True
    return ROWS.masked_fill(shut, -torch.inf)


HALF = torch.tensor(0.5)
CASES: dict[str, Subject] = {
    "logarithm of zero": fed(node("Log", "h", "z"), x=with_zeros()),
    "root of zero": fed(node("Sqrt", "h", "z"), x=with_zeros()),
    "root of a negative number": fed(node("Sqrt", "h", "z"), x=with_zeros() - 0.05),
    "division by zero": fed(node("Div", "one h", "z"), x=with_zeros(), one=torch.tensor(1.0)),
    "zero by zero": fed(node("Div", "h h", "z"), x=with_zeros() * normal(32, 8, seed=2).sign()),
    "reciprocal": fed(node("Reciprocal", "h", "z"), x=with_zeros()),
    "power of a half": fed(node("Pow", "h p", "z"), x=with_zeros(), p=HALF),
    "power of minus a half": fed(node("Pow", "h p", "z"), x=with_zeros(), p=-HALF),
    "power of minus two": fed(node("Pow", "h p", "z"), x=with_zeros() * ROWS.sign(), p=torch.tensor(-2.0)),
    "exponential": fed(node("Exp", "h", "e"), node("Log", "e", "z"), x=(100 * (ROWS > 1)).float()),
    "arc cosine": fed(node("Acos", "h", "z"), x=ROWS.clamp(-1, 1)),
    "arc sine": fed(node("Asin", "h", "z"), x=ROWS.clamp(-1.5, 1.5)),
    "artanh": fed(node("Atanh", "h", "z"), x=ROWS.clamp(-1, 1)),
    "empty mask": fed(
        node("Where", "open h never", "m"),
        node("Softmax", "m", "z", axis=-1),
        open=masked().isfinite(),
        never=torch.tensor(-torch.inf),
    ),
    "norm without epsilon": fed(
        node("LayerNormalization", "h g b", "z", axis=-1, epsilon=0.0),
        x=with_zeros(),
        g=torch.ones(8),
        b=torch.zeros(8),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_guarded_network_is_finite_both_ways_and_elsewhere_as_it_was(name: str) -> None:
    before = CASES[name]
    assert find_nonfinite(sweep(before)) is not None
    after = treated("guard-operator", before)
    assert find_nonfinite(sweep(after)) is None
    was, now = (Program(each.graph).run(each.batch.inputs)["y"].detach() for each in (before, after))
    assert bool(now.isfinite().all())
    untouched = was.isfinite().all(1)
    assert bool(untouched.any())
    torch.testing.assert_close(now[untouched], was[untouched], rtol=2e-3, atol=1e-4 if "norm" in name else 1e-6)
    if name in {"logarithm of zero", "division by zero", "reciprocal", "empty mask", "zero by zero"}:
        assert torch.equal(now[untouched], was[untouched])


@pytest.mark.parametrize("opset", [7, 9, 10, 11, 13, 22])
@pytest.mark.parametrize("name", ["logarithm of zero", "zero by zero", "arc cosine", "exponential"])
def test_a_guard_is_written_in_the_files_own_opset(name: str, opset: int) -> None:
    subject = CASES[name]
    subject = subject.replace(graph=subject.graph.replace(opsets={"": opset}))
    change = treatments["guard-operator"].apply(subject, probe(subject))
    if opset < 9 and name == "zero by zero":
        assert isinstance(change, Inapplicable)
        return
    assert isinstance(change, Change)
    model = to_onnx(change.subject.graph)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (there,) = session.run(None, {"x": subject.batch.inputs["x"].numpy()})
    here = Program(change.subject.graph).run(subject.batch.inputs)["y"].detach().numpy()
    assert np.isfinite(there).all()
    np.testing.assert_allclose(there, here, rtol=1e-4, atol=1e-5 * np.abs(here).max())


def test_only_the_operator_at_fault_reads_the_guard() -> None:
    after = treated("guard-operator", CASES["root of zero"]).graph
    (root,) = (each for each in after.nodes if each.op == "Sqrt")
    (total,) = (each for each in after.nodes if each.op == "Add")
    assert root.inputs != ("h",)
    assert total.inputs == ("z", "h")


def test_every_operator_at_fault_is_guarded_one_after_the_other() -> None:
    twice = (node("Sqrt", "h", "a"), node("Log", "a", "b"), node("Sqrt", "h", "c"), node("Add", "b c", "z"))
    subject = fed(*twice, x=with_zeros())
    change = treatments["guard-operator"].apply(subject, probe(subject))
    assert isinstance(change, Change)
    assert len(change.changes) > 1
    assert find_nonfinite(sweep(change.subject)) is None


def test_numbers_that_grow_from_layer_to_layer_get_no_bound() -> None:
    wild = {"law": "normal", "std": 1e6}
    subject = described([dense(8, wild), {"kind": "relu"}] * 8 + [dense(2)])
    evidence = probe(subject)
    assert evidence.nonfinite is not None
    assert isinstance(treatments["guard-operator"].apply(subject, evidence), Inapplicable)


def test_a_network_that_is_finite_needs_no_guard() -> None:
    subject = described([dense(4)])
    assert isinstance(treatments["guard-operator"].apply(subject, probe(subject)), Inapplicable)


def halved(scale: float = 1.0, precision: Precision = Precision.FLOAT16) -> Subject:
    """Return a network whose gradients are `scale` as large, meant to be trained in a number format."""
    subject = described([dense(8), {"kind": "tanh"}, dense(2)], settings=Settings(precision=precision))
    return subject.replace(loss=replace(subject.loss, scale=scale))


def test_a_scaled_loss_brings_every_gradient_into_the_range_of_float16() -> None:
    before = halved(1e-8)
    found = probe(before).precision
    assert found is not None
    assert max(each.flushed for each in found.weights) > 0.5
    after = treated("loss-scaling", before)
    scale = after.settings.loss_scale
    assert scale == 2 ** round(np.log2(scale))
    held = probe(after).precision
    assert held is not None
    assert max(each.lost for each in held.weights) < 1e-2
    assert {each.parameter: each.rms for each in held.weights} == pytest.approx(
        {each.parameter: each.rms * scale for each in found.weights}
    )
    gradients = sweep(before).gradients(before.graph.parameters)
    assert max(float(each.abs().max()) for each in gradients.values()) * scale <= 65504 / 4


def test_a_scaled_loss_leaves_gradients_below_the_largest_number_though_they_are_large() -> None:
    change = treatments["loss-scaling"].apply(halved(1e5), probe(halved(1e5)))
    assert isinstance(change, Inapplicable)


def test_bfloat16_holds_what_overflows_float16_and_what_vanishes_in_it() -> None:
    for scale, factor in ((1.0, 1e6), (1e-12, 1.0)):
        subject = halved(scale)
        inputs = {name: value * factor for name, value in subject.batch.inputs.items()}
        before = subject.replace(batch=replace(subject.batch, inputs=inputs))
        found, after = probe(before).precision, probe(treated("bfloat16", before)).precision
        assert found is not None
        assert after is not None
        assert found.overflows or all(each.flushed == 1 for each in found.weights if each.matrix)
        assert not after.overflows
        assert all(each.flushed < 1e-3 for each in after.weights)


@pytest.mark.parametrize("name", ["bfloat16", "loss-scaling"])
@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.BFLOAT16])
def test_a_format_with_the_range_of_float32_is_left_alone(name: str, precision: Precision) -> None:
    subject = halved(precision=precision)
    assert isinstance(treatments[name].apply(subject, probe(subject)), Inapplicable)


def test_what_is_no_number_becomes_the_mean_of_the_other_samples() -> None:
    subject = described([dense(4)])
    x = subject.batch.inputs["input"].clone()
    x[2, 3], x[9, 3], x[9, 4] = torch.nan, torch.inf, -torch.inf
    before = subject.replace(batch=replace(subject.batch, inputs={"input": x}))
    change = treatments["mask-nonfinite-input"].apply(before, probe(before))
    assert isinstance(change, Change)
    assert "samples 2, 9" in change.changes[0]
    filled = change.subject.batch.inputs["input"]
    others = [row for row in range(64) if row not in {2, 9}]
    assert float(filled[2, 3]) == pytest.approx(float(x[others, 3].mean()), abs=1e-6)
    assert float(filled[9, 3]) == float(filled[2, 3])
    assert torch.equal(filled[x.isfinite()], x[x.isfinite()])
    assert change.subject.graph is before.graph
    assert probe(change.subject).nonfinite is None


def test_inputs_that_are_mostly_no_numbers_are_not_made_up() -> None:
    subject = described([dense(4)])
    x = torch.full_like(subject.batch.inputs["input"], torch.nan)
    before = subject.replace(batch=replace(subject.batch, inputs={"input": x}))
    assert isinstance(treatments["mask-nonfinite-input"].apply(before, probe(before)), Inapplicable)
