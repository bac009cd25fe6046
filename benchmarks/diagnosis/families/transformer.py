"""Transformers: norms before and after, deep and shallow, and attention that collapses."""

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.diagnosis.case import Case
from benchmarks.diagnosis.families.draw import Draw, Layers, Made, Variant, built, chain
from benchmarks.diagnosis.families.layers import act, dense, repeat, residual
from benchmarks.diagnosis.families.tasks import CLASSES, images, sentences, tokens

_VOCABULARY = 16
_MEAN = act("global_avg_pool")
_COLLAPSE = ("attention_collapse",)
_RANK = ("rank_collapse", "vanishing_gradient")


def encoder(blocks: Callable[[Draw], Layers], width: int = 0, steps: int = 12) -> Callable[[Draw], Made]:
    """Return the maker of a classifier of token sequences around these blocks."""

    def make(draw: Draw) -> Made:
        features = width or draw.width // 16 * 8
        table = {"kind": "embedding", "classes": _VOCABULARY, "dim": features, "init": {"law": "normal", "std": 1}}
        entry = [table, act("positional_embedding")]
        return chain([*entry, *blocks(draw), _MEAN, dense(CLASSES)], tokens(draw, steps=steps))

    return make


def stack(depth: int, held_out: int, *, closing: bool = True, **more: Any) -> Callable[[Draw], Layers]:  # noqa: ANN401
    """Return transformer blocks, and a norm behind them where they have theirs before each branch."""

    def blocks(draw: Draw) -> Layers:
        block = {"kind": "transformer_block", "heads": 4, "hidden": draw.width, **more}
        return [*repeat(draw.deep(depth, held_out), block), *([act("layer_norm")] if closing else [])]

    return blocks


def language(draw: Draw) -> Made:
    """Return a causal language model with rotary positions and gated feed-forward parts."""
    features = draw.width // 16 * 8
    block = {
        "kind": "transformer_block",
        "heads": 4,
        "hidden": draw.width,
        "causal": True,
        "rotary": True,
        "norm_kind": "rms_norm",
        "activation": "swiglu",
    }
    table = {"kind": "embedding", "classes": _VOCABULARY, "dim": features}
    layers = [table, *repeat(draw.deep(3, 2), block), act("rms_norm"), dense(_VOCABULARY)]
    return chain(layers, sentences(draw, vocabulary=_VOCABULARY))


def deep_norm(draw: Draw) -> Layers:
    """Return post-norm blocks whose branches are scaled as DeepNet's: the way past counts (2N)^¼ times."""
    deep, features = draw.deep(12, 10), draw.width // 16 * 8
    past, gain = (2 * deep) ** 0.25, (8 * deep) ** -0.25
    law = {"law": "xavier_normal", "gain": gain}
    attention = {
        "kind": "self_attention",
        "heads": 4,
        "init": "xavier_normal",
        "value_init": law,
        "output_init": law,
    }
    fed = [dense(2 * features, law), act("relu"), dense(features, law)]
    block = [residual(attention, scale=1 / past), act("layer_norm"), residual(*fed, scale=1 / past), act("layer_norm")]
    return repeat(deep, *block)


def vision(draw: Draw) -> Made:
    """Return a small vision transformer on patches, read from its class token."""
    features = draw.width // 16 * 8
    patches = {"kind": "conv2d", "filters": features, "kernel": 2, "stride": 2}
    rows: Layers = [patches, {"kind": "flatten", "first": 1}, {"kind": "permute", "axes": [1, 0]}]
    block = {"kind": "transformer_block", "heads": 4, "hidden": draw.width}
    head: Layers = [act("layer_norm"), {"kind": "select", "axis": 0, "index": 0}, dense(CLASSES)]
    layers = [*rows, act("class_token"), act("positional_embedding"), *repeat(draw.deep(3, 2), block), *head]
    return chain(layers, images(draw))


def sharp(factor: float, norm: str = "none") -> Callable[[Draw], Layers]:
    """Return blocks whose queries and keys are drawn `factor` too large."""
    law = {"law": "xavier_normal", "gain": factor}

    def blocks(draw: Draw) -> Layers:
        attention = {"kind": "self_attention", "heads": 4, "init": "xavier_normal", "query_init": law, "key_init": law}
        mixed = residual(act("layer_norm"), attention | {"query_key_norm": norm})
        fed = residual(act("layer_norm"), dense(draw.width, "he_normal"), act("gelu"), dense(draw.width // 16 * 8))
        return [*repeat(draw.deep(3, 4), mixed, fed), act("layer_norm")]

    return blocks


def one_sharp_head(factor: float) -> Callable[[Draw], Layers]:
    """Return blocks of which each has one head in four whose queries and keys are drawn `factor` too large."""
    law = {"law": "xavier_normal", "gain": factor}

    def blocks(draw: Draw) -> Layers:
        features = draw.width // 16 * 8
        heads = {"kind": "self_attention", "init": "xavier_normal", "width": features // 4}
        bad = heads | {"heads": 1, "query_init": law, "key_init": law}
        both = {"kind": "parallel", "merge": "add", "branches": [[heads | {"heads": 3}], [bad]]}
        fed = residual(act("layer_norm"), dense(draw.width, "he_normal"), act("gelu"), dense(features))
        return [*repeat(draw.deep(2, 3), residual(act("layer_norm"), both), fed), act("layer_norm")]

    return blocks


def without_ways_past(draw: Draw) -> Made:
    """Return a model of each next word made of attention alone, layer upon layer: its words become alike."""
    attention = {"kind": "self_attention", "heads": 4, "init": "xavier_normal"}
    table = {"kind": "embedding", "classes": _VOCABULARY, "dim": draw.width // 16 * 8}
    layers = [table, act("positional_embedding"), *repeat(draw.deep(8, 10), attention), dense(_VOCABULARY)]
    return chain(layers, sentences(draw, vocabulary=_VOCABULARY))


_VARIANTS = (
    Variant("transformer/pre-ln-4", encoder(stack(4, 3))),
    Variant("transformer/post-ln-2", encoder(stack(2, 3, norm="post", closing=False))),
    Variant("transformer/language-model", language),
    Variant("transformer/vision", vision),
    Variant("transformer/pre-ln-48", encoder(stack(48, 44), width=16, steps=6), hard=True),
    Variant("transformer/deep-norm", encoder(deep_norm, steps=6), hard=True),
    Variant("transformer/sharp-normed", encoder(sharp(8, "rms_norm")), hard=True),
    Variant("transformer/sharp-10", encoder(sharp(10)), _COLLAPSE, certain=True),
    Variant("transformer/one-sharp-head", encoder(one_sharp_head(24)), _COLLAPSE, "moderate", hard=True, certain=True),
    Variant("transformer/attention-only", without_ways_past, _RANK, hard=True),
)


def transformer() -> Iterator[Case]:
    """Yield the transformers."""
    yield from built(_VARIANTS)
