"""Bombs: uploads of a few bytes, or a few megabytes, that ask for far more than they are.

Each is built by a function that `bomb` registers under its name, with the troubles that it may end in.  A bomb that
`needs_limits` is told from an honest model only by what it takes: it is examined in a jail alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.parser import parse_model

from service.contract.problem import Trouble

Build: TypeAlias = Callable[[], bytes]
Outcomes: TypeAlias = tuple[type[Trouble], ...]


@dataclass(frozen=True)
class Bomb:
    """An upload, and what it must end in."""

    build: Build
    outcomes: Outcomes
    needs_limits: bool
    external: Callable[[Path], Mapping[str, Path]]
    """Lays files of external data into a folder."""


BOMBS: dict[str, Bomb] = {}


def bomb(
    *outcomes: type[Trouble],
    needs_limits: bool = False,
    external: Callable[[Path], Mapping[str, Path]] = lambda _: {},
) -> Callable[[Build], Build]:
    """Register a function that builds a bomb under its own name, in words."""

    def register(build: Build) -> Build:
        BOMBS[build.__name__.replace("_", " ").strip()] = Bomb(build, outcomes, needs_limits, external)
        return build

    return register


def model(
    body: str, given: str = "float[N,3] x", made: str = "float[N,3] y", opset: int = 20, **tensors: object
) -> onnx.ModelProto:
    """Return a model in onnx's own notation; a body of nodes, and tensors by name."""
    domains = f'"": {opset}, "local": 1'
    text = f"<ir_version: 9, opset_import: [{domains}]> g ({given}) => ({made}) {{ {body} }}"
    parsed = parse_model(text)
    parsed.graph.initializer.extend(numpy_helper.from_array(np.asarray(each), name) for name, each in tensors.items())
    return parsed


def written(body: str, **rest: object) -> bytes:
    """Return such a model's bytes."""
    made: bytes = model(body, **rest).SerializeToString()  # type: ignore[arg-type]
    return made


def whole(*numbers: int) -> np.ndarray:
    """Return a vector of whole numbers."""
    return np.array(numbers, np.int64)


def varint(value: int) -> bytes:
    """Return a number as protobuf writes it."""
    low, high = value & 127, value >> 7
    return bytes([low | 128]) + varint(high) if high else bytes([low])


def field(number: int, content: bytes) -> bytes:
    """Return a field of bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def number(place: int, value: int) -> bytes:
    """Return a field of a whole number."""
    return varint(place << 3) + varint(value % 2**64)
