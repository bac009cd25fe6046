"""Operators that treat each number alone."""

import numpy as np
from onnx import TensorProto

from tests.network.versions.case import Case, case, floats, ints, one, truths, whole

ANYWHERE = (
    "Abs",
    "Atan",
    "Ceil",
    "Cos",
    "Elu",
    "Erf",
    "Exp",
    "Floor",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyRelu",
    "Mish",
    "Neg",
    "Relu",
    "Selu",
    "Shrink",
    "Sigmoid",
    "Sign",
    "Sin",
    "Softplus",
    "Softsign",
    "Tan",
    "Tanh",
    "ThresholdedRelu",
    "Cosh",
    "Sinh",
    "Asinh",
    "Celu",
    "Gelu",
    "Swish",
    "Round",
    "IsNaN",
)
SPECIAL = np.array([-np.inf, -2.5, -1.5, -0.5, -0.0, 0.0, 0.5, 1.5, 2.5, np.inf, np.nan], np.float32)
PAIRS = ["Add", "Sub", "Mul", "Div"]
COMPARISONS = ["Greater", "Less", "GreaterOrEqual", "LessOrEqual"]
BITS = ["BitwiseAnd", "BitwiseOr", "BitwiseXor"]
NARROW = ("int8", "uint8", "int16", "uint16", "uint32", "uint64")

