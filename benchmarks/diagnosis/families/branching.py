"""Residual, dense and U-shaped networks, with norms and without, and convolutional chains."""

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.diagnosis.case import Case, Severity
from benchmarks.diagnosis.families.draw import Draw, Layers, Made, Variant, built, chain
from benchmarks.diagnosis.families.layers import Layer, act, biased, conv, dense, repeat, residual, variance
from benchmarks.diagnosis.families.tasks import CLASSES, clusters, images, masks

_NORM = act("batch_norm")
_GROWS = ("exploding_gradient", "residual_scale", "poor_init_scale")
_FADES = ("vanishing_gradient", "poor_init_scale", "rank_collapse")
_BURSTS = ("exploding_gradient", "poor_init_scale")
_DEAD = ("dead_units", "no_gradient")


def blocks(depth: int, held_out: int, *, last: Any = "he_normal", **more: Any) -> Callable[[Draw], Made]:  # noqa: ANN401
    """Return the maker of residual dense blocks without norms; `scale` may be a function of the depth."""

    def make(draw: Draw) -> Made:
        deep, width = draw.deep(depth, held_out), draw.width
        chosen = {key: value(deep) if callable(value) else value for key, value in more.items()}
        block = residual(dense(width, "he_normal"), act("relu"), dense(width, last), **chosen)
        return chain([dense(width, "lecun_normal"), *repeat(deep, block), dense(CLASSES)], clusters(draw))

    return make


def preactivated(draw: Draw) -> Made:
    """Return pre-activation blocks with batch norms."""
    width = draw.width
    block = residual(_NORM, act("relu"), dense(width, "he_normal"), _NORM, act("relu"), dense(width, "he_normal"))
    return chain([dense(width), *repeat(draw.deep(10, 12), block), _NORM, dense(CLASSES)], clusters(draw))


def skipped(draw: Draw) -> Made:
    """Return residual blocks whose branches are dropped at random while training."""
    width = draw.width
    drop = {"kind": "dropout", "rate": 0.25}
    block = residual(act("layer_norm"), dense(width, "he_normal"), act("relu"), dense(width, "xavier_normal"), drop)
    return chain([dense(width), *repeat(draw.deep(8, 10), block), dense(CLASSES)], clusters(draw))


def images_through(layers: Callable[[Draw], Layers], size: int = 8) -> Callable[[Draw], Made]:
    """Return the maker of an image classifier with these layers before the mean and the head."""

    def make(draw: Draw) -> Made:
        return chain([*layers(draw), act("global_avg_pool"), dense(CLASSES)], images(draw, size=size))

    return make


def resnet(last: Layer) -> Callable[[Draw], Layers]:
    """Return the layers of a small ResNet whose branches end in `last`."""

    def layers(draw: Draw) -> Layers:
        filters = draw.width // 6
        block = residual(conv(filters), _NORM, act("relu"), conv(filters), last)
        return [conv(filters), _NORM, act("relu"), *repeat(draw.deep(6, 5), block, act("relu"))]

    return layers


def fixup(draw: Draw) -> Layers:
    """Return convolutional blocks without norms whose last kernels are zero."""
    filters, deep = draw.width // 6, draw.deep(8, 10)
    block = residual(conv(filters, {"law": "he_normal", "gain": deep**-0.5}), act("relu"), conv(filters, "zeros"))
    return [conv(filters), act("relu"), *repeat(deep, block, act("relu"))]


def skip_init(draw: Draw) -> Layers:
    """Return convolutional blocks without norms behind a learned factor of zero."""
    filters = draw.width // 6
    block = residual(act("relu"), conv(filters), act("relu"), conv(filters), gate=0)
    return [conv(filters), *repeat(draw.deep(7, 9), block)]


