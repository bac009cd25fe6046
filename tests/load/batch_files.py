"""Batch files for tests, and graphs that take them."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

from worker.network.graph import Graph, Input

IMAGES = np.random.default_rng(0).standard_normal((5, 3, 8, 6))
LABELS = np.arange(5)
FREE = ("batch", 3, 8, 6)


def graph(*inputs: Input) -> Graph:
    """Return a graph with these inputs; nothing else of it matters here."""
    return Graph((), inputs or (Input("pixels", torch.float32, FREE),), (), {})


def saved(path: Path, content: bytes) -> Path:
    """Write a file and return its path."""
    path.write_bytes(content)
    return path


def archive(**arrays: Any) -> bytes:  # noqa: ANN401  whatever numpy saves
    """Return an npz file's bytes."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def written(values: Mapping[str, Any], form: str) -> bytes:
    """Return a batch's bytes in a format."""
    match form:
        case "npz":
            return archive(**values)
        case "safetensors":
            return safetensors.torch.save({name: torch.from_numpy(value) for name, value in values.items()})
        case "json":
            return json.dumps({name: value.tolist() for name, value in values.items()}).encode()
    types = {"f": "FP64", "i": "INT64"}
    tensors = [
        {
            "name": name,
            "shape": list(value.shape),
            "datatype": types[value.dtype.kind],
            "data": value.ravel().tolist(),
        }
        for name, value in values.items()
    ]
    return json.dumps({"inputs": tensors}).encode()


TOKENS = Input("tokens", torch.int64, ("batch", 4), classes=10)


def header(shape: str, *, descr: str = "'<f4'") -> bytes:
    """Return an npy file's header."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"
    return b"\x93NUMPY\x01\x00" + (len(text) + 1).to_bytes(2, "little") + text.encode() + b"\n"


GOOD = [written({"x": IMAGES[:1], "y": LABELS[:1]}, form) for form in ("npz", "safetensors", "json", "protocol")]
