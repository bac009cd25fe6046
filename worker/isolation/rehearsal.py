"""The rehearsal: before the first order, a fork examines two small models and names what it had to import for that.

The zygote imports the same, so that no child has to; torch alone brings hundreds of modules at the first step of an
optimizer.  The fork is thrown away: what an examination starts besides (threads, CUDA) never happens in the zygote.
"""

import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NoReturn

import structlog
from onnx import TensorProto, helper

from service.contract.options import Options
from service.contract.words import Depth
from service.kin import die_with_parent

_LONGEST_S: Final = 60
_OPTIONS: Final = Options(depth=Depth.QUICK, steps=2, seeds=1, time_limit_s=10)
_CHAIN: Final = {
    "gradgate": "1",
    "input": {"shape": [4]},
    "layers": [{"kind": "dense", "units": 4}, {"kind": "sigmoid"}, {"kind": "dense", "units": 2}],
}
_APART: Final = "onnxruntime"
"""Starts a thread when it is imported."""

log = structlog.get_logger(__name__)


def rehearse(entry: str) -> None:
    """Import what `entry` (`module:function`) imports while it examines."""
    reading, writing = os.pipe()
    parent = os.getpid()
    if not (child := os.fork()):
        die_with_parent(parent)
        _perform(entry, writing)
    os.close(writing)
    with os.fdopen(reading) as names:
        for name in names.read().split():
            with suppress(Exception):  # a part of it failed in the fork as well
                import_module(name)
    os.waitpid(child, 0)


def _perform(entry: str, writing: int) -> NoReturn:
    """Examine, name the modules that this has brought, and end."""
    signal.alarm(_LONGEST_S)
    try:
        known = set(sys.modules)
        module, _, name = entry.partition(":")
        examine = getattr(import_module(module), name)
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            for model in _models():
                _try(examine, model)
        brought = (name for name in list(sys.modules) if name not in known and not name.startswith(_APART))
        with os.fdopen(writing, "w") as names:
            names.write("\n".join(brought))
    finally:
        os._exit(0)


def _try(examine: Callable[..., Any], content: bytes) -> None:
    model = Path("model")
    model.write_bytes(content)
    try:
        examine(model, None, _OPTIONS)
    except Exception as error:  # noqa: BLE001  then children find less loaded, and tell the same
        log.warning("rehearsal failed", error=f"{type(error).__name__}: {error}")


def _models() -> Iterator[bytes]:
    yield json.dumps(_CHAIN).encode()
    weight = helper.make_tensor("w", TensorProto.FLOAT, [4, 2], [0.1] * 8)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "rehearsal",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    yield bytes(model.SerializeToString())
