"""Described networks as graphs, against torch.nn with the same weights and against onnxruntime."""

import json
from collections.abc import Callable
from typing import Any

import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from service.contract.architecture import LayerBase, parse
from worker.load.architecture import lower
from worker.load.lowering import lowerings
from worker.load.lowering.attention import sines
from worker.network.export import to_onnx
from worker.network.graph import Graph
from worker.network.run import Program

VECTOR, SEQUENCE, IMAGE = (6,), (7, 8), (4, 9, 8)


def build(layers: list[Any], shape: tuple[int, ...], **given: str) -> Graph:
    """Return the graph of these layers; it must have the shape and the number of weights that the file promises."""
    document = {"gradgate": "1", "input": {"shape": list(shape), **given}, "layers": layers}
    architecture = parse(json.dumps(document).encode())
    graph = lower(architecture, seed=0)
    assert sum(each.value.numel() for each in graph.parameters.values()) == architecture.weights()
    sample = torch.zeros(2, *shape, dtype=graph.inputs[0].dtype)
    assert compute(graph, sample).shape[1:] == architecture.output_shape()
    return graph


def compute(graph: Graph, value: Tensor, *, training: bool = False) -> Tensor:
    """Return the graph's output."""
    return Program(graph).run({"input": value}, training=training)["output"]


def draw(shape: tuple[int, ...], size: int = 5) -> Tensor:
    """Return samples from the standard normal law."""
    return torch.randn(size, *shape, generator=torch.Generator().manual_seed(0))


def examples() -> list[tuple[str, dict[str, Any]]]:
    """Return each kind's name and a layer of it, from the layer's own examples."""
    shown = {
        example["kind"]: example
        for kind in descendants(LayerBase)
        for example in kind.model_config.get("json_schema_extra", {}).get("examples", ())
    }
    return [(kind, shown.get(kind, {"kind": kind})) for kind in lowerings]


def descendants(kind: type[LayerBase]) -> set[type[LayerBase]]:
    """Return every class below `kind`."""
    return {each for child in kind.__subclasses__() for each in {child, *descendants(child)}}


ONLY = {"embedding": (), "reshape": (8,), "permute": SEQUENCE, "residual": (8,), "repeat": (8,)}
"""Shapes for the examples that do not take any."""


def shape_of(kind: str) -> tuple[int, ...]:
    """Return a shape that this kind's example takes."""
    if kind.endswith("2d"):
        return (3, 9, 8)
    return ONLY.get(kind, SEQUENCE)


@pytest.mark.parametrize(("kind", "layer"), examples())
def test_each_kinds_example_runs_as_onnxruntime_runs_it(kind: str, layer: dict[str, Any]) -> None:
    if kind == "embedding":
        graph = build([layer], (7,), dtype="int64")
        value = torch.randint(1000, (5, 7), generator=torch.Generator().manual_seed(0))
    else:
        graph = build([layer], shape_of(kind))
        value = draw(shape_of(kind))
    model = to_onnx(graph)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    expected = torch.from_numpy(session.run(None, {"input": value.numpy()})[0])
    torch.testing.assert_close(compute(graph, value), expected, rtol=1e-5, atol=1e-5)


def fill(module: nn.Module, values: dict[str, Tensor]) -> nn.Module:
    """Return the module in evaluation mode with these weights."""
    missing = module.load_state_dict(values, strict=False).missing_keys
    assert all(name.split(".")[-1].startswith(("running", "num_batches")) for name in missing)
    return module.eval()


