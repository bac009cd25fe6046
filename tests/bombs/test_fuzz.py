"""Small valid models, damaged at random, end in a trouble or in a graph that runs or says why not."""

import random
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import numpy as np
import onnx
import pytest
import torch
from google.protobuf.message import Message

from service.contract.problem import Trouble
from tests.bombs.bombs import model, whole
from tests.bombs.of_depth import tower
from worker.load.batch.drawing import drawn
from worker.load.onnx import read
from worker.network.run import Program

ROUNDS = 120
LONGEST_S = 2
MEMORY = 4 * 2**30
NUMBERS = (0, 1, -1, 2, 3, 7, 2**31, -(2**31), 2**40, 2**62, 2**63 - 1, -(2**63))
FLOATS = (0.0, 1.0, -1.0, float("inf"), float("nan"), 1e30)


def drawn_once(*shape: int) -> np.ndarray:
    """Return normal numbers."""
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


def called() -> onnx.ModelProto:
    """Return a model of functions that call functions."""
    made = model("h = F3(x) y = MatMul(h, w)", w=drawn_once(3, 3))
    made.graph.node[0].domain = "local"
    made.functions.extend(tower(4, 2))
    return made


MODELS = {
    "dense": model(
        "h = Gemm(x, w, b) a = Relu(h) n = LayerNormalization(a, b, b) y = MatMul(n, v)",
        w=drawn_once(3, 8), b=drawn_once(8), v=drawn_once(8, 3),
    ),
    "convolution": model(
        "h = Conv<pads = [1, 1, 1, 1]>(x, w, b) m = MaxPool<kernel_shape = [2, 2]>(h) "
        "n = BatchNormalization(m, b, b, b, q) y = GlobalAveragePool(n)",
        given="float[N,3,8,8] x", made="float[N,4,1,1] y",
        w=drawn_once(4, 3, 3, 3), b=drawn_once(4), q=np.ones(4, np.float32),
    ),
    "recurrence": model(
        "t = Transpose<perm = [1, 0, 2]>(x) s, l = LSTM<hidden_size = 4>(t, w, r) q = Squeeze(l, a) y = MatMul(q, v)",
        given="float[N,5,3] x", w=drawn_once(1, 16, 3), r=drawn_once(1, 16, 4), a=whole(0), v=drawn_once(4, 3),
    ),
    "branches": model(
        "s = ReduceSum<keepdims = 0>(x) c = Greater(s, z) y = If(c) <"
        "then_branch = a () => (float[N,3] u) { u = Relu(x) }, else_branch = e () => (float[N,3] v) { v = Add(x, t) }>",
        z=np.float32(0), t=drawn_once(3),
    ),
    "loop": model(
        "y = Loop<body = b (int64 i, bool c, float[N,3] v) => (bool d, float[N,3] w) "
        "{ d = Identity(c) w = Relu(v) }>(n, t, x)",
        n=np.int64(3), t=np.ones((), bool),
    ),
    "shapes": model(
        "s = Slice(x, a, b, c) e = Expand(s, n) p = Pad(e, q) k, i = TopK(p, m) r = Shape(k) f = Reshape(k, r) "
        "y = Concat<axis = 1>(f, k)",
        a=whole(0), b=whole(2), c=whole(1), n=whole(1, 1), q=whole(0, 0, 0, 1), m=whole(2),
    ),
    "functions": called(),
}  # fmt: skip


def fields(message: Message) -> Iterator[tuple[Message, object]]:
    """Yield every field that is set, of a message and of those in it."""
    for field, value in message.ListFields():
        yield message, field
        for inner in (value if field.is_repeated else [value]) if field.message_type else ():
            yield from fields(inner)


def other(value: object, source: random.Random) -> object:
    """Return another value of the same type."""
    if isinstance(value, bytes):
        return bytes(source.randrange(256) for _ in value)[: source.randrange(len(value) + 1)]
    if isinstance(value, str):
        return source.choice(("", "x", "y", "w", value + "x", "Relu", "Split", "Loop", "Gather", "pads", "axis"))
    return source.choice(FLOATS if isinstance(value, float) else NUMBERS)


def restructured(whole_one: onnx.ModelProto, source: random.Random) -> bytes:
    """Return a model with one to three fields changed, doubled or left out."""
    changed = onnx.ModelProto()
    changed.CopyFrom(whole_one)
    for _ in range(source.randint(1, 3)):
        message, field = source.choice(list(fields(changed)))
        value = getattr(message, field.name)
        with suppress(TypeError, ValueError):  # a value that protobuf does not take here
            if field.message_type:
                value.append(source.choice(list(value))) if field.is_repeated else message.ClearField(field.name)
            elif field.is_repeated:
                value[source.randrange(len(value))] = other(value[0], source)
            else:
                setattr(message, field.name, other(value, source))
    return bytes(changed.SerializeToString())


def scrambled(whole_one: onnx.ModelProto, source: random.Random) -> bytes:
    """Return a model's bytes, some of them changed or left out."""
    content = bytearray(whole_one.SerializeToString())
    for _ in range(source.randint(1, 5)):
        place = source.randrange(len(content))
        if source.random() < 0.6:
            content[place] = source.randrange(256)
        else:
            del content[place : place + source.randint(1, 5)]
    return bytes(content)


class Late(BaseException):
    """A run that takes longer than anyone waits for: an honest loop over billions."""


@contextmanager
def patience() -> Iterator[None]:
    """End what takes too long, without a word, and refuse what takes too much."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise Late

    before, memory = signal.signal(signal.SIGALRM, ring), resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, memory[1]))
    signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
    try:
        with suppress(Late):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_DATA, memory)


@pytest.mark.parametrize("damaged", [restructured, scrambled])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore")  # torch warns of what damaged models ask for
def test_damaged_models_end_in_trouble_or_in_values(name: str, damaged: object, tmp_path: Path) -> None:
    source, path = random.Random(f"{name} {damaged.__name__}"), tmp_path / "model.onnx"  # noqa: S311  no secret
    for _ in range(ROUNDS):
        path.write_bytes(damaged(MODELS[name], source))
        with patience(), suppress(Trouble):
            graph = read(path)
            values = Program(graph).run(drawn(graph, seed=0, size=2).inputs, generator=torch.Generator())
            assert set(values) == set(graph.outputs)
