"""Operators as versions 1 to 6 had them; no runtime knows those, so what is right is written down."""

from functools import partial

import numpy as np

from tests.network.versions.case import Array, Case, floats, ints, one, truths
from tests.network.versions.case import case as newer

case = partial(newer, since=1)
A, B = floats(2, 3, 4), floats(3, seed=1, low=0.5)
WIDE = B.reshape(3, 1)
IMAGE, CHANNELS = floats(2, 3, 2, 2), [floats(3, seed=seed, low=0.5) for seed in range(4)]
FUNCTIONS = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide}
COMPARISONS = {"Equal": np.equal, "Greater": np.greater, "Less": np.less}
LOGIC = {"And": np.logical_and, "Or": np.logical_or, "Xor": np.logical_xor}


def normalized(x: Array, scale: Array, bias: Array, mean: Array, var: Array) -> Array:
    """Return what batch normalization by running statistics gives."""
    factor, shift, middle, spread = (each.reshape(1, -1, 1, 1) for each in (scale, bias, mean, var))
    return np.asarray((x - middle) / np.sqrt(spread + 1e-5) * factor + shift)


CASES: list[Case] = [
    *(
        case(name, A, B, axis=axis, broadcast=1, until=6, stated=(function(A, WIDE),))
        for name, function in FUNCTIONS.items()
        for axis in (1, -2)
    ),
    *(case(name, A, A + 3, until=6, stated=(function(A, A + 3),)) for name, function in FUNCTIONS.items()),
    case("Add", A, floats(4), broadcast=1, until=6, stated=(A + floats(4),)),
    case("Add", A, A, consumed_inputs=[0, 0], until=5, stated=(A + A,)),
    case("Pow", np.abs(A), B, axis=1, broadcast=1, until=6, stated=(np.power(np.abs(A), WIDE),)),
    *(
        case(
            name,
            np.round(A),
            np.round(B),
            axis=1,
            broadcast=1,
            until=6,
            stated=(function(np.round(A), np.round(WIDE)),),
        )
        for name, function in COMPARISONS.items()
        if name != "Equal"
    ),
    case("Equal", ints(1, 2, 3), ints(2), broadcast=1, until=6, stated=(np.array([False, True, False]),)),
    *(
        case(
            name,
            truths(2, 3),
            truths(2),
            axis=0,
            broadcast=1,
            until=6,
            stated=(function(truths(2, 3), truths(2)[:, None]),),
        )
        for name, function in LOGIC.items()
    ),
    case(
        "Gemm",
        floats(2, 3),
        floats(3, 4),
        floats(4),
        broadcast=1,
        beta=0.5,
        until=6,
        stated=(floats(2, 3) @ floats(3, 4) + 0.5 * floats(4),),
    ),
    case(
        "Gemm",
        floats(2, 3),
        floats(4, 3),
        floats(2, 4),
        transB=1,
        until=6,
        stated=(floats(2, 3) @ floats(4, 3).T + floats(2, 4),),
    ),
    case("PRelu", IMAGE, B, until=6, stated=(np.where(IMAGE > 0, IMAGE, IMAGE * B.reshape(3, 1, 1)),)),
    case("PRelu", IMAGE, floats(1), until=6, stated=(np.where(IMAGE > 0, IMAGE, IMAGE * floats(1)),)),
    case("Cast", A, to="INT64", until=5, stated=(A.astype("int64"),)),
    case("Clip", A, max=0.5, until=5, stated=(np.minimum(A, 0.5).astype("float32"),)),
    case("Clip", A, min=-0.5, max=0.5, until=6, stated=(A.clip(-0.5, 0.5),)),
    case("Concat", A, A, until=3, stated=(np.concatenate([A, A], 1),)),
    case("Concat", A, A, axis=2, until=6, stated=(np.concatenate([A, A], 2),)),
    case(
        "Pad",
        floats(2, 2),
        paddings=[0, 1, 1, 0],
        value=3.0,
        until=1,
        stated=(np.pad(floats(2, 2), ((0, 1), (1, 0)), constant_values=3),),
    ),
    case("Pad", floats(2, 2), pads=[0, 1, 1, 0], since=2, until=6, stated=(np.pad(floats(2, 2), ((0, 1), (1, 0))),)),
    case("Reshape", A, shape=[0, -1], until=4, stated=(A.reshape(2, 12),)),
    case("Reshape", A, ints(0, -1), since=5, until=6, stated=(A.reshape(2, 12),)),
    case("Selu", A, until=5, stated=(1.0507 * np.where(A > 0, A, 1.6732 * np.expm1(A)),)),
    case("Selu", A, since=6, until=6, stated=(1.0507009 * np.where(A > 0, A, 1.6732632 * np.expm1(A)),)),
    case("Split", floats(6, 2), ints(2, 4), axis=0, outputs=2, until=1, stated=(floats(6, 2)[:2], floats(6, 2)[2:])),
    case("Split", floats(6, 2), axis=0, split=[2, 4], outputs=2, until=6, stated=(floats(6, 2)[:2], floats(6, 2)[2:])),
    case("Tile", A, one(2), one(1), until=5, stated=(np.tile(A, (1, 2, 1)),)),
    case("Tile", A, ints(1, 2, 1), since=6, until=6, stated=(np.tile(A, (1, 2, 1)),)),
    case("Upsample", IMAGE, height_scale=2.0, width_scale=3.0, until=6, stated=(IMAGE.repeat(2, 2).repeat(3, 3),)),
    *(
        case(
            "BatchNormalization",
            IMAGE,
            *CHANNELS,
            is_test=1,
            since=since,
            until=until,
            stated=(normalized(IMAGE, *CHANNELS),),
            **extra,
        )
        for since, until, extra in ((1, 5, {"consumed_inputs": [0, 0, 0, 1, 1]}), (6, 6, {}))
    ),
    case("Dropout", A, is_test=1, ratio=0.3, until=6, stated=(A,)),
    case("Relu", A, consumed_inputs=[0], until=5, stated=(np.maximum(A, 0),)),
    case("GlobalLpPool", IMAGE, p=2.0, until=1, stated=(np.sqrt((IMAGE**2).sum((2, 3), keepdims=True)),)),
    case(
        "TopK",
        ints(3, 1, 2).astype("float32"),
        k=2,
        outputs=2,
        until=6,
        stated=(np.array([3, 2], "float32"), ints(0, 2)),
    ),
]
