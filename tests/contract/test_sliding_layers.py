"""Convolutions, pooling and resampling that do not fit, or take too much."""

import json
from typing import Any

import pytest

from service.contract.architecture import parse
from service.contract.problem import Invalid, TooComplex

SEQUENCE, IMAGE = (7, 8), (4, 9, 8)


@pytest.mark.parametrize(
    "layer",
    [
        {"kind": "conv2d", "filters": 1, "kernel": 1024, "dilation": 1024, "padding": "same"},
        {"kind": "conv2d_transpose", "filters": 1, "kernel": 1024, "dilation": 1024, "padding": "same"},
        {"kind": "max_pool2d", "kernel": 2, "dilation": 1024, "padding": "same", "stride": 1024},
        {"kind": "upsample", "factor": 1024},
        {"kind": "pad", "amounts": 1024},
    ],
)
def test_what_takes_too_much_on_the_way_is_refused(layer: dict[str, Any]) -> None:
    document = {"gradgate": "1", "input": {"shape": [64, 256, 256]}, "layers": [layer]}
    with pytest.raises(TooComplex, match=f"the limit is {2**26}"):
        parse(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("layer", "shape", "pointer", "told"),
    [
        ({"kind": "conv3d", "filters": 3, "kernel": 3}, IMAGE, "", "(channels, depth, height, width)"),
        ({"kind": "conv2d", "filters": 3, "kernel": [3, 3, 3]}, IMAGE, "/kernel", ""),
        ({"kind": "conv2d", "filters": 3, "kernel": 20}, IMAGE, "/kernel", "20 does not fit into a size of 9"),
        ({"kind": "conv2d", "filters": 3, "kernel": 3, "padding": "causal"}, IMAGE, "/padding", ""),
        ({"kind": "conv2d", "filters": 3, "kernel": 3, "groups": 2}, IMAGE, "/groups", "3 filters"),
        ({"kind": "conv2d_transpose", "filters": 4, "kernel": 3, "groups": 3}, IMAGE, "/groups", "4 channels"),
        (
            {"kind": "conv2d_transpose", "filters": 4, "kernel": 3, "stride": 2, "output_padding": 2},
            IMAGE,
            "/output_padding",
            "output padding is 2",
        ),
        (
            {"kind": "conv2d_transpose", "filters": 4, "kernel": 3, "padding": "same", "output_padding": 1},
            IMAGE,
            "/output_padding",
            "must be 0",
        ),
        ({"kind": "conv1d_transpose", "filters": 4, "kernel": 1, "padding": 4}, SEQUENCE, "/padding", "size of -1"),
        ({"kind": "max_pool2d", "kernel": 2, "padding": 2}, IMAGE, "/padding", "padding is 2 and the window 2"),
        ({"kind": "max_pool1d", "dilation": 8, "padding": 1}, SEQUENCE, "/dilation", "the size 7"),
        ({"kind": "avg_pool2d", "dilation": 2}, IMAGE, "/dilation", "not known"),
        ({"kind": "max_pool2d", "count_padding": True}, IMAGE, "/count_padding", "not known"),
        ({"kind": "adaptive_avg_pool2d", "size": [1, 2, 3]}, IMAGE, "/size", ""),
        ({"kind": "adaptive_avg_pool2d", "size": 0}, IMAGE, "/size", ""),
        ({"kind": "upsample"}, IMAGE, "", "`factor` or a `size`"),
        ({"kind": "upsample", "factor": 2, "size": 2}, IMAGE, "", "one of the two"),
        ({"kind": "upsample", "factor": [2, 2, 2]}, IMAGE, "/factor", "3 numbers for 2 axes"),
        ({"kind": "upsample", "size": [2]}, IMAGE, "/size", "1 numbers for 2 axes"),
        ({"kind": "upsample", "factor": 0.1}, IMAGE, "/factor", "at least 1"),
        ({"kind": "upsample", "factor": 2, "mode": "cubic"}, SEQUENCE, "", "(channels, height, width)"),
        ({"kind": "upsample", "factor": 2, "align_corners": True}, IMAGE, "", "linear and cubic"),
        ({"kind": "pad", "amounts": [1]}, IMAGE, "/amounts", "1 axes"),
        ({"kind": "pad", "amounts": 8, "mode": "reflect"}, IMAGE, "/amounts", "can add 7 to a size of 8"),
        ({"kind": "crop", "amounts": 4}, IMAGE, "/amounts", "at least 1"),
        ({"kind": "pixel_shuffle", "factor": 3}, IMAGE, "/factor", "4 channels do not divide by 9"),
        ({"kind": "pixel_unshuffle", "factor": 2}, IMAGE, "/factor", "9 rows"),
        ({"kind": "channel_shuffle", "groups": 3}, IMAGE, "/groups", "4 channels"),
    ],
)
def test_what_does_not_fit_is_refused_at_its_place(
    layer: dict[str, Any], shape: tuple[int, ...], pointer: str, told: str
) -> None:
    document = {"gradgate": "1", "input": {"shape": shape}, "layers": [layer]}
    with pytest.raises(Invalid) as caught:
        parse(json.dumps(document).encode())
    assert (caught.value.pointer or "").startswith(f"/layers/0{pointer}")
    assert told in caught.value.detail
