"""Attention and positions, against torch.nn and torch.nn.functional with the same weights."""

import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from service.contract.architecture import parse
from tests.load.described import SEQUENCE, build, compute, draw, fill
from worker.load.architecture import lower
from worker.network.graph import Graph
from worker.network.run import Program

MEMORY = (5, 6)


def joined(layer: dict[str, Any], *shapes: tuple[int, ...]) -> Graph:
    """Return the graph of one layer of several inputs, which stand for the values a, b and c."""
    names = ["a", "b", "c"][: len(shapes)]
    document = {
        "gradgate": "1",
        "inputs": {name: {"shape": list(shape)} for name, shape in zip(names, shapes, strict=True)},
        "nodes": [{**layer, "inputs": names, "name": "n"}],
    }
    architecture = parse(json.dumps(document).encode())
    graph = lower(architecture, seed=0)
    assert sum(each.value.numel() for each in graph.parameters.values()) == architecture.weights()
    return graph


def answer(graph: Graph, *values: Tensor) -> Tensor:
    """Return what the layer of several inputs makes of these."""
    return Program(graph).run(dict(zip(("a", "b", "c"), values, strict=False)))["n"]


def weights(graph: Graph, path: str) -> dict[str, Tensor]:
    """Return what a layer holds, by the names of its parts."""
    return {name.removeprefix(path): each.value for name, each in graph.parameters.items() if name.startswith(path)}


def shaken(graph: Graph) -> Graph:
    """Return the graph with other biases and scales than zeros and ones."""
    flat = {name: each.value for name, each in graph.parameters.items() if each.value.dim() == 1}
    return graph.with_parameters({name: value + 0.1 * draw((value.numel(),), 1)[0] for name, value in flat.items()})


