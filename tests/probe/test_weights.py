"""Parameters: gradients by formula, the optimizer's first step, and why no gradient comes."""

import math
from collections.abc import Mapping

import pytest
import torch

from service.contract.words import LossName, OptimizerName, Severity
from tests.probe.subjects import Layers, by_hand, chain, dense, described, node, normal, tensors
from worker.diagnose import diagnose
from worker.loss import Loss
from worker.network.graph import Parameter
from worker.probe.evidence import Evidence, ParameterEvidence
from worker.probe.measure import probe
from worker.subject import Settings, Subject

RELU = {"kind": "relu"}


def by_name(evidence: Evidence) -> Mapping[str, ParameterEvidence]:
    return {parameter.name: parameter for parameter in evidence.parameters}


def rms(value: torch.Tensor) -> float:
    return float(value.double().square().mean().sqrt())


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_a_linear_networks_gradients_are_what_the_formula_says(scale: float) -> None:
    """For y = x W and the mean of (y − t)², the gradient at y is 2 (y − t) / n, at W xᵀ times that."""
    x, weight = normal(7, 3), normal(3, 5, seed=3)
    subject = by_hand([node("MatMul", "x w", "y")], {"w": weight}, {"x": x})
    subject = subject.replace(loss=Loss(LossName.MSE, scale=scale))
    at_output = scale * 2 * (x @ weight - subject.target) / 35
    evidence = probe(subject)
    (place,), (parameter,) = evidence.places, evidence.parameters
    assert place.gradient is not None
    assert place.gradient.rms == pytest.approx(rms(at_output), rel=1e-5)
    assert place.gradient.relative == 1.0
    assert parameter.gradient_rms == pytest.approx(rms(x.T @ at_output), rel=1e-5)
    assert parameter.rms == pytest.approx(rms(weight), rel=1e-6)
    assert (place.activation.mean, place.activation.rms) == pytest.approx(
        (float((x @ weight).mean()), rms(x @ weight)), rel=1e-5
    )


def test_gradients_of_two_layers_are_told_as_shares_of_the_largest() -> None:
    x, inner, outer = normal(9, 4), normal(4, 6, seed=3), normal(6, 2, seed=4)
    nodes = [node("MatMul", "x a", "h"), node("MatMul", "h b", "y")]
    subject = by_hand(nodes, {"a": inner, "b": outer}, {"x": x})
    at_output = 2 * (x @ inner @ outer - subject.target) / 18
    at_hidden = at_output @ outer.T
    hidden, output = (place.gradient for place in probe(subject).places)
    assert hidden is not None
    assert output is not None
    largest = max(float(at_output.norm()), float(at_hidden.norm()))
    assert hidden.relative == pytest.approx(float(at_hidden.norm()) / largest, rel=1e-5)
    assert output.relative == pytest.approx(float(at_output.norm()) / largest, rel=1e-5)
    assert hidden.rms == pytest.approx(rms(at_hidden), rel=1e-5)


def settings(name: OptimizerName, rate: float) -> Settings:
    return Settings(optimizer=name, learning_rate=rate)


@pytest.mark.parametrize("rate", [0.1, 0.003])
def test_sgds_first_step_is_the_rate_times_the_gradient(rate: float) -> None:
    subject = described(chain(2, dense(16), RELU), settings=settings(OptimizerName.SGD, rate))
    kernels = [each for each in probe(subject).parameters if each.name.endswith("kernel")]
    assert len(kernels) == 3
    for kernel in kernels:
        assert kernel.update_ratio == pytest.approx(rate * kernel.gradient_rms / kernel.rms, rel=1e-4)


@pytest.mark.parametrize("width", [64, 256])
def test_adams_first_step_is_the_rate_by_the_weights_scale(width: int) -> None:
    """Every element moves by the rate, whatever its gradient: the ratio is lr / rms(W), lr √(n/2) for He's law."""
    subject = described([dense(width), dense(width), dense(4)], (width,), settings=settings(OptimizerName.ADAM, 1e-3))
    kernel = by_name(probe(subject))["layers/1.kernel"]
    assert kernel.update_ratio == pytest.approx(1e-3 / kernel.rms, rel=1e-3)
    assert kernel.update_ratio == pytest.approx(1e-3 * math.sqrt(width / 2), rel=0.05)


