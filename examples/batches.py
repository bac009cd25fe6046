"""Small batches that can be learned: clusters, bars, waves, tokens and lines."""

from math import pi

import numpy as np
from numpy.typing import NDArray

Batch = dict[str, NDArray[np.float32] | NDArray[np.int64]]

FEATURES, CLUSTERS = 16, 4
SIDE, DIRECTIONS = 32, 10
STEPS = 24
TOKENS, LENGTH = 20, 16


def clusters(size: int = 256) -> Batch:
    """Points around four centres in 16 dimensions, each coordinate of variance 1; the target is the centre."""
    random = np.random.default_rng(0)
    target = np.arange(size) % CLUSTERS
    points = random.standard_normal((CLUSTERS, FEATURES))[target] + 0.7 * random.standard_normal((size, FEATURES))
    return {"input": _standard(points), "target": target}


def bars(size: int = 64) -> Batch:
    """Coloured, noisy images 3 x 32 x 32 of bars in ten directions; the target is the direction."""
    random = np.random.default_rng(1)
    target = np.arange(size) % DIRECTIONS
    angle = (target * pi / DIRECTIONS)[:, None, None]
    row, column = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    shift = random.uniform(0, 2 * pi, (size, 1, 1))
    waves = np.sin(9 * (np.cos(angle) * column + np.sin(angle) * row) + shift)
    colour = random.uniform(0.5, 1, (size, 3, 1, 1))
    images = colour * waves[:, None] + 0.3 * random.standard_normal((size, 3, SIDE, SIDE))
    return {"input": _standard(images), "target": target}


def waves(size: int = 128) -> Batch:
    """Noisy sine waves of 24 steps and 2 features; the target is which of three frequencies they have."""
    random = np.random.default_rng(2)
    target = np.arange(size) % 3
    phase = random.uniform(0, 2 * pi, (size, 1))
    angle = phase + (1 + target[:, None]) * np.linspace(0, 2 * pi, STEPS)
    series = np.stack([np.sin(angle), np.cos(angle)], axis=2) + 0.2 * random.standard_normal((size, STEPS, 2))
    return {"input": _standard(series), "target": target}


def tokens(size: int = 128) -> Batch:
    """Sequences of 16 tokens, each from one of four overlapping ranges; the target is the range."""
    random = np.random.default_rng(3)
    target = np.arange(size) % 4
    drawn = random.integers(0, TOKENS // 2, (size, LENGTH)) + target[:, None] * 3
    return {"tokens": drawn.clip(0, TOKENS - 1), "target": target}


def plane(size: int = 128) -> Batch:
    """Ten features, and a target in (-1, 1) that is the tanh of a weighted sum of them."""
    random = np.random.default_rng(4)
    points = random.standard_normal((size, 10))
    target = np.tanh(points @ random.standard_normal((10, 1)) / 2)
    return {"input": points.astype(np.float32), "target": target.astype(np.float32)}


def photos(size: int = 64) -> Batch:
    """The bars with their colours last, as Keras has them."""
    batch = bars(size)
    return {**batch, "input": np.moveaxis(batch["input"], 1, 3).copy()}


def pairs(size: int = 256) -> Batch:
    """Two points of the clusters each; the target is whether they have one centre."""
    random, batch = np.random.default_rng(6), clusters(size)
    # each point beside one of its own cluster or the next, by the toss of a coin
    target = random.integers(0, 2, size)
    other = (np.arange(size) + CLUSTERS + 1 - target) % size
    return {"left": batch["input"], "right": batch["input"][other], "target": target}


def line(size: int = 32) -> Batch:
    """Numbers x between 0 and 2, and the target x + 1."""
    numbers = np.linspace(0, 2, size, dtype=np.float32)[:, None]
    return {"input": numbers, "target": numbers + 1}


def strokes(size: int = 128) -> Batch:
    """Flattened 28 x 28 images of one bright stroke; the target is the angle, between 0 and 1."""
    random = np.random.default_rng(5)
    target = random.uniform(0, 1, (size, 1))
    row, column = np.mgrid[-1:1:28j, -1:1:28j]
    angle = (target * pi)[:, :, None]
    away = np.cos(angle) * column + np.sin(angle) * row
    images = np.exp(-30 * away**2) + 0.05 * random.standard_normal((size, 28, 28))
    return {"input": _standard(images.reshape(size, -1)), "target": target.astype(np.float32)}


def _standard(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return ((values - values.mean()) / values.std()).astype(np.float32)
