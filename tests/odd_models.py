"""Models and batches that are odd and still valid, or nearly.

Graphs stand in onnx's own notation; weights and batches are drawn by shape, so that a case depends on no other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.parser import parse_model

from service.contract.options import Options
from service.contract.problem import Trouble
from service.contract.words import LossName, Verdict

Arrays = Mapping[str, np.ndarray]
SIZE = 40


@dataclass(frozen=True)
class Odd:
    """A model, its batch and options; what must come of them."""

    model: onnx.ModelProto | dict[str, Any]
    batch: Arrays | None
    options: Options
    outcome: Verdict | type[Trouble] | None
    """The verdict, or what the upload is refused with; None where either verdict would do."""
    code: str
    """A finding that must be among the report's."""
    reads: LossName | None
    """The loss that must be read off output and target."""


def odd(
    model: onnx.ModelProto | dict[str, Any],
    batch: Arrays | None = None,
    outcome: Verdict | type[Trouble] | None = None,
    code: str = "",
    reads: LossName | None = None,
    **options: Any,  # noqa: ANN401
) -> Odd:
    """Return a case of five steps in which nothing is treated, unless `options` say so."""
    chosen = Options.model_validate({"steps": 5, "treat": False, **options})
    return Odd(model, batch, chosen, outcome, code, reads)


def normal(*shape: int, std: float = 1.0, seed: int = 0) -> np.ndarray:
    """Return numbers from a normal law that follow shape and seed alone."""
    return (std * np.random.default_rng([seed, *shape]).standard_normal(shape)).astype(np.float32)


def classes(*shape: int, of: int = 3) -> np.ndarray:
    """Return classes."""
    return np.random.default_rng([of, *shape]).integers(of, size=shape)


def one_hot(*shape: int) -> np.ndarray:
    """Return a row of three numbers, one of them 1, for each class drawn."""
    return np.eye(3, dtype=np.float32)[classes(*shape)]


def graph(signature: str, body: str, weights: Arrays, opset: int = 17) -> onnx.ModelProto:
    """Return a model of these nodes, weights and opset."""
    model = parse_model(f'<ir_version: 8, opset_import: ["": {opset}]> g {signature} {{ {body} }}')
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(each), name) for name, each in weights.items())
    return model


def weights(outputs: int = 3, std: float = 0.5, **others: np.ndarray) -> dict[str, np.ndarray]:
    """Return the weights of a network with six inputs and eight hidden units, and others."""
    sizes = {"w1": (6, 8), "b1": (8,), "w2": (8, outputs), "b2": (outputs,)}
    return {**{name: normal(*size, std=std) for name, size in sizes.items()}, **others}


def dense(
    end: str = "",
    outputs: int = 3,
    *,
    given: str = "float[N,6] x",
    result: str = "",
    before: str = "x1 = Identity(x)",
    hidden: str = "Relu(h)",
    opset: int = 17,
    **others: np.ndarray,
) -> onnx.ModelProto:
    """Return a network of one hidden layer from x to y; `end` computes y from z."""
    body = f"{before} h = Gemm(x1, w1, b1) a = {hidden} z = Gemm(a, w2, b2) {end or 'y = Identity(z)'}"
    return graph(f"({given}) => ({result or f'float[N,{outputs}] y'})", body, weights(outputs, **others), opset)


def described(*layers: dict[str, Any], shape: tuple[int, ...] = (6,)) -> dict[str, Any]:
    """Return a description."""
    return {"gradgate": "1", "input": {"shape": list(shape)}, "layers": list(layers)}


def images(end: str = "y = Identity(p)") -> onnx.ModelProto:
    """Return a network whose classes come as channels of one pixel, as SqueezeNet's do; `end` computes y from p."""
    body = f"h = Conv(x, c1, b) a = Relu(h) k = Conv(a, c2) p = GlobalAveragePool(k) {end}"
    kernels = {"c1": normal(8, 3, 3, 3), "b": normal(8), "c2": normal(5, 8, 1, 1)}
    return graph("(float[N,3,6,6] x) => (float[N,5,1,1] y)", body, kernels)


def x(*shape: int, std: float = 1.0, **others: np.ndarray) -> dict[str, np.ndarray]:
    """Return a batch of normal inputs x, and others."""
    return {"x": normal(*(shape or (SIZE, 6)), std=std, seed=1), **others}


def full(value: float, *shape: int) -> np.ndarray:
    """Return one number all over."""
    return np.full(shape, value, np.float32)


CLASSES = classes(SIZE)
SQUEEZED = dense("y = Squeeze(z, axes)", 1, result="float[N] y", axes=np.array([1]))
TWO = dense("q = Gemm(a, w3)", result="float[N,1] q, float[N,3] z", w3=normal(8, 1))
TO_ONE = dense("y = ReduceMean<keepdims = 0>(z)", result="float y")
SCALED = {"given": "float[N,6] x, float s", "before": "x1 = Mul(x, s)"}
PIXELS, SHARES = images(), images("y = Softmax<axis = 1>(p)")
STEPS = {"w1": normal(6, 8), "w2": normal(8, 3)}
SEQUENCE = graph(
    "(float[N,4,6] x) => (float[N,4,3] y)",
    "h = MatMul(x, w1) a = Relu(h) z = MatMul(a, w2) y = Softmax<axis = -1>(z)",
    STEPS,
)
FOLDED = dense(given="float[N,4,6] x", result="float[M,3] y", before="x1 = Reshape(x, s)", s=np.array([-1, 6]))
RNN = graph(
    "(float[N,7,6] x) => (float[N,3] y)",
    "t = Transpose<perm = [1, 0, 2]>(x) s, l = RNN<hidden_size = 8>(t, w, r) m = Squeeze(l, axes) y = MatMul(m, w2)",
    {"w": normal(1, 8, 6), "r": normal(1, 8, 8), "axes": np.array([0]), "w2": normal(8, 3)},
)
ATTENTION = graph(
    "(float[N,5,8] x) => (float[N,3] y)",
    "q = MatMul(x, w) k = Transpose<perm = [0, 2, 1]>(q) s = MatMul(q, k) m = Add(s, mask) p = Softmax<axis = -1>(m) "
    "o = MatMul(p, q) e = ReduceMean<axes = [1], keepdims = 0>(o) y = MatMul(e, w2)",
    {"w": normal(8, 8), "mask": np.triu(full(-np.inf, 5, 5), 1), "w2": normal(8, 3)},
)
COPIES = graph(
    "(float[N,4,3,3] x) => (float[N,1,7,7] y)",
    "h = ConvTranspose(x, c1) a = Relu(h) y = ConvTranspose(a, c2)",
    {"c1": np.repeat(normal(4, 1, 3, 3), 6, 1), "c2": np.repeat(normal(1, 1, 3, 3), 6, 0)},
)
LAYER, RELU = {"kind": "dense", "units": 8}, {"kind": "relu"}
NAMES = onnx.load_model_from_string(
    dense(
        "x_mean = Identity(z)",
        result="float[N,3] x_mean",
        before="x_centred = Mul(x, x_std) x1 = Identity(x_centred)",
        x_std=full(1, 6),
    )
    .SerializeToString()
    .replace(b"x_", b"x.")
)
"""Names as a treatment would give them; onnx's notation has no dots."""
