"""Attention on paper: counts that others published, and refusals that point at the field at fault."""

import json
from typing import Any

import pytest

from service.contract.architecture import parse
from service.contract.problem import Trouble


def weights(layers: list[Any], shape: list[int], dtype: str = "float32") -> int:
    """Return how many numbers a chain holds."""
    given = {"shape": shape, "dtype": dtype}
    return parse(json.dumps({"gradgate": "1", "input": given, "layers": layers}).encode()).weights()


def refused(layer: dict[str, Any], *shapes: list[int]) -> Trouble:
    """Return what a layer is refused with."""
    names = ["a", "b", "c"][: len(shapes)]
    inputs = {name: {"shape": shape} for name, shape in zip(names, shapes, strict=True)}
    document = {"gradgate": "1", "inputs": inputs, "nodes": [{**layer, "name": "n", "inputs": names}]}
    with pytest.raises(Trouble) as caught:
        parse(json.dumps(document).encode())
    return caught.value


def test_vit_b_16_has_the_published_number_of_weights() -> None:
    """torchvision's vit_b_16 has 86,567,656."""
    layers = [
        {"kind": "conv2d", "filters": 768, "kernel": 16, "stride": 16},
        {"kind": "reshape", "shape": [768, 196]},
        {"kind": "permute", "axes": [1, 0]},
        {"kind": "class_token", "init": "zeros"},
        {"kind": "positional_embedding"},
        {"kind": "repeat", "times": 12, "layers": [{"kind": "transformer_encoder", "heads": 12}]},
        {"kind": "layer_norm"},
        {"kind": "global_avg_pool"},
        {"kind": "dense", "units": 1000},
    ]
    assert weights(layers, [3, 224, 224]) == 86_567_656


def test_gpt_2_has_the_published_number_of_weights() -> None:
    """124,439,808, and as many again as the table of tokens, which GPT-2 ties to its head."""
    layers = [
        {"kind": "embedding", "classes": 50_257, "dim": 768},
        {"kind": "positional_embedding"},
        {"kind": "repeat", "times": 12, "layers": [{"kind": "transformer_block", "heads": 12, "causal": True}]},
        {"kind": "layer_norm"},
        {"kind": "dense", "units": 50_257, "bias": False},
    ]
    assert weights(layers, [1024], "int64") == 124_439_808 + 50_257 * 768


def test_smollm_135m_has_the_published_number_of_weights() -> None:
    """134,515,008, and as many again as the table of tokens; nine heads share three of keys."""
    block = {"kind": "transformer_block", "heads": 9, "groups": 3, "hidden": 1536, "activation": "swiglu"}
    form = {"norm_kind": "rms_norm", "bias": False, "rotary": True, "causal": True}
    layers = [
        {"kind": "embedding", "classes": 49_152, "dim": 576},
        {"kind": "repeat", "times": 30, "layers": [{**block, **form}]},
        {"kind": "rms_norm"},
        {"kind": "dense", "units": 49_152, "bias": False},
    ]
    assert weights(layers, [256], "int64") == 134_515_008 + 49_152 * 576


@pytest.mark.parametrize(
    ("layer", "shapes", "pointer", "said"),
    [
        ({"kind": "self_attention", "heads": 3}, [[7, 8]], "/heads", "8 features"),
        ({"kind": "self_attention", "heads": 4, "groups": 3}, [[7, 8]], "/groups", "3 groups"),
        ({"kind": "self_attention", "heads": 1, "width": 3, "rotary": True}, [[7, 8]], "/rotary", "pairs"),
        ({"kind": "self_attention", "heads": 64}, [[4096, 64]], "/heads", "1073741824"),
        ({"kind": "self_attention", "heads": 2}, [[8]], "", "(time, features)"),
        ({"kind": "self_attention", "heads": 2, "width": 65536}, [[900, 8]], "", "query takes 131072"),
        ({"kind": "self_attention", "heads": 2}, [[7, 8], [7, 8]], "/inputs", "2"),
        ({"kind": "cross_attention", "heads": 2}, [[7, 8]], "/inputs", "2 to 3"),
        ({"kind": "cross_attention", "heads": 2}, [[7, 8], [5, 8], [6, 8]], "/inputs/2", "5 keys and 6 values"),
        ({"kind": "cross_attention", "heads": 2, "causal": True}, [[7, 8], [5, 8]], "/causal", "not known"),
        ({"kind": "transformer_block", "heads": 2, "hidden": 65536}, [[2048, 8]], "/hidden", "134217728"),
        ({"kind": "transformer_block", "heads": 2, "activation": "maxout"}, [[7, 8]], "/activation", "swiglu"),
        ({"kind": "transformer_decoder", "heads": 2}, [[7, 8]], "/inputs", "2 values"),
        ({"kind": "class_token", "count": 0}, [[7, 8]], "/count", "greater than"),
    ],
    ids=lambda value: value.get("kind") if isinstance(value, dict) else None,
)
def test_a_refusal_points_at_the_field_at_fault(
    layer: dict[str, Any], shapes: list[list[int]], pointer: str, said: str
) -> None:
    problem = refused(layer, *shapes)
    assert problem.pointer == f"/nodes/0{pointer}"
    assert said in str(problem)
