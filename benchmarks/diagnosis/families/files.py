"""Models that come as ONNX files: trained, frozen, quantized, tied, with numbers that break and gradients that end."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
from onnx import TensorProto
from torch import nn

from benchmarks.diagnosis.case import Case
from benchmarks.diagnosis.families.draw import Draw, Made, Variant, built, chain
from benchmarks.diagnosis.families.layers import act, conv, dense, trunk
from benchmarks.diagnosis.families.tasks import CLASSES, FEATURES, clusters, images, sentences
from benchmarks.diagnosis.families.writing import File, exported, trained

_CUT = ("no_gradient", "structure_fault")
_BROKEN = ("non_finite",)


def finished(draw: Draw) -> Made:
    """Return a classifier trained to convergence."""
    layers = [*trunk(draw.deep(3, 4), draw.width, "relu", "he_normal"), dense(CLASSES)]
    return trained(chain(layers, clusters(draw)), draw.seed)


def finished_images(draw: Draw) -> Made:
    """Return a convolutional network trained to convergence."""
    filters = draw.width // 6
    layers = [conv(filters), act("relu"), conv(filters), act("relu"), act("global_avg_pool"), dense(CLASSES)]
    return trained(chain(layers, images(draw)), draw.seed, rate=1e-2)


def half_finished(draw: Draw) -> Made:
    """Return a classifier that has begun to learn."""
    layers = [*trunk(3, draw.width, "tanh", "xavier_normal"), dense(CLASSES)]
    return trained(chain(layers, clusters(draw)), draw.seed, steps=5)


def frozen(draw: Draw) -> Made:
    """Return a network whose first layers are frozen: torch lists them as buffers."""
    file = File(draw, clusters(draw))
    width = draw.width
    value = file.hidden("input", "body0", FEATURES, width)
    value = file.hidden(value, "body1", width, width)
    value = file.hidden(value, "head0", width, width)
    held = tuple(f"body{index}.{part}" for index in range(2) for part in ("weight", "bias"))
    return file.made(file.dense(value, "head1", width, CLASSES, gain=1), frozen=held)


def quantized(draw: Draw) -> Made:
    """Return a network whose first layers are 8-bit numbers behind scales, and whose head is float."""
    file = File(draw, clusters(draw))
    value, before = "input", FEATURES
    for index in range(2):
        value = file.node("Relu", file.node("MatMul", value, _bytes(file, f"body{index}", before, draw.width)))
        before = draw.width
    value = file.hidden(value, "head0", before, draw.width)
    return file.made(file.dense(value, "head1", draw.width, CLASSES, gain=1))


def unused(draw: Draw) -> Made:
    """Return a network with tensors that nothing reads."""
    file = File(draw, clusters(draw))
    value = file.hidden("input", "fc0", FEATURES, draw.width)
    for index in range(3):
        file.weight(f"old{index}.weight", draw.width, draw.width)
    value = file.hidden(value, "fc1", draw.width, draw.width)
    return file.made(file.dense(value, "fc2", draw.width, CLASSES, gain=1))


def tied(draw: Draw) -> Made:
    """Return a language model whose output layer is the embedding's table, most rows of which no batch shows."""
    vocabulary, width = 64, draw.width // 2
    file = File(draw, sentences(draw, vocabulary=16))
    table = file.tensor("table", (draw.generator().standard_normal((vocabulary, width)) * 0.1).astype(np.float32))
    seen = file.node("Gather", table, "input", axis=0)
    wide = file.node("Relu", file.node("MatMul", seen, file.weight("up.weight", width, 2 * width)))
    deep = file.node("MatMul", wide, file.weight("down.weight", 2 * width, width, gain=1))
    value = file.node("Add", seen, deep)
    return file.made(file.node("MatMul", value, file.node("Transpose", table, perm=[1, 0])))


def straight_through(draw: Draw) -> Made:
    """Return a network that rounds in the middle and passes the gradient on: x + fixed(round x − x)."""
    file = File(draw, clusters(draw))
    value = file.node("Tanh", file.dense("input", "fc0", FEATURES, draw.width, gain=1))
    four, fine = (file.tensor(f"steps{factor}", np.float32([factor])) for factor in (4, 4096))
    coarse = file.node("Div", file.node("Round", file.node("Mul", value, four)), four)
    apart = file.node("Mul", file.node("Sub", coarse, value), fine)
    fixed = file.node("Cast", file.node("Cast", apart, to=TensorProto.INT32), to=TensorProto.FLOAT)
    value = file.node("Add", value, file.node("Div", fixed, fine))
    value = file.hidden(value, "fc1", draw.width, draw.width)
    return file.made(file.dense(value, "fc2", draw.width, CLASSES, gain=1))


def _bytes(file: File, name: str, before: int, units: int) -> str:
    """Add a matrix of 8-bit numbers behind its scale."""
    drawn = file.draw.generator().standard_normal((before, units)) * np.sqrt(2 / before)
    scale = np.abs(drawn).max() / 127
    whole = file.tensor(f"{name}.weight", np.clip(np.round(drawn / scale), -127, 127).astype(np.int8))
    return file.node(
        "DequantizeLinear",
        whole,
        file.tensor(f"{name}.scale", np.float32(scale)),
        file.tensor(f"{name}.zero", np.int8(0)),
    )


