"""The pair of head and loss, the inputs and the targets: what stands around a network that is sound in itself."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.diagnosis.case import Case
from benchmarks.diagnosis.families.draw import Arrays, Draw, Layers, Made, Variant, built, chain
from benchmarks.diagnosis.families.layers import act, conv, dense, trunk
from benchmarks.diagnosis.families.tasks import CLASSES, clusters, images, masks, teacher, yes_or_no

_MISMATCH = ("loss_mismatch",)
_SCALE = ("input_scale", "missing_normalization")


def headed(task: Callable[[Draw], Arrays], head: Layers, **options: Any) -> Callable[[Draw], Made]:  # noqa: ANN401
    """Return the maker of a sound trunk with this head on this task."""

    def make(draw: Draw) -> Made:
        return chain([*trunk(2, draw.width, "tanh", "xavier_normal"), *head], task(draw), **options)

    return make


def fed(change: Callable[[Arrays], Arrays], *first: dict[str, Any], activation: str = "relu") -> Callable[[Draw], Made]:
    """Return the maker of a sound classifier behind `first`, whose batch is changed."""

    def make(draw: Draw) -> Made:
        layers = [*first, *trunk(3, draw.width, activation, "he_normal"), dense(CLASSES)]
        return chain(layers, change(clusters(draw)))

    return make


def several(draw: Draw) -> Arrays:
    """Return points with three yes-or-no answers each."""
    batch = teacher(draw, outputs=3)
    return {"input": batch["input"], "target": (batch["target"] > 0).astype(np.float32)}


def beyond(draw: Draw) -> Arrays:
    """Return a regression onto values around 40, which no tanh or sigmoid reaches."""
    batch = teacher(draw)
    return {"input": batch["input"], "target": batch["target"] * 10 + 40}


def scaled(factor: float) -> Callable[[Draw], Made]:
    """Return the maker of a regression whose targets, and outputs, are `factor` as large; the loss is its square."""

    def make(draw: Draw) -> Made:
        layers = [*trunk(3, draw.width, "tanh", "xavier_normal"), dense(1), {"kind": "rescale", "scale": factor}]
        return chain(layers, teacher(draw, scale=factor), loss="mse", optimizer="adam", learning_rate=3e-3)

    return make


def tiny(samples: int, *norm: dict[str, Any], classes: int = 2) -> Callable[[Draw], Made]:
    """Return the maker of a classifier with a batch of very few samples."""

    def make(draw: Draw) -> Made:
        layers = [*trunk(draw.deep(4, 5), draw.width, "relu", "he_normal", *norm), dense(classes)]
        return chain(layers, clusters(draw, samples=samples, classes=classes))

    return make


def pixels(draw: Draw) -> Made:
    """Return a classifier of images of bytes, which it takes down to the unit itself."""
    batch = images(draw)
    values = np.clip(batch["input"] * 50 + 128, 0, 255).round().astype(np.float32)
    first = {"kind": "rescale", "scale": 1 / 50, "offset": -128 / 50}
    filters = draw.width // 6
    layers = [first, conv(filters), act("relu"), conv(filters), act("relu"), act("global_avg_pool"), dense(CLASSES)]
    return chain(layers, {**batch, "input": values})


def segmented(draw: Draw) -> Made:
    """Return a classifier of each pixel."""
    batch = masks(draw)
    filters = draw.width // 6
    layers = [conv(filters), act("relu"), conv(filters), act("relu"), conv(2, "lecun_normal", kernel=1)]
    return chain(layers, {"input": batch["input"], "target": batch["target"][:, 0].astype(np.int64)})


def discriminator(draw: Draw) -> Made:
    """Return a discriminator: leaky convolutions and a sigmoid at the end, with its own loss."""
    batch = images(draw, classes=2)
    filters = draw.width // 6
    strided = {"kind": "conv2d", "filters": filters, "kernel": 3, "stride": 2, "padding": 1, "init": "he_normal"}
    layers = [strided, act("leaky_relu"), strided, act("leaky_relu"), act("flatten"), dense(1), act("sigmoid")]
    return chain(layers, {**batch, "target": batch["target"].astype(np.float32)[:, None]}, loss="bce")


def times(factor: float) -> Callable[[Arrays], Arrays]:
    """Return what multiplies a batch's inputs."""
    return lambda batch: {**batch, "input": batch["input"] * np.float32(factor)}


