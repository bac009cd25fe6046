"""Examinations that tests have a worker run in place of the real one: the model's bytes say what happens."""

import ctypes
import importlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import numpy as np
import onnx
import torch

from service.contract.options import Options
from service.contract.problem import UnreadableModel
from service.contract.report import BatchSection, Engine, Fidelity, LossSection, ModelSection, Report
from service.contract.words import LossName, Stage, Verdict

Progress = Callable[[Stage, float, str], None]


def examine(
    model: Path,
    batch: Path | None,
    options: Options,
    *,
    second: Path | None = None,
    job_id: str = "",
    created_at: datetime | None = None,
    external: Mapping[str, Path] = MappingProxyType({}),
    device: str = "cpu",
    treated: Path | None = None,
    progress: Progress = lambda *_: None,
) -> Report:
    """Do what the model says: `word argument`."""
    word, _, argument = model.read_text().partition(" ")
    if word not in ACTS:
        raise UnreadableModel(word)
    progress(Stage.PROBING, 0.25, "")
    progress(Stage.PROBING, 0.25, f"doing {word}")
    said = ACTS[word](argument)
    progress(Stage.REPORTING, 0.9, "")
    batches = " ".join(each.read_text() for each in (batch, second) if each)
    return report(job_id, created_at or datetime.now(UTC), said or f"{batches or None} {sorted(external)} {device}")


def report(job_id: str, created_at: datetime, summary: str) -> Report:
    """Return a report that says `summary`."""
    return Report(
        id=job_id,
        engine=Engine(version="0", torch=torch.__version__, device="cpu"),
        created_at=created_at,
        timing={},
        model=ModelSection(
            format="onnx", sha256="", nodes=0, parameters=0, trainable_parameters=0, inputs=(), outputs=()
        ),
        batch=BatchSection(sha256=None, size=0, inputs=(), synthetic=True),
        loss=LossSection(name=LossName.MSE, value=0, chance=0),
        fidelity=Fidelity(reference="", max_relative_error=None, compared=0, ok=True),
        verdict=Verdict.WARN,
        summary=summary,
        findings=(),
        remedies=(),
        profile=(),
    ).sealed()


def train(_: str) -> str:
    """Use torch as an examination does: forward, backward, a step, several threads."""
    layer = torch.nn.Linear(512, 512)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(512, 512)).square().mean().backward()
    optimizer.step()
    return f"{torch.get_num_threads()} threads"


def refuse(argument: str) -> None:
    """Find the model at fault."""
    raise UnreadableModel(argument, pointer="/layers/3")


def stumble(argument: str) -> None:
    """Raise what nobody expects."""
    raise KeyError(argument)


def die(argument: str) -> None:
    """End by a signal, as a broken kernel of some library would."""
    os.kill(os.getpid(), getattr(signal, argument))
    time.sleep(60)


def leave(argument: str) -> None:
    """End without a word."""
    os._exit(int(argument))


def hog(_: str) -> str:
    """Take 4 GiB by Python."""
    taken = bytearray(2**32)
    return f"{len(taken)}"


def hog_tensors(_: str) -> str:
    """Take 4 GiB by torch."""
    return f"{torch.ones(2**30).sum()}"


def gpu(_: str) -> str:
    """Multiply and differentiate on the GPU."""
    ones = torch.ones(4, 4, device="cuda", requires_grad=True)
    product = (ones @ ones).sum()
    product.backward()  # type: ignore[no-untyped-call]
    return f"{product.item()}"


def gpu_hog(_: str) -> None:
    """Take a terabyte of the GPU."""
    torch.ones(2**38, device="cuda")


def wait(argument: str) -> str:
    """Take a while."""
    time.sleep(float(argument))
    return "waited"


def fork(argument: str) -> str:
    """Leave a descendant behind that outlives its parent."""
    if not (child := os.fork()):
        time.sleep(float(argument))
        os._exit(0)
    return str(child)


def shout(_: str) -> None:
    """Say what is no progress."""
    raise RuntimeError("\n" * 10)


def try_(argument: str) -> str:
    """Try to get out, in the way that is named, and say what came of it."""
    try:
        ESCAPES[argument]()
    except OSError as error:
        return type(error).__name__
    return "escaped"


def _system() -> None:
    if ctypes.CDLL(None).system(b"true"):
        raise PermissionError


def _own() -> None:
    """Write and read where a child may."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"x")
    Path("folder").mkdir()
    Path("folder/file").write_text("x")
    Path("folder/file").rename("other")
    with Path("/dev/null").open("w") as void:
        void.write("x")
    importlib.import_module("xmlrpc.client")


def onnxruntime(_: str) -> str:
    """Run a model in a fork, as an examination does."""
    x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2]) for name in "xy")
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=9)
    reading, writing = os.pipe()
    if not os.fork():
        runtime = importlib.import_module("onnxruntime")
        session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        (answer,) = session.run(None, {"x": np.array([-1, 1], "float32")})
        os.write(writing, str(answer.tolist()).encode())
        os._exit(0)
    os.wait()
    return os.read(reading, 100).decode()


ESCAPES: dict[str, Callable[[], object]] = {
    "exec": lambda: subprocess.run(["/bin/true"], check=True),
    "leader": os.setsid,
    "own": _own,
    "system": _system,
    "inet": lambda: socket.socket(socket.AF_INET),
    "unix": lambda: socket.socket(socket.AF_UNIX),
    "read": lambda: Path("/etc/passwd").read_text(),
    "write": lambda: Path(f"/var/tmp/gradgate-{os.getpid()}").write_text("x"),  # noqa: S108
    "outside": lambda: Path("../outside").write_text("x"),
    "parent": lambda: os.kill(os.getppid(), 0),
    "environment": lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
}

ACTS: dict[str, Callable[[str], str | None]] = {
    "pass": lambda _: None,
    "train": train,
    "refuse": refuse,
    "stumble": stumble,
    "die": die,
    "leave": leave,
    "hog": hog,
    "hog_tensors": hog_tensors,
    "gpu": gpu,
    "gpu_hog": gpu_hog,
    "wait": wait,
    "fork": fork,
    "shout": shout,
    "onnxruntime": onnxruntime,
    "try": try_,
    "limits": lambda _: Path("/proc/self/limits").read_text(),
    "status": lambda _: Path("/proc/self/status").read_text(),
    "environment": lambda _: Path("/proc/self/environ").read_text(),
}
