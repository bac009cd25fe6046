"""What differs between the two halves of a variant, and what a variant is."""

import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

from benchmarks.diagnosis.case import Case, Half, Severity

Layers = list[dict[str, Any]]
Arrays = Mapping[str, np.ndarray]

_WIDTHS: Final[dict[Half, Sequence[int]]] = {"tuning": (48, 64, 96), "held-out": (40, 72, 80)}
_BATCHES: Final[dict[Half, Sequence[int]]] = {"tuning": (96, 128), "held-out": (64, 112)}
_SEEDS: Final[dict[Half, int]] = {"tuning": 1_000, "held-out": 2_000}


@dataclass(frozen=True)
class Draw:
    """The seed, width and batch size of one case; of depths, how many layers more or fewer it has."""

    half: Half
    seed: int
    width: int
    samples: int

    def generator(self) -> np.random.Generator:
        """Return a generator of the case's own."""
        return np.random.default_rng(self.seed)

    def deep(self, tuning: int, held_out: int) -> int:
        """Return the half's own depth."""
        return tuning if self.half == "tuning" else held_out


@dataclass(frozen=True)
class Made:
    """A model with its batch and options."""

    model: bytes
    suffix: Literal[".json", ".onnx"]
    batch: Arrays
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Variant:
    """A way to build a case, with what is wrong with it."""

    name: str
    """`family/variant`."""
    make: Callable[[Draw], Made]
    symptoms: Sequence[str] = ()
    severity: Severity | None = None
    """By default `healthy` where there are no symptoms, else `severe`."""
    hard: bool = False
    certain: bool = False
    """Whether the fault stands although training may get round it."""


def draws(name: str) -> Iterator[Draw]:
    """Yield a variant's two draws; its name decides them."""
    chosen = zlib.crc32(name.encode())
    for half, widths in _WIDTHS.items():
        batches = _BATCHES[half]
        width, samples = widths[chosen % len(widths)], batches[chosen // 7 % len(batches)]
        yield Draw(half, _SEEDS[half] + chosen % 997, width, samples)


def built(variants: Sequence[Variant]) -> Iterator[Case]:
    """Yield each variant's cases, one per half."""
    for variant in variants:
        sick = bool(variant.symptoms)
        for draw in draws(variant.name):
            made = variant.make(draw)
            yield Case(
                name=f"{variant.name}-{draw.seed}",
                family=variant.name.partition("/")[0],
                model=made.model,
                suffix=made.suffix,
                batch=made.batch,
                options={"seed": draw.seed, **made.options},
                sick=sick,
                symptoms=frozenset(variant.symptoms),
                severity=variant.severity or ("severe" if sick else "healthy"),
                hard=variant.hard,
                half=draw.half,
                certain=variant.certain,
            )


def chain(layers: Layers, batch: Arrays, **options: Any) -> Made:  # noqa: ANN401
    """Return a chain of layers behind the batch's only input."""
    return _described(batch, {"layers": layers}, options)


def graph(nodes: Layers, batch: Arrays, **options: Any) -> Made:  # noqa: ANN401
    """Return a graph of nodes behind the batch's only input, `input`."""
    return _described(batch, {"nodes": nodes}, options)


def _described(batch: Arrays, body: Mapping[str, Any], options: Mapping[str, Any]) -> Made:
    given = batch["input"]
    entry: dict[str, Any] = {"shape": list(given.shape[1:])}
    if given.dtype == np.int64:
        entry["dtype"] = "int64"
    document = {"gradgate": "1", "input": entry, **body}
    return Made(json.dumps(document).encode(), ".json", batch, options)
