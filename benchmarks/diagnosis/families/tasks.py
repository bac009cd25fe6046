"""Small tasks that a healthy network learns in 200 steps.

Points come in as many samples as the draw has, whatever takes longer (images, sequences) in half as many.
"""

import numpy as np

from benchmarks.diagnosis.families.draw import Arrays, Draw

FEATURES = 16
CLASSES = 4


def clusters(draw: Draw, *, samples: int | None = None, classes: int = CLASSES) -> Arrays:
    """Return standardized points around a centre per class."""
    generator, count = draw.generator(), samples or draw.samples
    target = np.arange(count) % classes
    centres = generator.standard_normal((classes, FEATURES)) * 1.2
    points = centres[target] + generator.standard_normal((count, FEATURES))
    return {"input": _standard(points), "target": target.astype(np.int64)}


def teacher(draw: Draw, *, outputs: int = 1, scale: float = 1.0) -> Arrays:
    """Return what a small tanh network makes of normal points, standardized and multiplied by `scale`."""
    generator = draw.generator()
    points = generator.standard_normal((draw.samples, FEATURES))
    inner = np.tanh(points @ generator.standard_normal((FEATURES, 8)) / 4)
    answer = _standard(inner @ generator.standard_normal((8, outputs)))
    return {"input": points.astype(np.float32), "target": scale * answer}


def yes_or_no(draw: Draw) -> Arrays:
    """Return points of two clusters, and 0 or 1 for each as a float [samples, 1]."""
    batch = clusters(draw, classes=2)
    return {"input": batch["input"], "target": batch["target"].astype(np.float32)[:, None]}


def images(draw: Draw, *, size: int = 8, channels: int = 2, classes: int = CLASSES) -> Arrays:
    """Return noisy copies of a picture per class."""
    generator, count = draw.generator(), draw.samples // 2
    target = np.arange(count) % classes
    pictures = generator.standard_normal((classes, channels, size, size))
    noisy = pictures[target] + 0.7 * generator.standard_normal((count, channels, size, size))
    return {"input": _standard(noisy), "target": target.astype(np.int64)}


def masks(draw: Draw, *, size: int = 8) -> Arrays:
    """Return images and, for each pixel, whether a smoothed copy of the image is above 0."""
    generator = draw.generator()
    drawn = generator.standard_normal((draw.samples // 2, 1, size, size))
    smooth = drawn + np.roll(drawn, 1, 2) + np.roll(drawn, 1, 3)
    return {"input": _standard(smooth), "target": (np.roll(smooth, 1, 2) + smooth > 0).astype(np.float32)}


def series(draw: Draw, *, steps: int = 16, features: int = 6, first: bool = False) -> Arrays:
    """Return sequences that tell their class at every step, or at the `first`; the rest is then the same for all."""
    generator, count = draw.generator(), draw.samples // 2
    target = np.arange(count) % CLASSES
    centres = generator.standard_normal((CLASSES, features))
    drawn = generator.standard_normal((count, steps, features))
    shown = slice(0, 1) if first else slice(None)
    if first:
        drawn[:, 1:] = drawn[:1, 1:]
    drawn[:, shown] = 0.5 * drawn[:, shown] + (2 if first else 1) * centres[target][:, None]
    return {"input": drawn.astype(np.float32), "target": target.astype(np.int64)}


def tokens(draw: Draw, *, steps: int = 12, vocabulary: int = 16) -> Arrays:
    """Return sentences of which the class is told by which quarter of the vocabulary they favour."""
    generator, count = draw.generator(), draw.samples // 2
    target = np.arange(count) % CLASSES
    quarter = vocabulary // CLASSES
    own = target[:, None] * quarter + generator.integers(quarter, size=(count, steps))
    other = generator.integers(vocabulary, size=own.shape)
    said = np.where(generator.random(own.shape) < 0.5, own, other)  # noqa: PLR2004  half of the words tell
    return {"input": said.astype(np.int64), "target": target.astype(np.int64)}


def sentences(draw: Draw, *, steps: int = 12, vocabulary: int = 16) -> Arrays:
    """Return sentences in which each word follows from the one before, and the next word of each."""
    generator = draw.generator()
    following = generator.permutation(vocabulary)
    said = [generator.integers(vocabulary, size=draw.samples // 2)]
    for _ in range(steps):
        slip = generator.random(len(said[0])) < 0.1  # noqa: PLR2004  one word in ten is free
        said.append(np.where(slip, generator.integers(vocabulary, size=len(slip)), following[said[-1]]))
    text = np.stack(said, 1).astype(np.int64)
    return {"input": text[:, :-1], "target": text[:, 1:]}


def _standard(values: np.ndarray) -> np.ndarray:
    return ((values - values.mean(0)) / values.std(0)).astype(np.float32)