def states(layers: Layers, shape: tuple[int, ...] = (16,)) -> dict[str, str]:
    return {parameter.name: parameter.state for parameter in probe(described(layers, shape)).parameters}


def test_a_branch_that_ends_in_zeros_is_gated_and_its_end_is_live() -> None:
    branch = {"kind": "residual", "layers": [dense(16, name="inner"), RELU, dense(16, "zeros", name="outer")]}
    found = states([dense(16, name="stem"), branch, dense(4, name="head")])
    assert found["layers/1/inner.kernel"] == "gated"
    assert {found[name] for name in ("stem.kernel", "layers/1/outer.kernel", "head.kernel")} == {"live"}


def test_a_branch_times_a_zero_scalar_is_gated() -> None:
    """ReZero: y = x + α f(x) with α = 0."""
    nodes = [node("MatMul", "x w", "f"), node("Mul", "f alpha", "g"), node("Add", "x g", "y")]
    subject = by_hand(nodes, {"w": normal(8, 8), "alpha": torch.zeros(1)}, {"x": normal(16, 8)})
    found = by_name(probe(subject))
    assert (found["w"].state, found["alpha"].state) == ("gated", "live")


def test_a_branch_that_its_bias_holds_off_is_dead_and_the_blocking_operator_is_named() -> None:
    shut = {"kernel": "he_normal", "bias": {"law": "constant", "value": -30}}
    inner = [dense(16, shut, name="inner"), {**RELU, "name": "gate"}, dense(16, name="outer")]
    found = by_name(
        probe(described([dense(16, name="stem"), {"kind": "residual", "name": "r", "layers": inner}, dense(4)]))
    )
    assert {found[f"r/{name}"].state for name in ("inner.kernel", "inner.bias", "outer.kernel")} == {"dead"}
    assert found["r/outer.bias"].state == found["stem.kernel"].state == "live"
    assert found["r/inner.kernel"].blocked_at == "r/gate"


def test_what_float32_cannot_hold_is_faint_and_no_certainty() -> None:
    """A hundred sigmoid layers multiply the gradient by 10⁻⁸⁵: zero in float32, not in float64."""
    evidence = probe(described(chain(100, {"kind": "dense", "units": 16}, {"kind": "sigmoid"})))
    found = by_name(evidence)
    assert found["layers/0.kernel"].gradient_rms == 0
    assert found["layers/0.kernel"].state == "faint"
    assert found["layers/200.kernel"].state == "live"
    codes = {finding.code for finding in diagnose([evidence])[0]}
    assert "GRD01" in codes
    assert "GRD03" not in codes


def test_a_weight_that_nothing_reads_is_unused_and_a_frozen_one_is_left_out() -> None:
    nodes = [node("MatMul", "x w", "a"), node("MatMul", "a v", "y")]
    weights = {"w": normal(4, 4), "v": normal(4, 2), "idle": normal(3)}
    subject = by_hand(nodes, weights, {"x": normal(8, 4)})
    frozen = Parameter(weights["v"], trainable=False)
    subject = subject.replace(graph=subject.graph.replace(parameters={**subject.graph.parameters, "v": frozen}))
    evidence = probe(subject)
    assert {name: each.state for name, each in by_name(evidence).items()} == {"w": "live", "idle": "unused"}
    assert "GRD03" not in {finding.code for finding in diagnose([evidence])[0]}


def test_a_constant_kernels_units_are_identical_and_learn_the_same() -> None:
    found = by_name(probe(described([dense(8, {"law": "constant", "value": 0.1}), RELU, dense(4, "ones")])))
    first, head = found["layers/0.kernel"], found["layers/2.kernel"]
    assert (first.units, first.identical, first.symmetric) == (8, True, True)
    assert (head.units, head.identical, head.symmetric) == (4, True, False), "targets differ from output to output"


@pytest.mark.parametrize("init", ["he_normal", "zeros", "identity"])
def test_drawn_zero_and_identity_kernels_are_not_symmetric(init: str) -> None:
    found = by_name(probe(described([dense(16, init), RELU, dense(4)])))
    assert not found["layers/0.kernel"].identical


