"""Operators that take many numbers to one, normalize them or multiply matrices."""

import numpy as np

from tests.network.versions.case import Case, case, floats, ints, one, truths, whole

X = floats(2, 3, 4)
YES, NO = np.array(True), np.array(False)  # noqa: FBT003  numpy takes it so
POSITIVE = floats(2, 3, 4, low=0.1)
REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
LEFT = {"Sum": 13}
"""The version from which the axes are an input, where it is not 18."""


def reductions(name: str) -> list[Case]:
    """Return what every reduction is tried on."""
    moved = LEFT.get(name, 18)
    data = POSITIVE if name == "LogSum" else X
    operator = f"Reduce{name}"
    return [
        case(operator, data),
        case(operator, data, keepdims=0),
        case(operator, data, axes=[1], until=moved - 1),
        case(operator, data, axes=[0, 2], keepdims=0, until=moved - 1),
        case(operator, data, axes=[-1], since=11, until=moved - 1),
        case(operator, data, ints(1), since=moved),
        case(operator, data, ints(0, -1), keepdims=0, since=moved),
        case(operator, data, noop_with_empty_axes=0, since=moved),
        case(operator, data, ints(), noop_with_empty_axes=0, since=moved),
        case(operator, data, ints(), noop_with_empty_axes=1, since=moved),
        case(operator, data, noop_with_empty_axes=1, since=moved),
        case(operator, data.astype("float64"), keepdims=0),
        *([] if name.startswith("Log") else [case(operator, whole(2, 3, low=1, dtype="int32"))]),
    ]


def softmaxes(name: str) -> list[Case]:
    """Return what softmax and its kin are tried on: their default axis and the meaning of it changed."""
    return [
        case(name, X),
        *(case(name, X, axis=axis) for axis in (0, 1, 2)),
        case(name, X, axis=-1, since=11),
        case(name, X, axis=-2, since=11),
        case(name, floats(3, 4)),
        case(name, floats(5), axis=0),
        case(name, floats(3, 4, dtype="float64"), axis=1),
    ]


def extremes(name: str) -> list[Case]:
    """Return what ArgMax and ArgMin are tried on."""
    ties = np.array([[2, 2, 1], [1, 3, 3]], "float32")
    return [
        case(name, X),
        case(name, X, axis=1, keepdims=0),
        case(name, X, axis=-1, since=11),
        case(name, ties, axis=1),
        case(name, ties, axis=1, select_last_index=1, since=12),
        case(name, ties, axis=1, select_last_index=0, keepdims=0, since=12),
        case(name, whole(3, 4, dtype="int32"), axis=1),
    ]


IMAGE = floats(2, 4, 3, 3)
CHANNELS = [floats(4, seed=seed) for seed in (1, 2, 3)]
VARIANCE = floats(4, seed=4, low=0.5)