def torchs(held: dict[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """Return an attention's weights under the names that torch gives them."""
    parts = ("query", "key", "value")
    kernels = [held[f"{part}.kernel"].T for part in parts]
    apart = len({kernel.shape for kernel in kernels}) > 1
    found = (
        dict(zip(("q_proj_weight", "k_proj_weight", "v_proj_weight"), kernels, strict=True))
        if apart
        else {"in_proj_weight": torch.cat(kernels)}
    )
    if "query.bias" in held:
        found |= {
            "in_proj_bias": torch.cat([held[f"{part}.bias"] for part in parts]),
            "out_proj.bias": held["output.bias"],
        }
    return {f"{prefix}{name}": value for name, value in {**found, "out_proj.weight": held["output.kernel"].T}.items()}


def split(held: dict[str, Tensor], part: str, value: Tensor, heads: int) -> Tensor:
    """Return a product cut into heads: (batch, heads, time, width)."""
    product = value @ held[f"{part}.kernel"] + held.get(f"{part}.bias", 0)
    return product.unflatten(-1, (heads, -1)).transpose(1, 2)


def close(found: Tensor, expected: Tensor) -> None:
    """Pass two tensors that differ by rounding."""
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_self_attention_is_torchs(causal: bool, bias: bool) -> None:  # noqa: FBT001  parameters of pytest's
    form = {"kind": "self_attention", "heads": 2, "causal": causal, "bias": bias, "name": "a"}
    graph = shaken(build([form], SEQUENCE))
    module = fill(nn.MultiheadAttention(8, 2, bias=bias, batch_first=True), torchs(weights(graph, "a.")))
    value = draw(SEQUENCE)
    mask = torch.ones(7, 7, dtype=torch.bool).triu(1) if causal else None
    close(compute(graph, value), module(value, value, value, attn_mask=mask, need_weights=False)[0])


def test_cross_attention_is_torchs_with_keys_and_values_of_other_widths() -> None:
    graph = shaken(joined({"kind": "cross_attention", "heads": 2}, SEQUENCE, MEMORY, (5, 3)))
    module = nn.MultiheadAttention(8, 2, kdim=6, vdim=3, batch_first=True)
    given = (draw(SEQUENCE), draw(MEMORY, seed=1), draw((5, 3), seed=2))
    close(answer(graph, *given), fill(module, torchs(weights(graph, "n.")))(*given, need_weights=False)[0])


def test_cross_attention_makes_keys_and_values_of_its_second_input() -> None:
    graph = shaken(joined({"kind": "cross_attention", "heads": 2}, SEQUENCE, MEMORY))
    module = nn.MultiheadAttention(8, 2, kdim=6, vdim=6, batch_first=True)
    query, memory = draw(SEQUENCE), draw(MEMORY, seed=1)
    close(answer(graph, query, memory), fill(module, torchs(weights(graph, "n.")))(query, memory, memory)[0])


@pytest.mark.parametrize("causal", [False, True])
def test_grouped_queries_are_torchs(causal: bool) -> None:  # noqa: FBT001  a parameter of pytest's
    """Six heads of queries share two of keys, whose values are wider."""
    form = {"heads": 6, "groups": 2, "width": 4, "value_width": 5, "causal": causal, "output_bias": False}
    graph = shaken(build([{"kind": "self_attention", "name": "a", **form}], SEQUENCE))
    held, value = weights(graph, "a."), draw(SEQUENCE)
    heads = [split(held, part, value, count) for part, count in (("query", 6), ("key", 2), ("value", 2))]
    mixed = functional.scaled_dot_product_attention(*heads, is_causal=causal, enable_gqa=True)
    close(compute(graph, value), mixed.transpose(1, 2).flatten(2) @ held["output.kernel"])


@pytest.mark.parametrize("norm", ["layer_norm", "rms_norm"])
@pytest.mark.parametrize("groups", [1, 4])
def test_queries_and_keys_are_normalized_head_by_head(norm: str, groups: int) -> None:
    form = {"heads": 4, "groups": groups, "query_key_norm": norm, "bias": False, "name": "a"}
    graph = shaken(build([{"kind": "self_attention", **form}], SEQUENCE))
    held, value = weights(graph, "a."), draw(SEQUENCE)

    def normed(part: str, heads: int) -> Tensor:
        cut, scale = split(held, part, value, heads), held[f"{part}.norm.scale"]
        if norm == "rms_norm":
            return functional.rms_norm(cut, (2,), scale, 1e-6)
        return functional.layer_norm(cut, (2,), scale, held[f"{part}.norm.shift"], 1e-5)

    heads = (normed("query", 4), normed("key", groups), split(held, "value", value, groups))
    mixed = functional.scaled_dot_product_attention(*heads, enable_gqa=True)
    close(compute(graph, value), mixed.transpose(1, 2).flatten(2) @ held["output.kernel"])


@pytest.mark.parametrize("groups", [1, 2])
def test_rotary_positions_turn_pairs_as_complex_numbers(groups: int) -> None:
    """Features i and i + 3 of a head of 6 are a number that is multiplied by exp(1j · position · 100^(-i/3))."""
    form = {"heads": 2, "groups": groups, "width": 6, "rotary": True, "rotary_base": 100, "bias": False, "name": "a"}
    graph = build([{"kind": "self_attention", **form}], SEQUENCE)
    held, value = weights(graph, "a."), draw(SEQUENCE)
    angle = torch.outer(torch.arange(7.0), 100 ** (-torch.arange(3) / 3))

    def turned(part: str, heads: int) -> Tensor:
        real, imaginary = split(held, part, value, heads).chunk(2, dim=-1)
        number = torch.complex(real, imaginary) * torch.polar(torch.ones_like(angle), angle)
        return torch.cat([number.real, number.imag], dim=-1)

    heads = (turned("query", 2), turned("key", groups), split(held, "value", value, groups))
    mixed = functional.scaled_dot_product_attention(*heads, enable_gqa=True)
    close(compute(graph, value), mixed.transpose(1, 2).flatten(2) @ held["output.kernel"])


def test_dropout_zeroes_weights_and_scales_the_others() -> None:
    graph = build([{"kind": "self_attention", "heads": 2, "attention_dropout": 0.25, "name": "a"}], SEQUENCE)
    watched = graph.replace(outputs=("a.softmax.out", "a.dropout.out"))
    before, after = Program(watched).run({"input": draw(SEQUENCE, 40)}, training=True).values()
    kept = after != 0
    assert kept.float().mean().item() == pytest.approx(0.75, abs=0.02)
    close(after[kept], before[kept] / 0.75)
    assert torch.equal(*Program(watched).run({"input": draw(SEQUENCE)}, training=False).values())


def test_each_part_follows_its_own_law() -> None:
    laws = {"init": "zeros", "query_init": "identity", "output_init": {"law": "normal", "std": 0.5}}
    graph = build([{"kind": "self_attention", "heads": 2, "name": "a", **laws}], (7, 64))
    held = weights(graph, "a.")
    assert torch.equal(held["query.kernel"], torch.eye(64))
    assert not held["key.kernel"].any()
    assert not held["output.bias"].any()
    assert held["output.kernel"].std().item() == pytest.approx(0.5, rel=0.1)


def test_kernels_of_several_widths_are_drawn_as_torch_draws_them() -> None:
    graph = joined({"kind": "cross_attention", "heads": 4}, (7, 64), (5, 16))
    held = weights(graph, "n.")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.MultiheadAttention(64, 4, kdim=16, vdim=16)
    for part, name in (("query", "q_proj_weight"), ("key", "k_proj_weight"), ("value", "v_proj_weight")):
        assert held[f"{part}.kernel"].std().item() == pytest.approx(getattr(module, name).std().item(), rel=0.1)


def test_class_tokens_stand_before_the_sequence() -> None:
    graph = build([{"kind": "class_token", "count": 2, "name": "c"}], SEQUENCE)
    found = compute(graph, draw(SEQUENCE))
    assert torch.equal(found[:, 2:], draw(SEQUENCE))
    assert torch.equal(found[:, :2], graph.parameters["c.token"].value.expand(5, 2, 8))


def test_a_table_of_positions_follows_its_law() -> None:
    graph = build([{"kind": "positional_embedding", "init": "ones"}], SEQUENCE)
    assert torch.equal(compute(graph, draw(SEQUENCE)), draw(SEQUENCE) + 1)