def test_a_constant_convolution_is_symmetric_and_a_drawn_one_is_not() -> None:
    for init, expected in (({"law": "constant", "value": 0.1}, True), ("he_normal", False)):
        layers = [
            {"kind": "conv2d", "filters": 5, "kernel": 3, "init": init},
            RELU,
            {"kind": "flatten"},
            dense(4, "ones"),
        ]
        kernel = by_name(probe(described(layers, (2, 6, 6))))["layers/0.kernel"]
        assert (kernel.units, kernel.identical) == (5, expected)


def test_copies_of_a_transposed_convolution_are_seen_and_drawn_kernels_are_none() -> None:
    nodes = [node("ConvTranspose", "x c", "h"), node("Relu", "h", "a"), node("ConvTranspose", "a d", "y")]
    inputs, copied = {"x": normal(16, 4, 3, 3)}, normal(4, 1, 3, 3).expand(4, 6, 3, 3).clone()
    same = normal(1, 1, 3, 3).expand(6, 1, 3, 3).clone()
    first = by_name(probe(by_hand(nodes, {"c": copied, "d": same}, inputs)))["c"]
    assert (first.units, first.identical, first.symmetric) == (6, True, True)
    assert not by_name(probe(by_hand(nodes, {"c": normal(4, 6, 3, 3), "d": same}, inputs)))["c"].identical


def subjects() -> dict[str, Subject]:
    norm = {"kind": "batch_norm"}
    shut = dense(8, {"kernel": "he_normal", "bias": {"law": "constant", "value": -30}})
    return {
        "plain": described(chain(2, dense(8), norm, RELU)),
        "recurrent": described([{"kind": "lstm", "units": 6}, dense(4)], (5, 8)),
        "attention": described([{"kind": "transformer_block", "heads": 2}, {"kind": "flatten"}, dense(4)], (5, 8)),
        "dead": described([shut, RELU, dense(4)]),
    }


@pytest.mark.parametrize("name", ["plain", "recurrent", "attention", "dead"])
def test_the_probe_leaves_every_tensor_as_it_was_and_says_the_same_again(name: str) -> None:
    subject = subjects()[name]
    before = tensors(subject)
    first = probe(subject)
    after = tensors(subject)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[each], after[each]) for each in before)
    assert probe(subject) == first


def test_a_shared_weight_is_one_parameter_that_names_all_its_readers() -> None:
    """A weight that two products read has one gradient, the sum of both ways, and is shown at both."""
    nodes = [node("MatMul", "x w", "h"), node("Tanh", "h", "t"), node("MatMul", "t w", "y")]
    subject = by_hand(nodes, {"w": normal(4, 4, seed=1)}, {"x": normal(6, 4)})
    first, second = (each.name for each in subject.graph.nodes if each.op == "MatMul")
    (parameter,) = probe(subject).parameters
    assert (parameter.node, parameter.also) == (first, (second,))


ZEROS = {"kind": "dense", "units": 16, "init": "zeros"}
TANH = {"kind": "tanh"}


@pytest.mark.parametrize("act", [RELU, TANH, {"kind": "gelu"}], ids=lambda each: str(each["kind"]))
def test_zeros_behind_zeros_are_dead_since_no_step_opens_them(act: Mapping[str, object]) -> None:
    """Of y = W₂ φ(W₁ x) with both zero, each gradient has the other as a factor."""
    found = states([ZEROS, act, {**ZEROS, "units": 4}])
    assert {found["layers/0.kernel"], found["layers/2.kernel"]} == {"dead"}
    assert found["layers/2.bias"] == "live"


def test_a_factor_of_zero_behind_a_factor_of_zero_is_dead_and_alone_it_is_a_gate() -> None:
    nodes = [
        node("MatMul", "x w", "a"),
        node("Mul", "a alpha", "g"),
        node("MatMul", "g v", "h"),
        node("Add", "x h", "y"),
    ]
    weights = {"w": normal(8, 8), "alpha": torch.zeros(1), "v": torch.zeros(8, 8)}
    for drawn, expected in ((weights, {"dead"}), (weights | {"v": normal(8, 8, seed=4)}, {"gated", "live"})):
        found = by_name(probe(by_hand(nodes, drawn, {"x": normal(32, 8)})))
        assert {each.state for each in found.values()} == expected