def uneven(batch: Arrays) -> Arrays:
    """Return inputs whose columns run from ones to ten thousands, as raw tables have them."""
    factors = np.logspace(0, 4, batch["input"].shape[1]).astype(np.float32)
    return {**batch, "input": batch["input"] * factors}


def poisoned(value: float) -> Callable[[Arrays], Arrays]:
    """Return what puts a number that is none into one sample."""

    def change(batch: Arrays) -> Arrays:
        values = batch["input"].copy()
        values[len(values) // 2, 3] = value
        return {**batch, "input": values}

    return change


def constant(batch: Arrays) -> Arrays:
    """Return a batch whose samples are all of one class."""
    return {**batch, "target": np.ones_like(batch["target"])}


_VARIANTS = (
    Variant("heads/log-softmax-nll", headed(clusters, [dense(CLASSES), act("log_softmax")], loss="nll")),
    Variant("heads/several-answers", headed(several, [dense(3)], loss="bce_with_logits")),
    Variant("heads/segmentation", segmented),
    Variant("heads/discriminator", discriminator, hard=True),
    Variant(
        "heads/probabilities",
        headed(clusters, [dense(CLASSES), act("softmax")], loss="probability_cross_entropy"),
        hard=True,
    ),
    Variant("heads/loss-times-1e6", scaled(1e3), hard=True),
    Variant("heads/loss-times-1e-6", scaled(1e-3), hard=True),
    Variant(
        "heads/softmax-twice",
        headed(clusters, [dense(CLASSES), act("softmax")], loss="cross_entropy"),
        _MISMATCH,
        certain=True,
    ),
    Variant(
        "heads/softmax-of-one",
        headed(yes_or_no, [dense(1), act("softmax")], loss="bce"),
        _MISMATCH,
        certain=True,
    ),
    Variant("heads/tanh-bce", headed(yes_or_no, [dense(1), act("tanh")], loss="bce"), _MISMATCH, certain=True),
    Variant(
        "heads/sigmoid-twice",
        headed(yes_or_no, [dense(1), act("sigmoid")], loss="bce_with_logits"),
        _MISMATCH,
        certain=True,
    ),
    Variant(
        "heads/relu-logits",
        headed(clusters, [dense(CLASSES), act("relu")], loss="cross_entropy"),
        _MISMATCH,
        certain=True,
    ),
    Variant(
        "heads/tanh-beyond",
        headed(beyond, [dense(1), act("tanh")], loss="mse"),
        (*_MISMATCH, "target_problem"),
        certain=True,
    ),
    Variant("inputs/normalized-first", fed(times(1000), act("batch_norm")), hard=True),
    Variant("inputs/rescaled-bytes", pixels, hard=True),
    Variant("inputs/uneven-normalized", fed(uneven, act("batch_norm")), hard=True),
    Variant("inputs/batch-of-2", tiny(2), hard=True),
    Variant("inputs/batch-of-8", tiny(8, classes=4), hard=True),
    Variant("inputs/times-1000", fed(times(1000)), _SCALE, certain=True),
    Variant("inputs/times-1000-tanh", fed(times(1000), activation="tanh"), (*_SCALE, "saturated_units"), certain=True),
    Variant("inputs/uneven", fed(uneven), _SCALE, certain=True),
    Variant("inputs/nan-in-one", fed(poisoned(np.nan)), ("non_finite",), hard=True, certain=True),
    Variant("inputs/one-class", fed(constant), ("target_problem",), certain=True),
    Variant(
        "inputs/bn-batch-of-2",
        tiny(2, act("batch_norm")),
        ("normalization_misuse", "gradient_noise"),
        hard=True,
        certain=True,
    ),
)


def heads() -> Iterator[Case]:
    """Yield the cases of heads, losses, inputs and targets."""
    yield from built(_VARIANTS)