CASES: list[Case] = [
    *(each for name in REDUCTIONS for each in reductions(name)),
    *(case(f"Reduce{name}", truths(2, 3), ints(1), since=20) for name in ("Max", "Min")),
    *(
        case(f"Reduce{name}", whole(2, 3, dtype=kind), axes=[1], since=12, until=17)
        for name in ("Max", "Min")
        for kind in ("int8",)
    ),
    *(case(f"Reduce{name}", whole(2, 3, low=0, dtype="uint8"), ints(1), since=18) for name in ("Max", "Min")),
    *(each for name in ("Softmax", "LogSoftmax", "Hardmax") for each in softmaxes(name)),
    case("Hardmax", np.array([[1, 3, 3], [2, 2, 1]], "float32"), axis=1),
    *(each for name in ("ArgMax", "ArgMin") for each in extremes(name)),
    *(
        case(name, X, one(axis), exclusive=exclusive, reverse=reverse)
        for name in ("CumSum", "CumProd")
        for axis, exclusive, reverse in ((0, 0, 0), (1, 1, 0), (-1, 0, 1), (2, 1, 1))
    ),
    case("CumSum", whole(2, 3, dtype="int32"), one(1, "int32")),
    # matrices
    case("MatMul", floats(2, 3), floats(3, 4)),
    case("MatMul", floats(2, 1, 2, 3), floats(5, 3, 4)),
    case("MatMul", floats(3), floats(2, 3, 4)),
    case("MatMul", floats(2, 3), floats(3)),
    case("MatMul", whole(2, 3), whole(3, 4), since=9),
    case("MatMul", whole(2, 3, low=0, dtype="uint32"), whole(3, 4, low=0, dtype="uint32"), since=9),
    case("Gemm", floats(2, 3), floats(3, 4), floats(4)),
    case("Gemm", floats(3, 2), floats(4, 3), floats(2, 4), alpha=0.5, beta=2.0, transA=1, transB=1),
    case("Gemm", floats(2, 3), floats(3, 4), floats(2, 1), beta=0.3),
    case("Gemm", floats(2, 3), floats(3, 4), one(0.3, "float32")),
    case("Gemm", floats(2, 3), floats(3, 4), since=11),
    case("Gemm", floats(2, 3), floats(3, 4), floats(4), beta=0.0),
    case("Einsum", floats(2, 3), floats(3, 4), equation="ij,jk->ik"),
    case("Einsum", floats(2, 3, 4), equation="...ij->...ji"),
    case("Einsum", floats(3, 3), equation="ii->i"),
    case("Einsum", floats(2, 3), floats(3, 4), equation="ij , jk"),
    case("Det", floats(3, 3)),
    case("Det", floats(2, 4, 3, 3)),
    # normalization
    case("BatchNormalization", IMAGE, *CHANNELS, VARIANCE),
    case("BatchNormalization", IMAGE, *CHANNELS, VARIANCE, epsilon=1e-2),
    case("BatchNormalization", IMAGE, *CHANNELS, VARIANCE, momentum=0.5),
    case("BatchNormalization", floats(3, 4), *CHANNELS, VARIANCE, since=7),
    case("BatchNormalization", IMAGE, *CHANNELS, VARIANCE, spatial=1, until=8),
    case(
        "BatchNormalization",
        IMAGE,
        *(floats(4, 3, 3, seed=seed) for seed in (1, 2, 3)),
        floats(4, 3, 3, low=0.5),
        spatial=0,
        until=8,
    ),
    case("BatchNormalization", IMAGE, *CHANNELS, VARIANCE, training_mode=0, since=14),
    case("InstanceNormalization", IMAGE, *CHANNELS[:2]),
    case("InstanceNormalization", floats(2, 4, 5), *CHANNELS[:2], epsilon=1e-2),
    case("GroupNormalization", IMAGE, floats(2), floats(2, seed=1), num_groups=2, until=20),
    case("GroupNormalization", floats(2, 4, 5), floats(2), floats(2, seed=1), num_groups=2, epsilon=0.1, until=20),
    case("GroupNormalization", IMAGE, floats(4), floats(4, seed=1), num_groups=2, since=21),
    case("GroupNormalization", floats(2, 4, 5), floats(4), floats(4, seed=1), num_groups=2, stash_type=1, since=21),
    case("LayerNormalization", X, floats(4), floats(4, seed=1)),
    case("LayerNormalization", X, floats(4), floats(4, seed=1), outputs=3),
    case("LayerNormalization", X, floats(3, 4), axis=1, epsilon=1e-2),
    case("LayerNormalization", X, floats(3, 4), floats(3, 4, seed=1), axis=-2, outputs=3),
    case("LayerNormalization", X, floats(1), floats(4, seed=1)),
    case("LayerNormalization", X.astype("float16"), floats(4, dtype="float16"), outputs=1),
    case("RMSNormalization", X, floats(4)),
    case("RMSNormalization", X, floats(3, 4), axis=1, epsilon=1e-2),
    case("LRN", floats(2, 5, 3, 3), size=3),
    case("LRN", floats(2, 5, 3, 3), size=5, alpha=0.1, beta=0.5, bias=2.0),
    case("LpNormalization", X),
    case("LpNormalization", X, axis=1, p=1),
    case("LpNormalization", floats(2, 3) * np.array([[1], [0]], "float32")),
    case("MeanVarianceNormalization", IMAGE),
    case("MeanVarianceNormalization", IMAGE, axes=[1, 2]),
    case("Dropout", X),
    case("Dropout", X, ratio=0.3, until=11),
    case("Dropout", X, outputs=2, until=9, stated=(X, np.ones_like(X))),
    case("Dropout", X, outputs=2, since=10, until=11, stated=(X, np.ones_like(X, bool))),
    case("Dropout", X, outputs=2, since=12),
    case("Dropout", X, one(0.3, "float32"), since=12),
    case("Dropout", X, one(0.3, "float32"), NO, outputs=2, since=12),
    case("Dropout", X, one(0.0, "float32"), YES, outputs=2, since=12),
]
