"""Described networks as graphs: every kind against onnxruntime, names, laws and gradients."""

import json
from collections.abc import Callable
from typing import Any, get_args

import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from service.contract.architecture import LayerBase, parse
from tests.load.described import IMAGE, SEQUENCE, VECTOR, build, compute, draw, fill
from worker.load.architecture import lower
from worker.load.lowering import lowerings
from worker.load.lowering.positions import sines
from worker.network.export import to_onnx
from worker.network.graph import Graph
from worker.network.run import Program

Example = tuple[dict[str, Any], list[list[int]]]


def examples() -> list[tuple[str, Example]]:
    """Return each kind's name, a layer of it from the layer's own examples, and the shapes that these read."""
    shown = {
        example["kind"]: (example, extra.get("x-reads", [list(SEQUENCE)]))
        for kind in descendants(LayerBase)
        if (extra := kind.model_config.get("json_schema_extra", {}))
        for example in extra.get("examples", ())
    }
    first = {word: next(iter(_siblings(kind, shown)), None) for kind in descendants(LayerBase) for word in words(kind)}
    return [(kind, shown.get(kind) or ({**first[kind][0], "kind": kind}, first[kind][1])) for kind in lowerings]


def words(kind: type[LayerBase]) -> tuple[str, ...]:
    """Return the words that name a layer."""
    return get_args(kind.model_fields["kind"].annotation) if "kind" in kind.model_fields else ()


def _siblings(kind: type[LayerBase], shown: dict[str, Example]) -> list[Example]:
    return [shown[word] for word in words(kind) if word in shown]


def descendants(kind: type[LayerBase]) -> set[type[LayerBase]]:
    """Return every class below `kind`."""
    return {each for child in kind.__subclasses__() for each in {child, *descendants(child)}}


def run_of(example: Example) -> tuple[Graph, dict[str, Tensor]]:
    """Return the network of one layer, and a batch for it."""
    layer, shapes = example
    tokens = layer["kind"] == "embedding"
    names = layer.get("inputs") or ["input"]
    node = {"name": "output", **layer, "inputs": names}
    document = {
        "gradgate": "1",
        "inputs": {
            name: {"shape": shape, **({"dtype": "int64"} if tokens else {})}
            for name, shape in zip(names, shapes, strict=True)
        },
        "nodes": [node],
    }
    architecture = parse(json.dumps(document).encode())
    graph = lower(architecture, seed=0)
    assert sum(each.value.numel() for each in graph.parameters.values()) == architecture.weights()
    generator = torch.Generator().manual_seed(0)
    return graph, {
        name: torch.randint(1000, (5, *shape), generator=generator) if tokens else draw(tuple(shape), seed=index)
        for index, (name, shape) in enumerate(zip(names, shapes, strict=True))
    }


@pytest.mark.parametrize(("kind", "example"), examples())
def test_each_kinds_example_runs_as_onnxruntime_runs_it(kind: str, example: Example) -> None:
    graph, batch = run_of(example)
    session = onnxruntime.InferenceSession(to_onnx(graph).SerializeToString())
    expected = torch.from_numpy(session.run(None, {name: value.numpy() for name, value in batch.items()})[0])
    found = Program(graph).run(batch, training=False)[graph.outputs[0]]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


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


@pytest.mark.parametrize(("kind", "example"), examples())
def test_a_gradient_reaches_every_weight_of_each_kind(kind: str, example: Example) -> None:
    """But a key's bias: it shifts all logits of a row alike, and softmax does not see that."""
    graph, batch = run_of(example)
    weights = {name: each.value.clone().requires_grad_() for name, each in graph.parameters.items()}
    output = Program(graph).run(batch, weights, training=True)[graph.outputs[0]]
    if weights:
        (output * draw(tuple(output.shape[1:]))).sum().backward()
    reached = {name for name, weight in weights.items() if weight.grad is not None and weight.grad.any()}
    assert not [name for name in weights.keys() - reached if not name.endswith("key.bias")]
