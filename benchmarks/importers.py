"""Our interpreter beside the importers of ONNX files on PyPI: ONNX's own suite and exported networks through each.

    python benchmarks/importers.py [importer …]

The others are installed into build/importers and nowhere else.  torchvision, which they ask for at import, has no build
for a torch without CUDA on PyPI: where it is missing a stand-in takes its place, and the few cases that need it fail.
Each importer runs in a process of its own, each case with a time limit.  An exported network is right where its outputs
and every parameter's gradient that the file still holds are torch's, to a part in a thousand.  Prints JSON.
"""

import copy
import json
import logging
import signal
import subprocess
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import torch
from architectures import NETWORKS
from architectures.comparing import by_value, compared, gradients_of, worst
from architectures.exporting import export, spread
from onnx import ModelProto
from onnx.backend.base import Backend, BackendRep
from torch import Tensor, nn
from torch.func import functional_call

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "network"))

from suite import cases, verdict

from worker.load.onnx import interpret
from worker.network.backend import TorchBackend
from worker.network.run import Program

PLACE = Path(__file__).parents[1] / "build" / "importers"
OTHERS = {"onnx2torch": "1.5.15", "onnx2pytorch": "0.6.0"}
CATEGORIES = ("float", "int/bool", "light")
EXPORTS = {"torchscript": 13, "dynamo": 18}
CLOSE = 1e-3
LIMIT_S = 60


class Converted(BackendRep):
    """A model as somebody's torch module."""

    def __init__(self, module: nn.Module) -> None:
        """Take the module."""
        self.module = module

    def run(self, inputs: Sequence[np.ndarray], **_kwargs: object) -> tuple[Any, ...]:
        """Return the module's outputs."""
        with torch.no_grad():
            found = self.module(*(torch.from_numpy(np.array(each)) for each in inputs))
        listed = found if isinstance(found, (list, tuple)) else [found]
        return tuple(each.numpy() if isinstance(each, Tensor) else each for each in listed)


class Onnx2Torch(Backend):
    """github.com/ENOT-AutoDL/onnx2torch."""

    @classmethod
    def prepare(cls, model: ModelProto, _device: str = "CPU", **_kwargs: object) -> Converted:
        """Return the model as a module."""
        import onnx2torch  # noqa: PLC0415  installed for this script alone

        return Converted(onnx2torch.convert(model).eval())


class Onnx2Pytorch(Backend):
    """github.com/Talmaj/onnx2pytorch."""

    @classmethod
    def prepare(cls, model: ModelProto, _device: str = "CPU", **_kwargs: object) -> Converted:
        """Return the model as a module."""
        import onnx2pytorch  # noqa: PLC0415  installed for this script alone

        return Converted(onnx2pytorch.ConvertModel(model, experimental=True).eval())


IMPORTERS = {"gradgate": TorchBackend, "onnx2torch": Onnx2Torch, "onnx2pytorch": Onnx2Pytorch}


def judged(importer: str) -> dict[str, object]:
    """Return how many cases of each category give the suite's outputs."""
    signal.signal(signal.SIGALRM, _late)
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for key, case in cases().items():
        if case.category in CATEGORIES:
            signal.alarm(LIMIT_S)
            right = verdict(key, IMPORTERS[importer]).status == "pass"
            signal.alarm(0)
            counts[case.category].update({"cases": 1, "right": right})
    return {"importer": importer, **{name: dict(counts[name]) for name in CATEGORIES}, "exported": exported(importer)}


def exported(importer: str) -> dict[str, int]:
    """Return how many networks, exported by both of torch's exporters, compute and differentiate as torch's."""
    counts: Counter[str] = Counter()
    for name in NETWORKS:
        for exporter, opset in EXPORTS.items():
            network, batch = spread(NETWORKS[name].make()).eval(), NETWORKS[name].batch()
            try:
                model = export(copy.deepcopy(network), batch, exporter, opset)
            except Exception:  # noqa: BLE001, S112  what an exporter cannot write is nobody's to read
                continue
            counts["files"] += 1
            counts["right"] += _is_right(importer, network, batch, model)
    return dict(counts)


def _is_right(importer: str, network: nn.Module, batch: tuple[Tensor, ...], model: ModelProto) -> bool:
    signal.alarm(LIMIT_S)
    try:
        ours, held = (_ours if importer == "gradgate" else _theirs)(importer, model, batch)
        result = network(*batch)
        outputs = list(result) if isinstance(result, tuple) else [result]
        leaves = dict(network.named_parameters())
        cotangents = [torch.randn_like(each) for each in outputs]
        wanted = dict(zip(leaves, gradients_of(outputs, list(leaves.values()), cotangents), strict=True))
        found = dict(zip(held, gradients_of(ours, list(held.values()), cotangents), strict=True))
        error, matched, _ = compared(leaves, wanted, by_value(held, found))
    except Exception:  # noqa: BLE001  however an importer fails, the network is not right
        return False
    finally:
        signal.alarm(0)
    return matched > 0 and error <= CLOSE and worst(ours, outputs) <= CLOSE


def _ours(_importer: str, model: ModelProto, batch: tuple[Tensor, ...]) -> tuple[list[Tensor], dict[str, Tensor]]:
    graph = interpret(model)
    held = {name: each.value.clone().requires_grad_() for name, each in graph.parameters.items()}
    found = Program(graph).run(dict(zip((each.name for each in graph.inputs), batch, strict=True)), held)
    return list(found.values()), held


def _theirs(importer: str, model: ModelProto, batch: tuple[Tensor, ...]) -> tuple[list[Tensor], dict[str, Tensor]]:
    module = IMPORTERS[importer].prepare(model).module
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    held = {name: each.detach().clone().requires_grad_() for name, each in tensors.items() if each.is_floating_point()}
    found = functional_call(module, held, batch)
    return list(found) if isinstance(found, (list, tuple)) else [found], held


def _late(_signal: int, _frame: FrameType | None) -> None:
    msg = f"took longer than {LIMIT_S} s"
    raise TimeoutError(msg)


def install() -> None:
    """Install the others where only this script looks."""
    if not PLACE.exists():
        pinned = [f"{name}=={version}" for name, version in OTHERS.items()]
        command = [sys.executable, "-m", "pip", "install", "-qq", "--no-deps", "--target", str(PLACE), *pinned]
        subprocess.run(command, check=True)  # noqa: S603  the names stand above


def alone(importer: str) -> dict[str, object]:
    """Return what `judged` does in a process of its own."""
    command = [sys.executable, __file__, "--alone", importer]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  this script again
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print how each importer does."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    if sys.argv[1:2] == ["--alone"]:
        sys.path.append(str(PLACE))
        if find_spec("torchvision") is None:
            sys.modules.update({name: MagicMock() for name in ("torchvision", "torchvision.ops", "torchvision.io")})
        print(json.dumps(judged(sys.argv[2])))
        return
    install()
    rows = [alone(importer) for importer in sys.argv[1:] or IMPORTERS]
    print(json.dumps({"benchmark": "importers", "torch": torch.__version__, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