CASES: list[Case] = [
    *(case(name, floats(3, 4)) for name in ANYWHERE),
    *(case(name, floats(3, 4, low=0.1)) for name in ("Log", "Sqrt", "Reciprocal")),
    *(case(name, floats(3, 4, low=-0.9, high=0.9)) for name in ("Acos", "Asin", "Atanh")),
    case("Acosh", floats(3, 4, low=1.1)),
    *(case(name, SPECIAL) for name in ("Abs", "Ceil", "Floor", "Round", "Relu", "IsNaN", "Sign", "Tanh", "Exp")),
    *(case(name, whole(3, 4, low=-100, high=100, dtype="int32")) for name in ("Abs", "Neg", "Sign")),
    case("Relu", whole(3, 4, dtype="int32"), since=14),
    case("Identity", whole(3, 4)),
    *(case(name, floats(2, 3, dtype="float64")) for name in ("Elu", "Selu", "Softplus", "Tanh", "Erf", "Gelu")),
    *(case(name, floats(2, 3, dtype="float16")) for name in ("Relu", "Sigmoid", "Abs")),
    case("Elu", floats(3, 4), alpha=0.5),
    case("Celu", floats(3, 4), alpha=2.0),
    case("Selu", floats(3, 4), alpha=1.5, gamma=2.0),
    case("LeakyRelu", floats(3, 4), alpha=0.2),
    case("HardSigmoid", floats(3, 4), alpha=0.3, beta=0.4),
    case("ThresholdedRelu", floats(3, 4), alpha=0.5),
    case("Shrink", floats(3, 4), bias=0.3, lambd=1.0),
    case("Gelu", floats(3, 4), approximate="tanh"),
    case("Swish", floats(3, 4), alpha=1.7),
    *(case(name, SPECIAL) for name in ("IsInf",)),
    case("IsInf", SPECIAL, detect_negative=0),
    case("IsInf", SPECIAL, detect_positive=0),
    case("IsInf", SPECIAL.astype("float16"), since=20),
    case("IsNaN", SPECIAL.astype("float16")),
    case("Not", truths(3, 4)),
    case("BitwiseNot", whole(3, 4, dtype="int32")),
    case("BitwiseNot", whole(3, 4, low=0, high=200, dtype="uint8")),
    # two inputs
    *(case(name, floats(2, 3, 4), floats(3, 1, low=0.5)) for name in PAIRS),
    *(case(name, floats(4), floats(2, 3, 1, low=0.5)) for name in PAIRS),
    *(
        case(name, whole(3, 4, low=-20, high=20, dtype=kind), whole(4, low=1, dtype=kind))
        for name in PAIRS
        for kind in ("int32", "int64")
    ),
    *(
        case(name, whole(3, 4, low=20, high=40, dtype=kind), whole(4, low=1, dtype=kind), since=14)
        for name in PAIRS
        for kind in NARROW
    ),
    *(case(name, floats(2, 3, 4), floats(3, 1)) for name in COMPARISONS),
    *(case(name, SPECIAL[:, None], SPECIAL) for name in COMPARISONS),
    *(case(name, whole(3, 4, dtype="int32"), whole(4, dtype="int32"), since=9) for name in COMPARISONS),
    *(case(name, whole(3, 4, low=0, dtype="uint32"), whole(4, low=0, dtype="uint32"), since=9) for name in COMPARISONS),
    case("Equal", whole(3, 4), whole(4)),
    case("Equal", truths(3, 4), truths(4)),
    case("Equal", SPECIAL[:, None], SPECIAL, since=11),
    *(case(name, truths(2, 3, 4), truths(3, 1)) for name in ("And", "Or", "Xor")),
    *(case(name, whole(3, 4, dtype="int32"), whole(4, dtype="int32")) for name in BITS),
    *(case(name, whole(3, 4, low=0, dtype="uint64"), whole(4, low=0, dtype="uint64")) for name in BITS),
    *(
        case("BitShift", whole(3, 4, low=0, high=120, dtype=kind), whole(4, low=0, dtype=kind), direction=way)
        for kind in ("uint8", "uint16", "uint32", "uint64")
        for way in ("LEFT", "RIGHT")
    ),
    case("BitShift", np.array([2**63 + 8, 2**64 - 1, 7], "uint64"), np.array([1, 0, 63], "uint64"), direction="RIGHT"),
    *(
        case(
            "BitShift",
            whole(9, low=-128, high=128, dtype="int8"),
            np.arange(-1, 8, dtype="int8"),
            direction=way,
            since=28,
        )
        for way in ("LEFT", "RIGHT")
    ),
    case("PRelu", floats(2, 3, 4, 4), floats(3, 1, 1)),
    case("PRelu", floats(2, 3), floats(1)),
    case("PRelu", whole(2, 3, dtype="int32"), whole(3, dtype="int32"), since=9),
    # Pow
    case("Pow", floats(2, 3, low=0.1), floats(3)),
    case("Pow", floats(2, 3), one(2, "float32")),
    case("Pow", floats(2, 3), one(3), since=12),
    case("Pow", floats(2, 3, low=0.1), one(0.5, "float64"), since=12),
    case("Pow", whole(2, 3, low=0), whole(3, low=0), since=12),
    case("Pow", whole(2, 3, low=0, dtype="int32"), floats(3, low=0), since=12),
    # Mod
    case("Mod", whole(3, 4, low=-20, high=20), ints(-7, -3, 4, 9)),
    case("Mod", whole(3, 4, low=-20, high=20), ints(-7, -3, 4, 9), fmod=1),
    case("Mod", floats(3, 4, low=-20, high=20), floats(4, low=1), fmod=1),
    case("Mod", floats(3, 4, low=-20, high=20), floats(4, low=-4, high=-1), fmod=1),
    case("Mod", whole(3, 4, low=0, high=200, dtype="uint8"), whole(4, low=1, dtype="uint8")),
    case("Mod", whole(3, 4, low=-50, high=50, dtype="int8"), whole(4, low=1, dtype="int8"), since=10),
    case("Mod", floats(3, 4, low=-20, high=20), floats(4, low=-4, high=-1), since=28),
    case("Mod", SPECIAL, floats(1, low=1), since=28),
    # many inputs
    *(case(name, floats(2, 3), floats(2, 3, seed=1), floats(2, 3, seed=2)) for name in ("Max", "Min", "Mean", "Sum")),
    *(case(name, floats(2, 3)) for name in ("Max", "Min", "Mean", "Sum")),
    *(case(name, floats(2, 3, 4), floats(3, 1), floats(4), since=8) for name in ("Max", "Min", "Mean", "Sum")),
    *(case(name, SPECIAL[:, None], SPECIAL, since=8) for name in ("Max", "Min")),
    *(case(name, whole(3, 4), whole(4), since=12) for name in ("Max", "Min")),
    *(
        case(name, whole(3, 4, low=0, dtype="uint64"), whole(4, low=0, dtype="uint64"), since=12)
        for name in ("Max", "Min")
    ),
    # Clip
    case("Clip", floats(3, 4), min=-0.5, max=0.7, until=10),
    case("Clip", floats(3, 4), max=0.7, until=10),
    case("Clip", floats(3, 4), until=10),
    case("Clip", floats(3, 4), one(-0.5, "float32"), one(0.7, "float32"), since=11),
    case("Clip", floats(3, 4), None, one(0.7, "float32"), since=11),
    case("Clip", floats(3, 4), one(-0.5, "float32"), since=11),
    case("Clip", floats(3, 4), since=11),
    case("Clip", floats(3, 4), one(0.5, "float32"), one(-0.5, "float32"), since=12),
    case("Clip", whole(3, 4, dtype="int8"), one(-2, "int8"), one(2, "int8"), since=12),
    case("Clip", whole(3, 4, low=0, dtype="uint64"), one(1, "uint64"), one(3, "uint64"), since=12),
    # choice and types
    case("Where", truths(3, 1), floats(2, 3, 4), floats(4)),
    case("Where", truths(3, 4), whole(3, 4), one(7)),
    case("Where", truths(3, 4), whole(3, 4, low=0, dtype="uint8"), one(7, "uint8"), since=16),
    *(
        case("Cast", floats(3, 4, low=-100, high=100), to=code)
        for code in (
            TensorProto.INT32,
            TensorProto.INT64,
            TensorProto.INT8,
            TensorProto.DOUBLE,
            TensorProto.FLOAT16,
            TensorProto.BOOL,
        )
    ),
    case("Cast", floats(3, 4, low=0, high=200), to=TensorProto.UINT8),
    case("Cast", whole(3, 4, low=0, high=60000), to=TensorProto.UINT16),
    case("Cast", whole(3, 4), to=TensorProto.FLOAT),
    case("Cast", truths(3, 4), to=TensorProto.FLOAT),
    case("Cast", SPECIAL, to=TensorProto.BOOL),
    case("Cast", floats(3, 4), to=TensorProto.BFLOAT16, since=13),
    case("Cast", whole(3, 4, low=-70000, high=70000), to=TensorProto.INT16),
    case("Cast", floats(3, 4), to=TensorProto.INT32, saturate=1, since=19),
    case("Cast", floats(3, 4), to=TensorProto.INT32, round_mode="down", since=24),
    case("CastLike", floats(3, 4), ints(1)),
    case("CastLike", whole(3, 4), floats(1)),
    case("CastLike", floats(3, 4), ints(1), saturate=0, since=19),
    case("CastLike", floats(3, 4), ints(1), round_mode="nearest", since=24),
    case("BitCast", floats(3, 4), to=TensorProto.INT32),
    case("BitCast", whole(3, 4), to=TensorProto.DOUBLE),
    case("BitCast", whole(3, 4, dtype="int32"), to=TensorProto.FLOAT),
]
