"""Layers that do not fit what reaches them are refused where they stand."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from service.contract.architecture import parse
from service.contract.problem import Invalid, TooComplex


def refused(layers: list[Any], shape: Sequence[int]) -> tuple[str, str]:
    """Return the pointer and the detail of the problem that a chain is refused with."""
    document = {"gradgate": "1", "input": {"shape": shape}, "layers": layers}
    with pytest.raises((Invalid, TooComplex)) as caught:
        parse(json.dumps(document).encode())
    return caught.value.pointer or "", caught.value.detail


@pytest.mark.parametrize(
    ("layers", "shape", "pointer", "said"),
    [
        ([{"kind": "softmax", "axis": 2}], [6], "/layers/0/axis", "no axis 2"),
        ([{"kind": "glu"}], [7], "/layers/0", "size of 7"),
        ([{"kind": "prelu", "slopes": "two"}], [7], "/layers/0/slopes", "two"),
        ([{"kind": "hard_tanh", "low": 1}], [7], "/layers/0", "low is 1.0 and high is 1.0"),
        ([{"kind": "rrelu", "lower": 1}], [7], "/layers/0", "lower is 1.0"),
        ([{"kind": "dense", "units": 3}], [3, 9, 8], "/layers/0", "[3, 9, 8]"),
        ([{"kind": "batch_norm", "scale": "no"}], [7], "/layers/0/scale", "no"),
        ([{"kind": "layer_norm", "axes": [0, -2]}], [7, 8], "/layers/0/axes", "twice"),
        ([{"kind": "layer_norm", "axes": [0, 2]}], [7, 8], "/layers/0/axes/1", "no axis 2"),
        ([{"kind": "local_response_norm", "size": 4}], [4, 9, 8], "/layers/0/size", "is 4"),
        ([{"kind": "reshape", "shape": [-1, -1]}], [8], "/layers/0/shape", "2 sizes"),
        ([{"kind": "reshape", "shape": [3, -1]}], [8], "/layers/0/shape", "holds 3"),
        ([{"kind": "flatten", "first": 1, "last": 0}], [7, 8], "/layers/0/first", "behind the last"),
        ([{"kind": "slice", "axis": 0, "start": 7}], [7, 8], "/layers/0/start", "size 7"),
        ([{"kind": "select", "axis": 0, "index": 7}], [7, 8], "/layers/0/index", "7 places"),
        ([{"kind": "squeeze", "axis": 0}], [7, 8], "/layers/0/axis", "size of 7"),
        ([{"kind": "unsqueeze", "axis": 0}], [1, 2, 3, 4], "/layers/0", "at most 4"),
        ([{"kind": "repeat_vector", "times": 3}], [7, 8], "/layers/0", "(features)"),
        ([{"kind": "repeat_vector", "times": 65536}], [65536], "/layers/0", "4294967296"),
        ([{"kind": "spatial_dropout", "rate": 0.5}], [7], "/layers/0", "[7]"),
        ([{"kind": "rescale", "scale": 1e31}], [7], "/layers/0/scale", "1e+31"),
        ([{"kind": "dense", "unit": 3}], [7], "/layers/0/units", "meant by 'unit'"),
        ([{"kind": "linear", "out_features": 3}], [7], "/layers/0/kind", "did you mean 'dense'"),
        ([{"kind": "BatchNorm2d"}], [7], "/layers/0/kind", "did you mean 'batch_norm'"),
        ([], [7], "/layers", "0 entries; at least 1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_where_it_stands(
    layers: list[Any], shape: list[int], pointer: str, said: str
) -> None:
    at, detail = refused(layers, shape)
    assert at == pointer
    assert said in detail