def masked(draw: Draw) -> Made:
    """Return a softmax over features, some of which a mask of large negative numbers leaves out."""
    file = File(draw, clusters(draw))
    value = file.dense("input", "fc0", FEATURES, draw.width)
    mask = np.where(np.arange(draw.width) % 3 == 0, -1e4, 0).astype(np.float32)
    shares = file.node("Softmax", file.node("Add", value, file.tensor("mask", mask)), axis=-1)
    value = file.node("Mul", shares, file.dense("input", "fc1", FEATURES, draw.width))
    scale = file.tensor("norm.scale", np.ones(draw.width, np.float32))
    shift = file.tensor("norm.shift", np.zeros(draw.width, np.float32))
    value = file.node("LayerNormalization", value, scale, shift, axis=-1)
    return file.made(file.dense(value, "fc2", draw.width, CLASSES, gain=1))


def in_the_middle(*operators: str) -> Callable[[Draw], Made]:
    """Return the maker of a classifier with these operators after its first layer."""

    def make(draw: Draw) -> Made:
        file = File(draw, clusters(draw))
        value = file.dense("input", "fc0", FEATURES, draw.width)
        for operator in operators:
            value = file.node(operator, value)
        value = file.hidden(value, "fc1", draw.width, draw.width)
        return file.made(file.dense(value, "fc2", draw.width, CLASSES, gain=1))

    return make


def picked(draw: Draw) -> Made:
    """Return a network that turns its first layers' answer into a class, and goes on from that."""
    file = File(draw, clusters(draw))
    value = file.hidden("input", "fc0", FEATURES, draw.width)
    value = file.dense(value, "fc1", draw.width, 8)
    chosen = file.node("ArgMax", value, axis=1, keepdims=0)
    value = file.node("Gather", file.weight("table", 8, draw.width), chosen, axis=0)
    return file.made(file.dense(value, "fc2", draw.width, CLASSES, gain=1))


def over_the_batch(draw: Draw) -> Made:
    """Return a classifier whose softmax runs over the samples."""
    file = File(draw, clusters(draw))
    value = file.hidden("input", "fc0", FEATURES, draw.width)
    value = file.dense(value, "fc1", draw.width, CLASSES, gain=1)
    return file.made(file.node("Log", file.node("Softmax", value, axis=0)), loss="nll")


def root_of_zero(draw: Draw) -> Made:
    """Return a network with √x² of what is zero for samples that are padding: 0 · ∞ on the way back."""
    batch = clusters(draw)
    values = batch["input"].copy()
    values[::16] = 0
    file = File(draw, {**batch, "input": values})
    value = file.node("MatMul", "input", file.weight("fc0.weight", FEATURES, draw.width))
    value = file.node("Sqrt", file.node("Mul", value, value))
    value = file.hidden(value, "fc1", draw.width, draw.width)
    return file.made(file.dense(value, "fc2", draw.width, CLASSES, gain=1))


def hidden_row(draw: Draw) -> Made:
    """Return a softmax whose mask leaves nothing of one sample in thirty-two: its row is −∞ throughout."""
    batch = clusters(draw)
    values = batch["input"].copy()
    values[::32, 0] = -50
    file = File(draw, {**batch, "input": values})
    first = file.node(
        "Slice", "input", *(file.tensor(name, np.int64([at])) for name, at in (("a", 0), ("b", 1), ("c", 1)))
    )
    gone = file.node("Less", first, file.tensor("limit", np.float32([-20])))
    mask = file.node("Where", gone, file.tensor("never", np.float32([-np.inf])), file.tensor("always", np.float32([0])))
    shares = file.node("Softmax", file.node("Add", file.dense("input", "fc0", FEATURES, draw.width), mask), axis=-1)
    return file.made(file.dense(shares, "fc1", draw.width, CLASSES, gain=1))


def module(draw: Draw) -> Made:
    """Return a convolutional network with batch norms as torch exports it."""
    filters = draw.width // 6

    def layers() -> Iterator[nn.Module]:
        for given, last in ((2, nn.MaxPool2d(2)), (filters, nn.Flatten())):
            yield from (nn.Conv2d(given, filters, 3, padding=1), nn.BatchNorm2d(filters), nn.ReLU(), last)

    return exported(lambda: nn.Sequential(*layers(), nn.Linear(16 * filters, CLASSES)), draw, images(draw))


def sigmoid_module(draw: Draw) -> Made:
    """Return ten layers of sigmoids with torch's own weights."""
    width = draw.width
    sizes = [FEATURES, *[width] * draw.deep(9, 11)]

    def make() -> nn.Module:
        hidden = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.Sigmoid())]
        return nn.Sequential(*hidden, nn.Linear(width, CLASSES))

    return exported(make, draw, clusters(draw))


_VARIANTS = (
    Variant("files/trained", finished, hard=True),
    Variant("files/trained-images", finished_images, hard=True),
    Variant("files/half-trained", half_finished, hard=True),
    Variant("files/frozen", frozen, hard=True),
    Variant("files/quantized", quantized, hard=True),
    Variant("files/unused", unused, hard=True),
    Variant("files/tied", tied, hard=True),
    Variant("files/straight-through", straight_through, hard=True),
    Variant("files/masked-softmax", masked, hard=True),
    Variant("files/torch-images", module),
    Variant("files/torch-sigmoid", sigmoid_module, ("vanishing_gradient", "poor_init_scale", "rank_collapse")),
    Variant("files/rounded", in_the_middle("Round"), _CUT, certain=True),
    Variant("files/picked", picked, _CUT, certain=True),
    Variant("files/softmax-over-batch", over_the_batch, ("loss_mismatch", "structure_fault"), hard=True, certain=True),
    Variant("files/log-of-relu", in_the_middle("Relu", "Log"), _BROKEN, certain=True),
    Variant("files/root-of-padding", root_of_zero, _BROKEN, hard=True, certain=True),
    Variant("files/empty-mask", hidden_row, _BROKEN, hard=True, certain=True),
)


def files() -> Iterator[Case]:
    """Yield the cases that are ONNX files."""
    yield from built(_VARIANTS)
