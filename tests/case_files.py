"""Case files: a model, a batch and options in one JSON document, examined as a caller's upload would be.

`tests/cases/<CODE>/{sick,healthy}.json` hold one document each:

    {"model": {…}, "batch": {…}, "options": {…}}

`model` is a description of the project's own.  `batch` gives each array as nested lists, or as a law to draw it by:
`{"law": "normal", "std": 1000}`, `{"law": "classes", "of": 4}`, `{"law": "uniform", "low": 0, "high": 1}`; `samples`
says how many (64), and `poison` puts a number that JSON cannot hold, `"nan"` or `"inf"`, into one sample.
`"export": "training"` hands the model in as an ONNX file; `"folded"` as one whose batch norms are folded into the
convolutions before them, with the names that torch's exporter gives for inference.  A model that no description can say
stands in onnx's own notation under `onnx`: its `signature`, its `body`, and the shapes of `weights` to be drawn (or
whole numbers, under `constants`); `model` then only says the input's shape.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from service.contract.architecture import parse
from service.contract.options import Options
from service.contract.report import Report
from tests.odd_models import graph, normal
from worker.budget import Deadline
from worker.examine import examine
from worker.load.architecture import lower
from worker.load.subject import load
from worker.network.export import to_onnx
from worker.network.graph import Graph, Node, Parameter
from worker.probe.evidence import TELLING_STEPS
from worker.probe.training import LEARNT, Ask
from worker.trial import Bench, Examined, measured

CASES = Path(__file__).parent / "cases"


def read(code: str, kind: str) -> dict[str, Any]:
    """Return a case's document; FileNotFoundError names the file that a rule lacks."""
    document: dict[str, Any] = json.loads((CASES / code / f"{kind}.json").read_text(encoding="utf-8"))
    return document


def examined(case: dict[str, Any], folder: Path, **options: Any) -> Report:  # noqa: ANN401
    """Return the report of a case, its files written to `folder`; nothing is treated unless `options` say so."""
    return examine(*files(case, folder, **options))


def bench(case: dict[str, Any], folder: Path) -> Bench:
    """Return a case's first draw, measured, ready for treatments to be tried on it."""
    model, batch, options = files(case, folder)
    subject = load(model, batch, options, {}, torch.device("cpu")).subject
    deadline = Deadline.after(1e9)
    steps = options.steps or TELLING_STEPS
    evidence = measured(subject, Ask(steps, both=True, goal=LEARNT), deadline)
    return Bench(Examined.of([subject], [evidence]), steps, deadline)


def files(case: dict[str, Any], folder: Path, **options: Any) -> tuple[Path, Path | None, Options]:  # noqa: ANN401
    """Write a case's model and batch to `folder`, and return them with its options."""
    model, batch = _model(case, folder), None
    if "batch" in case:
        batch = folder / "batch.npz"
        np.savez(batch, **arrays(case["batch"], case["model"]["input"]))  # type: ignore[arg-type]
    return model, batch, Options.model_validate({"treat": False, **case.get("options", {}), **options})


def _model(case: dict[str, Any], folder: Path) -> Path:
    """Write the model in the form that the case asks for."""
    if "onnx" in case:
        return _written(case["onnx"], folder / "model.onnx")
    described = json.dumps(case["model"])
    if "export" not in case:
        path = folder / "model.json"
        path.write_text(described, encoding="utf-8")
        return path
    path, lowered = folder / "model.onnx", lower(parse(described.encode()), seed=0)
    path.write_bytes(to_onnx(_folded(lowered) if case["export"] == "folded" else lowered).SerializeToString())
    return path


def _written(text: dict[str, Any], path: Path) -> Path:
    """Write a model that is given in onnx's own notation."""
    tensors = {name: normal(*shape, std=shape[0] ** -0.5) for name, shape in text["weights"].items()}
    tensors |= {name: np.asarray(value) for name, value in text.get("constants", {}).items()}
    path.write_bytes(graph(text["signature"], text["body"], tensors).SerializeToString())
    return path


def _folded(given: Graph) -> Graph:
    """Return the graph with each batch norm, whose statistics are fresh, folded into the convolution before it."""
    producers = given.producers()
    norms = {node.outputs[0]: producers[node.inputs[0]] for node in given.nodes if node.op == "BatchNormalization"}
    nodes, parameters = [], dict(given.parameters)
    for node in given.nodes:
        if node.op == "BatchNormalization":
            convolution = norms[node.outputs[0]]
            kernel, bias = (f"onnx::Conv_{len(parameters) + index}" for index in range(2))
            parameters[kernel] = parameters.pop(convolution.inputs[1])
            parameters[bias] = Parameter(given.parameters[node.inputs[2]].value)
            inputs = (convolution.inputs[0], kernel, bias)
            nodes.append(Node("Conv", inputs, node.outputs, convolution.name, convolution.attributes))
        elif node not in norms.values():
            nodes.append(node)
    return given.replace(nodes=tuple(nodes), parameters=parameters)


def arrays(batch: dict[str, Any], given: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return the arrays that a case's batch stands for."""
    generator = np.random.default_rng(0)
    samples = batch.get("samples", 64)
    shapes = {"input": (samples, *given["shape"]), "target": (samples, *batch.get("target_shape", ()))}
    drawn = {name: _array(batch.get(name, {"law": "normal"}), shapes[name], generator) for name in ("input", "target")}
    if "poison" in batch:
        drawn["input"].reshape(samples, -1)[batch["poison"]["sample"], 0] = float(batch["poison"]["value"])
    return drawn if "target" in batch else {"input": drawn["input"]}


def _array(spec: Any, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:  # noqa: ANN401
    if isinstance(spec, list):
        return np.asarray(spec)
    if spec["law"] == "classes":
        return generator.integers(spec["of"], size=shape)
    if spec["law"] == "uniform":
        return generator.uniform(spec["low"], spec["high"], shape).astype(np.float32)
    return (spec.get("mean", 0) + spec.get("std", 1) * generator.standard_normal(shape)).astype(np.float32)