def chained(depth: int, held_out: int, init: Any, activation: str, *norm: Layer) -> Callable[[Draw], Layers]:  # noqa: ANN401
    """Return the layers of a plain convolutional chain."""

    def layers(draw: Draw) -> Layers:
        deep = draw.deep(depth, held_out)
        return repeat(deep, conv(draw.width // 6, init), *norm, act(activation))

    return layers


def separable(draw: Draw) -> Layers:
    """Return depthwise and pointwise convolutions with group norms."""
    filters = draw.width // 8 * 2
    deep = {"kind": "depthwise_conv2d", "kernel": 3, "padding": "same", "init": "he_normal"}
    norm = {"kind": "group_norm", "groups": 2}
    return [conv(filters), *repeat(draw.deep(3, 4), deep, conv(filters, kernel=1), norm, act("relu"))]


def pooled(draw: Draw) -> Layers:
    """Return a classical network: convolutions, each followed by a pooling."""
    filters = draw.width // 4
    return [conv(filters), act("relu"), act("max_pool2d"), conv(filters), act("relu"), act("max_pool2d"), conv(filters)]


def densely(
    *norm: Layer,
    init: Any = "he_normal",  # noqa: ANN401
    odd: Layer | None = None,
    bend: str = "relu",
) -> Callable[[Draw], Layers]:
    """Return the layers of a DenseNet; in `odd`'s place stands another convolution."""

    def layers(draw: Draw) -> Layers:
        grown, deep = draw.width // 8, draw.deep(8, 10)
        made = [
            {
                "kind": "parallel",
                "merge": "concat",
                "branches": [[], [*norm, act(bend), odd if odd and index in {3, 4} else conv(grown, init)]],
            }
            for index in range(deep)
        ]
        return [conv(grown), *made, *norm, act(bend)]

    return layers


def unet(*, bottom: Any = "he_normal", init: Any = "he_normal", norm: bool = True) -> Callable[[Draw], Made]:  # noqa: ANN401
    """Return the maker of a U-Net of two levels that tells each pixel's side."""

    def make(draw: Draw) -> Made:
        filters = draw.width // 6
        norms = [act("group_norm") | {"groups": 1}] if norm else []
        both = [conv(filters, init), *norms, act("relu")]
        deepest = [conv(filters, bottom), act("relu"), conv(filters, bottom), act("relu")]
        lower = _around([*both, *_around(deepest), *both])
        return chain([*both, *lower, *both, conv(1, "lecun_normal", kernel=1)], masks(draw), loss="bce_with_logits")

    return make


def _around(inner: Layers) -> Layers:
    """Return layers on half the size beside the way past them."""
    smaller = [act("max_pool2d"), *inner, {"kind": "upsample", "factor": 2}]
    return [{"kind": "parallel", "merge": "concat", "branches": [[], smaller]}]


def _ladder() -> Iterator[Variant]:
    """Yield residual blocks without norms, which grow by ln 2 each."""
    grades: tuple[tuple[Severity, int], ...] = (
        ("healthy", 3),
        ("borderline", 6),
        ("moderate", 13),
        ("severe", 44),
    )
    for severity, depth in grades:
        symptoms = () if severity == "healthy" else _GROWS
        yield Variant(f"residual/unscaled-{depth}", blocks(depth, depth), symptoms, severity)


def _scaled(deep: int) -> float:
    return (2 * deep) ** -0.5


_RESIDUAL = (
    *_ladder(),
    Variant("residual/preactivated-bn", preactivated),
    Variant("residual/stochastic-depth", skipped, hard=True),
    Variant("residual/zero-gamma", images_through(resnet(_NORM | {"scale": 0})), hard=True),
)
_NORMFREE = (
    Variant("normfree/fixup-mlp-24", blocks(24, 28, last="zeros"), hard=True),
    Variant("normfree/rezero-32", blocks(32, 28, gate=0), hard=True),
    Variant("normfree/fixup-conv", images_through(fixup), hard=True),
    Variant("normfree/skip-init-conv", images_through(skip_init), hard=True),
    Variant("normfree/large-scale-16", blocks(16, 18, scale=2.0), _GROWS),
)
_CONV = (
    Variant("conv/he-relu-4", images_through(chained(4, 5, "he_normal", "relu"))),
    Variant("conv/bn-relu-6", images_through(chained(6, 5, "he_normal", "relu", _NORM))),
    Variant("conv/pooled", images_through(pooled)),
    Variant("conv/separable-gn", images_through(separable)),
    Variant("conv/default-relu-12", images_through(chained(12, 14, "torch_default", "relu")), _FADES),
    Variant("conv/sigmoid-8", images_through(chained(8, 9, "xavier_normal", "sigmoid")), _FADES),
    Variant(
        "conv/wide-relu-20",
        images_through(chained(20, 22, variance(6), "relu")),
        _BURSTS,
    ),
)
_DENSE = (
    Variant("densenet/bn", images_through(densely(_NORM), size=6)),
    Variant(
        "densenet/dead-layers",
        images_through(densely(odd=conv(6, biased("he_normal", -60))), size=6),
        _DEAD,
        hard=True,
        certain=True,
    ),
    Variant("densenet/zero-growth", images_through(densely(init="zeros", bend="gelu"), size=6), hard=True),
    Variant("unet/group-norm", unet()),
    Variant("unet/plain", unet(norm=False)),
    Variant("unet/dead-bottom", unet(bottom=biased("he_normal", -30)), _DEAD, hard=True, certain=True),
    Variant(
        "unet/wide",
        unet(init=variance(200), bottom=variance(200), norm=False),
        _BURSTS,
    ),
)


def branching() -> Iterator[Case]:
    """Yield the residual, norm-free, convolutional, dense and U-shaped cases."""
    yield from built((*_RESIDUAL, *_NORMFREE, *_CONV, *_DENSE))