def channels_first(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return the module as a function of (batch, time, features)."""
    return lambda value: module(value.transpose(1, 2)).transpose(1, 2)


def test_dense_is_torchs_linear_with_the_kernel_transposed() -> None:
    for shape in (VECTOR, SEQUENCE):
        graph = build([{"kind": "dense", "units": 3, "name": "fc"}], shape)
        weights = {
            "weight": graph.parameters["fc.kernel"].value.T,
            "bias": graph.parameters["fc.bias"].value,
        }
        module = fill(nn.Linear(shape[-1], 3), weights)
        torch.testing.assert_close(compute(graph, draw(shape)), module(draw(shape)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "module"),
    [
        ({"kernel": 3, "padding": "same"}, nn.Conv2d(4, 6, 3, padding="same")),
        ({"kernel": 3, "padding": "same", "dilation": 2}, nn.Conv2d(4, 6, 3, padding="same", dilation=2)),
        ({"kernel": [3, 2], "padding": "same"}, nn.Conv2d(4, 6, (3, 2), padding="same")),
        ({"kernel": 3, "stride": [2, 1], "padding": 1}, nn.Conv2d(4, 6, 3, stride=(2, 1), padding=1)),
        ({"kernel": 3, "groups": 2}, nn.Conv2d(4, 6, 3, groups=2)),
    ],
)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
def test_conv2d_is_torchs(layer: dict[str, Any], module: nn.Conv2d) -> None:
    graph = build([{"kind": "conv2d", "filters": 6, "name": "c", **layer}], IMAGE)
    weights = {"weight": graph.parameters["c.kernel"].value, "bias": graph.parameters["c.bias"].value}
    expected = fill(module, weights)(draw(IMAGE))
    torch.testing.assert_close(compute(graph, draw(IMAGE)), expected, rtol=1e-5, atol=1e-5)


def test_conv1d_is_torchs_over_time() -> None:
    graph = build([{"kind": "conv1d", "filters": 6, "kernel": 3, "stride": 2, "padding": 1, "name": "c"}], SEQUENCE)
    weights = {"weight": graph.parameters["c.kernel"].value, "bias": graph.parameters["c.bias"].value}
    module = channels_first(fill(nn.Conv1d(8, 6, 3, stride=2, padding=1), weights))
    torch.testing.assert_close(compute(graph, draw(SEQUENCE)), module(draw(SEQUENCE)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [VECTOR, SEQUENCE, IMAGE])
@pytest.mark.parametrize(
    ("layer", "module"),
    [
        ({"kind": "relu"}, nn.ReLU()),
        ({"kind": "relu6"}, nn.ReLU6()),
        ({"kind": "selu"}, nn.SELU()),
        ({"kind": "silu"}, nn.SiLU()),
        ({"kind": "mish"}, nn.Mish()),
        ({"kind": "tanh"}, nn.Tanh()),
        ({"kind": "sigmoid"}, nn.Sigmoid()),
        ({"kind": "hard_sigmoid"}, nn.Hardsigmoid()),
        ({"kind": "hard_swish"}, nn.Hardswish()),
        ({"kind": "softplus"}, nn.Softplus()),
        ({"kind": "softsign"}, nn.Softsign()),
        ({"kind": "leaky_relu"}, nn.LeakyReLU()),
        ({"kind": "leaky_relu", "alpha": 0.3}, nn.LeakyReLU(0.3)),
        ({"kind": "elu", "alpha": 0.7}, nn.ELU(0.7)),
        ({"kind": "gelu"}, nn.GELU()),
        ({"kind": "gelu", "approximate": "tanh"}, nn.GELU("tanh")),
        ({"kind": "prelu"}, nn.PReLU()),
        ({"kind": "flatten"}, nn.Flatten()),
        ({"kind": "dropout", "rate": 0.5}, nn.Identity()),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_activations_are_torchs(layer: dict[str, Any], module: nn.Module, shape: tuple[int, ...]) -> None:
    value = 4 * draw(shape)
    torch.testing.assert_close(compute(build([layer], shape), value), module(value), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("shape", "axis"), [(VECTOR, 1), (SEQUENCE, 2), (IMAGE, 1)])
def test_softmax_sums_over_the_channels(shape: tuple[int, ...], axis: int) -> None:
    value = draw(shape)
    torch.testing.assert_close(compute(build([{"kind": "softmax"}], shape), value), value.softmax(axis))
    torch.testing.assert_close(compute(build([{"kind": "log_softmax"}], shape), value), value.log_softmax(axis))


@pytest.mark.parametrize("training", [True, False])
def test_normalizations_are_torchs_in_both_modes(training: bool) -> None:  # noqa: FBT001  a parameter of pytest's
    cases: list[tuple[dict[str, Any], tuple[int, ...], Callable[[Tensor], Tensor]]] = [
        ({"kind": "batch_norm"}, VECTOR, nn.BatchNorm1d(6).train(training)),
        ({"kind": "batch_norm"}, SEQUENCE, channels_first(nn.BatchNorm1d(8).train(training))),
        ({"kind": "batch_norm", "epsilon": 0.1}, IMAGE, nn.BatchNorm2d(4, eps=0.1).train(training)),
        ({"kind": "layer_norm"}, SEQUENCE, nn.LayerNorm(8)),
        ({"kind": "layer_norm"}, IMAGE, nn.LayerNorm(IMAGE)),
        ({"kind": "rms_norm"}, SEQUENCE, nn.RMSNorm(8, eps=1e-6)),
        ({"kind": "rms_norm"}, IMAGE, nn.RMSNorm(IMAGE, eps=1e-6)),
        ({"kind": "group_norm", "groups": 2}, VECTOR, nn.GroupNorm(2, 6)),
        ({"kind": "group_norm", "groups": 2}, SEQUENCE, channels_first(nn.GroupNorm(2, 8))),
        ({"kind": "group_norm", "groups": 2}, IMAGE, nn.GroupNorm(2, 4)),
        ({"kind": "instance_norm"}, SEQUENCE, channels_first(nn.InstanceNorm1d(8))),
        ({"kind": "instance_norm"}, IMAGE, nn.InstanceNorm2d(4)),
    ]
    for layer, shape, module in cases:
        value = 3 * draw(shape) + 1
        given = compute(build([layer], shape), value, training=training)
        torch.testing.assert_close(given, module(value), rtol=1e-4, atol=1e-5, msg=f"{layer} on {shape}")


@pytest.mark.parametrize(
    ("layer", "module"),
    [
        ({"kind": "max_pool2d"}, nn.MaxPool2d(2)),
        ({"kind": "max_pool2d", "kernel": 3, "stride": 2, "padding": 1}, nn.MaxPool2d(3, 2, 1)),
        ({"kind": "avg_pool2d", "kernel": [3, 2]}, nn.AvgPool2d((3, 2))),
        ({"kind": "avg_pool2d", "kernel": 3, "padding": 1}, nn.AvgPool2d(3, padding=1, count_include_pad=False)),
        ({"kind": "global_avg_pool"}, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())),
        ({"kind": "global_max_pool"}, nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())),
    ],
)
def test_pooling_is_torchs(layer: dict[str, Any], module: nn.Module) -> None:
    torch.testing.assert_close(compute(build([layer], IMAGE), draw(IMAGE)), module(draw(IMAGE)), rtol=1e-5, atol=1e-6)


ORDERS = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}
"""Where torch's gates stand in torch's order, for each of ONNX's: its LSTM has i o f c, torch i f g o; GRU z r h."""


def torchs_order(kind: str, value: Tensor) -> Tensor:
    """Return gates in ONNX's order in torch's."""
    gates = value.chunk(len(ORDERS[kind]))
    placed = dict(zip(ORDERS[kind], gates, strict=True))
    return torch.cat([placed[index] for index in range(len(gates))])


def torchs_weights(kind: str, graph: Graph, layers: int) -> dict[str, Tensor]:
    """Return a recurrent layer's weights under torch's names."""
    found = {}
    for index in range(layers):
        path = f"r/layer{index}" if layers > 1 else "r"
        for direction, suffix in enumerate(("", "_reverse")):
            kernel, steps, bias = (graph.parameters[f"{path}.{role}"].value for role in ("kernel", "recurrent", "bias"))
            if direction >= len(kernel):
                continue
            first, second = bias[direction].chunk(2)
            found[f"weight_ih_l{index}{suffix}"] = torchs_order(kind, kernel[direction])
            found[f"weight_hh_l{index}{suffix}"] = torchs_order(kind, steps[direction])
            found[f"bias_ih_l{index}{suffix}"] = torchs_order(kind, first)
            found[f"bias_hh_l{index}{suffix}"] = torchs_order(kind, second)
    return found


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_recurrent_layers_are_torchs(kind: str, layers: int, bidirectional: bool) -> None:  # noqa: FBT001  pytest's
    form = {"kind": kind, "units": 5, "layers": layers, "bidirectional": bidirectional, "name": "r"}
    module = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[kind](
        8, 5, num_layers=layers, bidirectional=bidirectional, batch_first=True
    )
    every = build([{**form, "return_sequences": True}], SEQUENCE)
    last = build([form], SEQUENCE)
    states, final = fill(module, torchs_weights(kind, every, layers))(draw(SEQUENCE))
    final = final[0] if kind == "lstm" else final
    expected = torch.cat(list(final[-1 - bidirectional :]), dim=1)
    torch.testing.assert_close(compute(every, draw(SEQUENCE)), states, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(compute(last, draw(SEQUENCE)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_self_attention_is_torchs(causal: bool) -> None:  # noqa: FBT001  a parameter of pytest's
    graph = build([{"kind": "self_attention", "heads": 2, "causal": causal, "name": "a"}], SEQUENCE)
    held = {name.removeprefix("a."): each.value for name, each in graph.parameters.items()}
    parts = ("query", "key", "value")
    weights = {
        "in_proj_weight": torch.cat([held[f"{part}.kernel"].T for part in parts]),
        "in_proj_bias": torch.cat([held[f"{part}.bias"] for part in parts]),
        "out_proj.weight": held["output.kernel"].T,
        "out_proj.bias": held["output.bias"],
    }
    module = fill(nn.MultiheadAttention(8, 2, batch_first=True), weights)
    value = draw(SEQUENCE)
    mask = torch.ones(7, 7, dtype=torch.bool).triu(1) if causal else None
    expected = module(value, value, value, attn_mask=mask, need_weights=False)[0]
    torch.testing.assert_close(compute(graph, value), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_transformer_block_is_torchs_encoder_layer(norm: str) -> None:
    graph = build([{"kind": "transformer_block", "heads": 2, "hidden": 20, "norm": norm, "name": "t"}], SEQUENCE)
    held = {name.removeprefix("t/"): each.value for name, each in graph.parameters.items()}
    parts = ("query", "key", "value")
    weights = {
        "self_attn.in_proj_weight": torch.cat([held[f"attention/self.{part}.kernel"].T for part in parts]),
        "self_attn.in_proj_bias": torch.cat([held[f"attention/self.{part}.bias"] for part in parts]),
        "self_attn.out_proj.weight": held["attention/self.output.kernel"].T,
        "self_attn.out_proj.bias": held["attention/self.output.bias"],
        "linear1.weight": held["feed_forward/wide.kernel"].T,
        "linear1.bias": held["feed_forward/wide.bias"],
        "linear2.weight": held["feed_forward/narrow.kernel"].T,
        "linear2.bias": held["feed_forward/narrow.bias"],
        "norm1.weight": held["attention/norm.scale"],
        "norm1.bias": held["attention/norm.shift"],
        "norm2.weight": held["feed_forward/norm.scale"],
        "norm2.bias": held["feed_forward/norm.shift"],
    }
    form = {"dropout": 0.0, "activation": "gelu", "batch_first": True, "norm_first": norm == "pre"}
    module = fill(nn.TransformerEncoderLayer(8, 2, 20, **form), weights)
    torch.testing.assert_close(compute(graph, draw(SEQUENCE)), module(draw(SEQUENCE)), rtol=1e-5, atol=1e-5)


def test_embedding_and_positions_add_up() -> None:
    layers = [{"kind": "embedding", "classes": 9, "dim": 4, "name": "e"}, {"kind": "positional_embedding", "name": "p"}]
    graph = build(layers, (5,), dtype="int64")
    tokens = torch.tensor([[0, 8, 1, 2, 2]])
    expected = graph.parameters["e.kernel"].value[tokens] + graph.parameters["p.table"].value
    torch.testing.assert_close(compute(graph, tokens), expected)
    assert graph.inputs[0].classes == 9


def test_positions_are_vaswanis_sines() -> None:
    """Row 3, with 4 features: sin 3, cos 3, sin 0.03, cos 0.03."""
    expected = torch.tensor([0.14112001, -0.9899925, 0.02999550, 0.99955003])
    torch.testing.assert_close(sines((5, 4))[3], expected)


def test_residual_adds_a_scaled_branch_to_the_input() -> None:
    graph = build([{"kind": "residual", "scale": 0.25, "layers": [{"kind": "tanh"}]}], VECTOR)
    value = draw(VECTOR)
    torch.testing.assert_close(compute(graph, value), value + 0.25 * value.tanh())


def test_residual_projects_with_the_branchs_stride() -> None:
    inner = {"kind": "conv2d", "filters": 6, "kernel": 3, "stride": 2, "padding": 1, "init": "zeros"}
    graph = build([{"kind": "residual", "layers": [inner], "name": "r"}], IMAGE)
    kernel = graph.parameters["r.projection.kernel"].value
    expected = nn.functional.conv2d(draw(IMAGE), kernel, stride=2)
    torch.testing.assert_close(compute(graph, draw(IMAGE)), expected, rtol=1e-5, atol=1e-6)


def test_repeat_draws_anew_each_time() -> None:
    graph = build([{"kind": "repeat", "times": 3, "layers": [{"kind": "dense", "units": 6, "name": "fc"}]}], VECTOR)
    kernels = [graph.parameters[f"layers/0[{time}]/fc.kernel"].value for time in range(3)]
    assert not torch.equal(kernels[0], kernels[1])
    origins = [node.origin for node in graph.nodes]
    assert origins == [f'layers/0/layers/0 "fc" (dense), {time} of 3' for time in (1, 2, 3)]


def test_names_and_origins_are_the_files_own() -> None:
    graph = build(
        [{"kind": "dense", "units": 6, "name": "fc1"}, {"kind": "residual", "layers": [{"kind": "tanh"}]}], (6,)
    )
    assert [(node.name, node.origin) for node in graph.nodes] == [
        ("fc1", 'layers/0 "fc1" (dense)'),
        ("layers/1/layers/0", "layers/1/layers/0 (tanh)"),
        ("layers/1", "layers/1 (residual)"),
    ]
    assert graph.parameters["fc1.kernel"].origin == 'layers/0 "fc1" (dense)'


def test_a_seed_draws_the_same_weights_and_another_seed_others() -> None:
    text = json.dumps({"gradgate": "1", "input": {"shape": [6]}, "layers": [{"kind": "dense", "units": 6}]}).encode()
    first, again, other = (lower(parse(text), seed=seed).parameters["layers/0.kernel"].value for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_redrawing_under_the_same_seed_changes_nothing() -> None:
    graph = build([{"kind": "lstm", "units": 3}, {"kind": "batch_norm"}, {"kind": "dense", "units": 2}], SEQUENCE)
    redrawn = graph.redrawn(0)
    assert all(torch.equal(each.value, redrawn.parameters[name].value) for name, each in graph.parameters.items())
    assert all(each.law is not None for each in graph.parameters.values())


def test_gradients_are_torchs() -> None:
    graph = build(
        [{"kind": "dense", "units": 5, "name": "a"}, {"kind": "tanh"}, {"kind": "dense", "units": 2, "name": "b"}],
        VECTOR,
    )
    weights = {name: each.value.clone().requires_grad_() for name, each in graph.parameters.items()}
    Program(graph).run({"input": draw(VECTOR)}, weights)["output"].square().mean().backward()
    module = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2))
    values = {"0.weight": "a.kernel", "0.bias": "a.bias", "2.weight": "b.kernel", "2.bias": "b.bias"}
    fill(
        module,
        {there: graph.parameters[here].value.T for there, here in values.items() if "kernel" in here}
        | {there: graph.parameters[here].value for there, here in values.items() if "bias" in here},
    )
    module(draw(VECTOR)).square().mean().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None
        given = weights[values[name]].grad
        assert given is not None
        torch.testing.assert_close(given.T if given.dim() > 1 else given, parameter.grad)


def test_a_relu_rnn_is_torchs() -> None:
    graph = build([{"kind": "rnn", "units": 5, "activation": "relu", "name": "r"}], SEQUENCE)
    module = fill(nn.RNN(8, 5, nonlinearity="relu", batch_first=True), torchs_weights("rnn", graph, 1))
    torch.testing.assert_close(compute(graph, draw(SEQUENCE)), module(draw(SEQUENCE))[1][0], rtol=1e-5, atol=1e-5)


def test_the_forget_gates_bias_starts_where_the_file_says() -> None:
    """ONNX's gates stand in the order i, o, f, c, and then once more for the recurrent bias."""
    graph = build([{"kind": "lstm", "units": 3, "forget_bias": 1, "init": "xavier_uniform", "name": "r"}], SEQUENCE)
    expected = torch.zeros(1, 8, 3)
    expected[0, 2] = 1
    assert torch.equal(graph.parameters["r.bias"].value.reshape(1, 8, 3), expected)


def test_each_gates_recurrent_kernel_is_orthogonal_on_its_own() -> None:
    form = {"kind": "gru", "units": 4, "bidirectional": True, "init": {"recurrent": "orthogonal"}, "name": "r"}
    gates = build([form], SEQUENCE).parameters["r.recurrent"].value.reshape(6, 4, 4)
    torch.testing.assert_close(gates @ gates.transpose(1, 2), torch.eye(4).expand(6, 4, 4), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "shape", "make"),
    [
        ({"kind": "dense", "units": 300}, (200,), lambda: nn.Linear(200, 300)),
        ({"kind": "conv2d", "filters": 512, "kernel": 3}, (8, 9, 9), lambda: nn.Conv2d(8, 512, 3)),
        ({"kind": "lstm", "units": 64}, (5, 32), lambda: nn.LSTM(32, 64)),
        ({"kind": "self_attention", "heads": 4}, (5, 64), lambda: nn.MultiheadAttention(64, 4)),
    ],
    ids=["dense", "conv2d", "lstm", "self_attention"],
)
def test_the_default_laws_are_pytorchs(
    layer: dict[str, Any], shape: tuple[int, ...], make: Callable[[], nn.Module]
) -> None:
    """The spread of all weights, and of all biases, is that of the module that PyTorch draws."""
    graph = build([layer], shape)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = make()
    for biases in (False, True):
        ours = torch.cat([w.value.flatten() for name, w in graph.parameters.items() if ("bias" in name) == biases])
        theirs = torch.cat(
            [w.detach().flatten() for name, w in module.named_parameters() if ("bias" in name) == biases]
        )
        assert ours.numel() == theirs.numel()
        assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.15)


def test_a_deep_relu_chain_keeps_the_signal_under_he_and_loses_it_under_the_default() -> None:
    """He et al. (2015): the second moment stays; PyTorch's law takes it down by six per layer, but for the biases."""

    def moments(init: str) -> list[float]:
        chain = {
            "kind": "repeat",
            "times": 20,
            "layers": [{"kind": "dense", "units": 256, "init": init}, {"kind": "relu"}],
        }
        graph = build([chain], (256,))
        program = Program(graph.replace(outputs=tuple(node.outputs[0] for node in graph.nodes if node.op == "Gemm")))
        return [value.square().mean().item() for value in program.run({"input": draw((256,), 64)}).values()]

    kept, lost = moments("he_normal"), moments("torch_default")
    assert 0.2 < kept[-1] / kept[0] < 5
    assert lost[4] / lost[0] == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize(("kind", "layer"), examples())
def test_a_gradient_reaches_every_weight_of_each_kind(kind: str, layer: dict[str, Any]) -> None:
    """But a key's bias: it shifts all logits of a row alike, and softmax does not see that."""
    form: dict[str, str] = {"dtype": "int64"} if kind == "embedding" else {}
    graph = build([layer], (7,) if form else shape_of(kind), **form)
    value = torch.ones(5, 7, dtype=torch.int64) if form else draw(shape_of(kind))
    weights = {name: each.value.clone().requires_grad_() for name, each in graph.parameters.items()}
    output = Program(graph).run({"input": value}, weights, training=True)["output"]
    if weights:
        (output * draw(tuple(output.shape[1:]))).sum().backward()
    reached = {name for name, weight in weights.items() if weight.grad is not None and weight.grad.any()}
    assert not [name for name in weights.keys() - reached if not name.endswith("key.bias")]
