"""What it takes to import a large model: seconds and peak memory beside torch itself, each in a process of its own.

    python benchmarks/loading.py [MiB]

`read` is the import alone; `load` also draws a batch and runs it once; `examine` is a quick examination, to the end.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import numpy as np
from onnx import ModelProto, TensorProto, helper, save

MIB = 2**20
BATCH, CLASSES = 8, 10


def chain(widths: list[int], rng: np.random.Generator) -> ModelProto:
    """Return products with matrices of these widths, from x to y."""
    nodes, held = [], []
    for place, (rows, columns) in enumerate(pairwise(widths)):
        numbers = rng.standard_normal((rows, columns), np.float32) / rows**0.5
        held.append(helper.make_tensor(f"w{place}", TensorProto.FLOAT, (rows, columns), numbers.tobytes(), raw=True))
        nodes.append(helper.make_node("MatMul", [f"v{place}", f"w{place}"], [f"v{place + 1}"]))
    ends = [("v0", widths[0]), (nodes[-1].output[0], widths[-1])]
    given, made = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width]) for name, width in ends)
    graph = helper.make_graph(nodes, "chain", [given], [made], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def one(size: int) -> ModelProto:
    """Return a model of one large matrix."""
    return chain([1024, size // 4096], np.random.default_rng(0))


def many(size: int) -> ModelProto:
    """Return a model of four hundred matrices."""
    width = int((size / 1600) ** 0.5)
    return chain([width] * 401, np.random.default_rng(0))


MODELS: Mapping[str, tuple[Callable[[int], ModelProto], bool]] = {
    "one matrix": (one, False),
    "400 matrices": (many, False),
    "one matrix, external": (one, True),
    "400 matrices, external": (many, True),
}
DATA = "weights.bin"


def memory(what: str) -> int:
    """Return what the kernel says of this process's memory, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))


def measure(stage: str, model: Path, data: Path | None = None) -> dict[str, float]:
    """Return what one stage takes in this process, which must be fresh."""
    import torch  # noqa: PLC0415  only the measured process needs it

    from service.contract.options import Options  # noqa: PLC0415
    from service.contract.words import Depth  # noqa: PLC0415
    from worker.examine import examine  # noqa: PLC0415
    from worker.load.onnx import read  # noqa: PLC0415
    from worker.load.subject import load  # noqa: PLC0415

    if stage != "read":
        from worker.examine import examine  # noqa: PLC0415
        from worker.load.subject import load  # noqa: PLC0415

    torch.set_num_threads(1)
    external = {} if data is None else {DATA: data}
    options = Options(depth=Depth.QUICK, steps=2, seeds=1, time_limit_s=30)
    stages: dict[str, Callable[[], object]] = {
        "read": lambda: read(model, external),
        "load": lambda: load(model, None, options, external, torch.device("cpu")),
        "examine": lambda: examine(model, None, options, external=external),
    }
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark falls back to what is held now
    before = memory("VmRSS")
    start = perf_counter()
    kept = stages[stage]()
    seconds = perf_counter() - start
    peak = memory("VmHWM") - before
    del kept
    size = sum(path.stat().st_size for path in (model, *external.values()))
    return {"seconds": round(seconds, 3), "peak_mib": round(peak / MIB, 1), "peak_by_size": round(peak / size, 2)}


def apart(stage: str, model: Path, external: Path | None) -> dict[str, float]:
    """Return what one stage takes in a fresh process."""
    command = [sys.executable, __file__, "--stage", stage, str(model), *([str(external)] if external else [])]
    done = subprocess.run(  # noqa: S603  this very script
        command, check=True, stdout=subprocess.PIPE
    )
    return json.loads(done.stdout)


def main(size: int) -> None:
    """Print the table as JSON."""
    rows = {}
    for name, (make, external) in MODELS.items():
        with tempfile.TemporaryDirectory() as folder:
            path, data = Path(folder, "model.onnx"), Path(folder, DATA) if external else None
            save(make(size * MIB), path, save_as_external_data=external, location=DATA)
            rows[name] = {stage: apart(stage, path, data) for stage in ("read", "load", "examine")}
    print(json.dumps({"benchmark": "loading", "mib": size, "models": rows}, indent=2))


if __name__ == "__main__":
    if "--stage" in sys.argv:
        print(json.dumps(measure(sys.argv[2], *map(Path, sys.argv[3:]))))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