def test_gates_one_behind_the_other_open_step_by_step() -> None:
    """The inner gate has a gradient once the outer one is open, and what lies behind it one step later."""
    nodes = [
        node("MatMul", "x w", "a"),
        node("Mul", "a inner", "b"),
        node("Add", "x b", "c"),
        node("Mul", "c outer", "d"),
        node("Add", "x d", "y"),
    ]
    weights = {"w": normal(8, 8), "inner": torch.zeros(1), "outer": torch.zeros(1)}
    found = by_name(probe(by_hand(nodes, weights, {"x": normal(32, 8)})))
    assert {name: each.state for name, each in found.items()} == {"w": "gated", "inner": "gated", "outer": "live"}


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([ZEROS, {"kind": "sigmoid"}, ZEROS], True),
        ([ZEROS, {"kind": "sigmoid"}, dense(4)], False),
        ([dense(16), RELU, ZEROS], False),
        ([dense(16), {"kind": "residual", "layers": [dense(16), RELU, ZEROS]}, dense(4)], False),
    ],
)
def test_zeros_are_symmetric_only_where_what_opens_them_is_the_same_for_all_units(
    layers: Layers,
    expected: bool,  # noqa: FBT001
) -> None:
    """Behind an outer kernel of zeros all units receive the same; behind a drawn one they do not."""
    assert any(each.symmetric for each in probe(described(layers)).parameters) is expected


def test_a_bias_that_a_difference_takes_out_again_is_useless_and_no_fault() -> None:
    nodes = [
        node("MatMul", "x w", "a"),
        node("Add", "a b", "p"),
        node("MatMul", "z w", "c"),
        node("Add", "c b", "q"),
        node("Sub", "p q", "y"),
    ]
    inputs = {"x": normal(32, 8), "z": normal(32, 8, seed=5)}
    evidence = probe(by_hand(nodes, {"w": normal(8, 4), "b": normal(4)}, inputs))
    assert {name: each.state for name, each in by_name(evidence).items()} == {"w": "live", "b": "useless"}
    (finding,) = [each for each in diagnose([evidence])[0] if each.code == "GRD03"]
    assert finding.severity is Severity.INFO


@pytest.mark.parametrize(("norm", "expected"), [("batch_norm", "useless"), ("layer_norm", "live")])
def test_a_bias_before_a_norm_over_samples_is_useless(norm: str, expected: str) -> None:
    found = states([dense(16, name="fc"), {"kind": norm}, RELU, dense(4)])
    assert (found["fc.kernel"], found["fc.bias"]) == ("live", expected)


def test_what_a_dead_layer_starves_is_told_with_it() -> None:
    shut = dense(16, {"kernel": "he_normal", "bias": {"law": "constant", "value": -30}}, name="shut")
    gate = {**RELU, "name": "gate"}
    evidence = probe(described([dense(16), RELU, shut, gate, dense(16, name="next"), RELU, dense(4, name="head")]))
    found = by_name(evidence)
    dead = [name for name, each in found.items() if each.state == "dead"]
    assert {"shut.kernel", "next.kernel", "next.bias", "head.kernel"} <= set(dead)
    assert {found[name].blocked_at for name in dead} == {"gate"}
    assert {finding.code for finding in diagnose([evidence])[0]} & {"UNT01", "GRD03"} == {"UNT01"}


def test_a_bias_learns_though_its_kernel_is_a_constant() -> None:
    nodes = [node("Gemm", "x w b", "h"), node("Relu", "h", "r"), node("MatMul", "r v", "y")]
    weights = {"b": normal(6), "v": normal(6, 2)}
    evidence = probe(by_hand(nodes, weights, {"x": normal(16, 4)}, constants={"w": normal(4, 6)}))
    assert {name: each.state for name, each in by_name(evidence).items()} == {"b": "live", "v": "live"}
