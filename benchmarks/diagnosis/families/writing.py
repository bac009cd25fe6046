"""ONNX files written by hand, and descriptions trained and written as ONNX."""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from benchmarks.diagnosis.families.draw import Arrays, Draw, Made
from service.contract.architecture import Architecture
from worker.load import architecture
from worker.network.export import to_onnx
from worker.network.run import Program

OPSET: Final = 18
SIGNATURE: Final = "pkg.torch.export.ExportedProgram.graph_signature"
"""Where torch's exporter lists what is a parameter and what a buffer."""


class File:
    """A graph that grows node by node behind the input `input`; the last value is its output."""

    def __init__(self, draw: Draw, batch: Arrays) -> None:
        """Start an empty graph for this batch."""
        self.draw, self.batch = draw, batch
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self._generator = draw.generator()

    def weight(self, name: str, *shape: int, gain: float = 2.0) -> str:
        """Add a weight of variance `gain` / the first size."""
        drawn = self._generator.standard_normal(shape) * np.sqrt(gain / shape[0])
        return self.tensor(name, drawn.astype(np.float32))

    def tensor(self, name: str, values: np.ndarray) -> str:
        """Add a tensor."""
        self.tensors.append(numpy_helper.from_array(values, name))
        return name

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401
        """Add a node and return its value's name."""
        output = f"value_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], name=f"{op.lower()}_{len(self.nodes)}", **attributes))
        return output

    def dense(self, given: str, name: str, before: int, units: int, *, gain: float = 2.0, bias: float = 0) -> str:
        """Add a dense layer."""
        weight = self.weight(f"{name}.weight", before, units, gain=gain)
        shift = self.tensor(f"{name}.bias", np.full(units, bias, np.float32))
        return self.node("Gemm", given, weight, shift)

    def hidden(self, given: str, name: str, before: int, units: int) -> str:
        """Add a dense layer and a ReLU."""
        return self.node("Relu", self.dense(given, name, before, units))

    def made(self, output: str, *, frozen: tuple[str, ...] = (), **options: Any) -> Made:  # noqa: ANN401
        """Return the file with its batch; `frozen` tensors are listed as buffers."""
        given = self.batch["input"]
        kind = TensorProto.INT64 if given.dtype == np.int64 else TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info("input", kind, ["batch", *given.shape[1:]])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", *[None] * self.batch["target"].ndim])],
            self.tensors,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
        if frozen:
            _list(model, [each.name for each in self.tensors], frozen)
        return Made(model.SerializeToString(), ".onnx", self.batch, options)


def trained(made: Made, seed: int, *, steps: int = 150, rate: float = 3e-3) -> Made:
    """Return a description's network, trained by Adam on its whole batch, as an ONNX file."""
    with _one_thread():
        graph = architecture.lower(Architecture.model_validate_json(made.model), seed=seed)
        inputs = {graph.inputs[0].name: torch.from_numpy(made.batch["input"])}
        target = torch.from_numpy(made.batch["target"])
        program, output = Program(graph), graph.outputs[0]
        values = {name: each.value.clone().requires_grad_() for name, each in graph.parameters.items()}
        optimizer = torch.optim.Adam(values.values(), rate)
        for _ in range(steps):
            answer = program.run(inputs, values, training=True)[output]
            loss = torch.nn.functional.cross_entropy(answer, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    learnt = graph.with_parameters({name: each.detach() for name, each in values.items()})
    return Made(to_onnx(learnt).SerializeToString(), ".onnx", made.batch, made.options)


def exported(make: Callable[[], torch.nn.Module], draw: Draw, batch: Arrays) -> Made:
    """Return a module with weights of the draw's own, as torch's exporter writes it for training."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(draw.seed)
        network, file = make(), io.BytesIO()
        torch.onnx.export(
            network,
            (torch.from_numpy(batch["input"]),),
            file,
            dynamo=False,
            training=torch.onnx.TrainingMode.TRAINING,
            do_constant_folding=False,
            opset_version=OPSET,
            input_names=["input"],
            dynamic_axes={"input": {0: "batch"}},
        )
    return Made(file.getvalue(), ".onnx", batch)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Have torch use one thread: sums come out alike on every machine, and small networks train faster."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _list(model: onnx.ModelProto, names: list[str], frozen: tuple[str, ...]) -> None:
    """Write what torch's exporter writes of parameters and buffers."""
    kinds = {name: "BUFFER: 3" if name in frozen else "PARAMETER: 2" for name in names}
    said = [
        f"InputSpec(kind=<InputKind.{kind}>, arg=TensorArgument(name='{name}'), target='{name}', persistent=None)"
        for name, kind in kinds.items()
    ]
    model.producer_name = "pytorch"
    model.graph.metadata_props.add(key=SIGNATURE, value="\n".join(said))
