"""Operators on whole numbers that stand for floats, and on sequences by way of tensors."""

import numpy as np
from onnx import TensorProto

from tests.network.versions.case import Array, Case, case, floats, one, whole

KINDS = ("uint8", "int8")
BYTES = {"uint8": (0, 256), "int8": (-128, 128)}


def small(*shape: int, kind: str = "uint8", seed: int = 0) -> Array:
    """Return random bytes."""
    low, high = BYTES[kind]
    return whole(*shape, seed=seed, low=low, high=high, dtype=kind)


SCALES = np.array([0.02, 0.05, 0.1], "float32")
POINTS = {"uint8": np.array([128, 0, 255], "uint8"), "int8": np.array([0, -128, 7], "int8")}
SCALE, POINT = one(0.05, "float32"), {"uint8": one(128, "uint8"), "int8": one(3, "int8")}
BLOCKS = floats(2, 2, low=0.02, high=0.1)

CASES: list[Case] = [
    case("QuantizeLinear", floats(2, 3, low=-8, high=8), SCALE),
    *(case("QuantizeLinear", floats(2, 3, low=-8, high=8), SCALE, POINT[kind]) for kind in KINDS),
    *(case("QuantizeLinear", floats(2, 3, 4), SCALES, POINTS[kind], since=13) for kind in KINDS),
    case("QuantizeLinear", floats(3, 4), SCALES, POINTS["int8"], axis=0, since=13),
    case("QuantizeLinear", floats(2, 3), SCALE, POINT["int8"], saturate=0, since=19),
    case("QuantizeLinear", floats(2, 3), SCALE, output_dtype=TensorProto.INT16, since=21),
    case("QuantizeLinear", floats(2, 4), BLOCKS, small(2, 2), axis=1, block_size=2, since=21),
    case("QuantizeLinear", floats(2, 3), SCALE, POINT["int8"], precision=TensorProto.FLOAT, since=23),
    case("QuantizeLinear", np.array([0.025, 0.075, -0.025, 0.125], "float32"), SCALE, POINT["int8"]),
    *(case("DequantizeLinear", small(2, 3, kind=kind), SCALE, POINT[kind]) for kind in KINDS),
    case("DequantizeLinear", whole(2, 3, dtype="int32", low=-1000, high=1000), SCALE),
    *(case("DequantizeLinear", small(2, 3, 4, kind=kind), SCALES, POINTS[kind], since=13) for kind in KINDS),
    case("DequantizeLinear", small(3, 4), SCALES, POINTS["uint8"], axis=0, since=13),
    case("DequantizeLinear", small(2, 4), BLOCKS, small(2, 2), axis=1, block_size=2, since=21),
    case("DequantizeLinear", small(2, 3), SCALE, POINT["uint8"], output_dtype=TensorProto.FLOAT, since=23),
    case("DynamicQuantizeLinear", floats(3, 4)),
    case("DynamicQuantizeLinear", floats(3, 4, low=1, high=2), outputs=3),
    case("DynamicQuantizeLinear", floats(3, 4), outputs=3),
    case("MatMulInteger", small(2, 3), small(3, 4, seed=1)),
    case("MatMulInteger", small(2, 3), small(3, 4, seed=1, kind="int8"), POINT["uint8"], POINT["int8"]),
    case("MatMulInteger", small(2, 3), small(3, 4, seed=1), None, small(4)),
    case("ConvInteger", small(1, 2, 5, 5), small(3, 2, 3, 3, seed=1), POINT["uint8"], pads=[1, 1, 1, 1]),
    case("ConvInteger", small(1, 2, 5, 5), small(2, 1, 3, 3, seed=1), strides=[2, 2], group=2),
    case(
        "QLinearMatMul",
        small(2, 3),
        SCALE,
        POINT["uint8"],
        small(3, 4, seed=1),
        SCALE,
        POINT["uint8"],
        one(0.3, "float32"),
        POINT["uint8"],
    ),
    case(
        "QLinearMatMul",
        small(2, 3, kind="int8"),
        SCALE,
        POINT["int8"],
        small(3, 4, seed=1, kind="int8"),
        SCALE,
        POINT["int8"],
        one(0.3, "float32"),
        POINT["int8"],
    ),
    case(
        "QLinearConv",
        small(1, 2, 5, 5),
        SCALE,
        POINT["uint8"],
        small(3, 2, 3, 3, seed=1),
        SCALE,
        POINT["uint8"],
        one(0.9, "float32"),
        POINT["uint8"],
        whole(3, low=-500, high=500, dtype="int32"),
        pads=[1, 1, 1, 1],
    ),
]
