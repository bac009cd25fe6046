"""Outputs and gradients of exported networks against torch's own and onnxruntime's: prints the errors as JSON.

Every network of `architectures` is exported by both of torch's exporters, for training and with the exporter's
defaults for inference, at several versions of ONNX's operators, and read back.  Where gradients in float32 differ,
those in float64 tell rounding and kinks, which vanish there, from errors, which stay.

    python benchmarks/gradients.py [network …]
"""

import copy
import json
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import onnx
import torch
from architectures import NETWORKS
from architectures.comparing import by_value, compared, error_of, gradients_of, worst
from architectures.exporting import EXPORTERS, export, spread, versions
from torch import Tensor, nn

from worker.load.fidelity import compare
from worker.load.onnx import interpret
from worker.network.graph import Graph, Node
from worker.network.run import Program

OUTPUTS, REFERENCE, GRADIENTS = 1e-5, 1e-4, 1e-4
"""The largest relative errors that pass: of outputs against torch's and onnxruntime's, and of gradients."""
KNOWN = {
    ("spectral-norm", "dynamo", True): "a file holds no torch.no_grad: gradients go through the power iteration, too",
    ("temperature", "dynamo", False): "the folded exponential of a single number looks like a formula's constant",
}
"""What cannot be right, by network, exporter and whether it was exported for training, and why."""


@dataclass(frozen=True)
class Errors:
    """The largest relative errors of one exported network."""

    torch_outputs: float
    """Against torch's, in the mode of the export."""
    onnxruntime_outputs: float | None
    """Against onnxruntime's, in evaluation mode; None where it does not run the file."""
    gradients: float
    """Of parameters and float inputs, against torch's."""
    outputs_in_double: float | None
    in_double: float | None
    """Outputs against torch's, and gradients, in float64, where float32 has more than its rounding."""
    parameters: int
    """How many numbers were matched."""
    unmatched: int
    """How many of torch's numbers the graph does not hold as parameters: all found, unless the export folded them."""
    repeated: int
    """How many numbers the graph's parameters hold more than once: none, unless the export wrote copies."""
    missed: tuple[str, ...]
    """Tensors of the file that are made of parameters and are not taken for such."""
    mistaken: tuple[str, ...]
    """Tensors taken for parameters that are none."""

    def wrong(self, *, training: bool) -> Iterator[str]:
        """Yield what does not pass."""
        if (self.torch_outputs if self.outputs_in_double is None else self.outputs_in_double) > OUTPUTS:
            yield "outputs are not torch's"
        if (self.onnxruntime_outputs or 0) > REFERENCE:
            yield "outputs are not onnxruntime's"
        if (self.gradients if self.in_double is None else self.in_double) > GRADIENTS:
            yield "gradients are not torch's"
        if training and (self.unmatched or self.repeated):
            yield "not every number of named_parameters() is a parameter of the graph, once"
        if self.missed or self.mistaken:
            yield "other tensors are parameters than those that follow the module's"


@dataclass(frozen=True)
class _Case:
    """A network, its batch, the file, and what is read from it."""

    network: nn.Module
    batch: tuple[Tensor, ...]
    model: onnx.ModelProto
    graph: Graph

    def double(self) -> "_Case":
        """Return the same in float64."""
        return replace(
            self,
            network=copy.deepcopy(self.network).double(),
            batch=tuple(each.double() if each.is_floating_point() else each for each in self.batch),
            graph=_in_double(self.graph),
        )

    def inputs(self) -> dict[str, Tensor]:
        """Return the batch by name, float tensors with gradients."""
        fed = [each.clone().requires_grad_(each.is_floating_point()) for each in self.batch]
        return dict(zip((each.name for each in self.graph.inputs), fed, strict=True))


def measure(name: str, exporter: str, opset: int, *, training: bool = True) -> Errors:
    """Export a network, read it back, and return how far it is from torch."""
    torch.manual_seed(sum(map(ord, name)))
    network, batch = spread(NETWORKS[name].make()).train(training), NETWORKS[name].batch()
    model = export(copy.deepcopy(network), batch, exporter, opset)
    case = _Case(network, batch, model, interpret(copy.deepcopy(model)))
    other = export(spread(copy.deepcopy(network), 1), batch, exporter, opset)
    follows = _following(case.graph, interpret(other)) - dict(network.named_buffers()).keys()
    outputs, gradients, matched, unmatched = _against_torch(case)
    double = _against_torch(case.double())[:2] if gradients > GRADIENTS / 10 or outputs > OUTPUTS else (None, None)
    fed = {key: value.detach() for key, value in case.inputs().items()}
    return Errors(
        torch_outputs=outputs,
        onnxruntime_outputs=compare(model.SerializeToString(), case.graph, fed).max_relative_error,
        gradients=gradients,
        outputs_in_double=double[0],
        in_double=double[1],
        parameters=matched,
        unmatched=unmatched,
        repeated=_repeated(case),
        missed=tuple(sorted(follows - case.graph.parameters.keys())),
        mistaken=tuple(sorted(case.graph.parameters.keys() - follows)),
    )


def _repeated(case: _Case) -> int:
    """Return how many of the module's numbers the graph holds a second time."""
    own = _numbers(case.network.parameters())
    whole = [each.value.flatten() for each in case.graph.parameters.values() if _within(each.value, own)]
    numbers = torch.cat(whole) if whole else own
    return len(numbers) - len(numbers.unique())


def _numbers(parameters: Iterable[Tensor]) -> Tensor:
    return torch.cat([each.detach().flatten() for each in parameters]).sort().values


def _within(value: Tensor, numbers: Tensor) -> bool:
    """Whether all numbers of a tensor are among those given in order."""
    places = torch.searchsorted(numbers, value.flatten()).clamp(max=len(numbers) - 1)
    return bool((numbers[places] == value.flatten()).all())


def _following(graph: Graph, other: Graph) -> set[str]:
    """Return the tensors that differ in a file exported with other parameters: those that are made of them."""
    found = [
        {**each.constants, **{key: held.value for key, held in each.parameters.items()}} for each in (graph, other)
    ]
    return {key for key, value in found[0].items() if key not in found[1] or not torch.equal(value, found[1][key])}


def _against_torch(case: _Case) -> tuple[float, float, int, int]:
    """Return the errors of outputs and gradients, how many numbers were matched, and how many were not."""
    fed, held = case.inputs(), {key: each.value.clone() for key, each in case.graph.parameters.items()}
    kind = next(iter(case.network.parameters())).dtype
    held = {key: each.to(kind).requires_grad_() for key, each in held.items()}
    values = Program(case.graph).run(fed, held, training=case.network.training)
    ours = [values[key] for key in case.graph.outputs]
    batch = [each.detach().clone().requires_grad_(each.is_floating_point()) for each in case.batch]
    network = copy.deepcopy(case.network)
    result = network(*batch)
    theirs = list(result) if isinstance(result, tuple) else [result]
    leaves = _used({key: each for key, each in network.named_parameters() if each.requires_grad}, theirs)
    cotangents = [torch.randn_like(each) for each in theirs]
    found = dict(zip(held, gradients_of(ours, list(held.values()), cotangents), strict=True))
    wanted = dict(zip(leaves, gradients_of(theirs, list(leaves.values()), cotangents), strict=True))
    own = _numbers(leaves.values())
    whole = {key: each for key, each in held.items() if _within(each.detach(), own)}
    error, matched, unmatched = compared(leaves, wanted, by_value(whole, found))
    sides = [[each for each in side if each.requires_grad] for side in (fed.values(), batch)]
    pairs = zip(gradients_of(ours, sides[0], cotangents), gradients_of(theirs, sides[1], cotangents), strict=True)
    return worst(ours, theirs), max([error, *(error_of(mine, other) for mine, other in pairs)]), matched, unmatched


def _used(leaves: Mapping[str, Tensor], outputs: Sequence[Tensor]) -> dict[str, Tensor]:
    """Return the parameters that take part; exporters leave out those that do not."""
    ones = [torch.ones_like(each) for each in outputs]
    found = torch.autograd.grad(outputs, list(leaves.values()), ones, allow_unused=True, retain_graph=True)
    return {key: leaf for (key, leaf), each in zip(leaves.items(), found, strict=True) if each is not None}


def _in_double(graph: Graph) -> Graph:
    """Return a graph that computes in float64: constants and casts included."""
    constants = {key: each.double() if each.dtype is torch.float32 else each for key, each in graph.constants.items()}
    return graph.replace(nodes=tuple(map(_wider, graph.nodes)), constants=constants)


def _wider(node: Node) -> Node:
    given = dict(node.attributes)
    for key, value in given.items():
        if isinstance(value, Graph):
            given[key] = _in_double(value)
        elif isinstance(value, Tensor) and value.dtype is torch.float32:
            given[key] = value.double()
        elif (key, value) == ("to", int(onnx.TensorProto.FLOAT)):
            given[key] = int(onnx.TensorProto.DOUBLE)
    return replace(node, attributes=given)


def _told(name: str, exporter: str, opset: int, *, training: bool) -> dict[str, object]:
    """Return the errors of one export as JSON, with why they do not pass, if so."""
    try:
        errors = measure(name, exporter, opset, training=training)
    except torch.onnx.OnnxExporterError as error:
        return {"unwritten": str(error).strip().splitlines()[0][:200]}
    except Exception as error:  # noqa: BLE001  whatever goes wrong is a line in the table
        return {"why": [f"{type(error).__name__}: {error}"[:300]]}
    why = list(errors.wrong(training=training))
    known = KNOWN.get((name, exporter, training))
    return {**asdict(errors), "why": [*why, f"known: {known}"] if why and known else why}


def main() -> None:
    """Print every network's errors, and the largest."""
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    found = {}
    for name in sys.argv[1:] or NETWORKS:
        for exporter in EXPORTERS:
            for opset in versions(name, exporter):
                for training in (True, False):
                    key = f"{name}/{exporter}/{opset}/{'training' if training else 'inference'}"
                    found[key] = _told(name, exporter, opset, training=training)
                    print(key, found[key].get("why"), found[key].get("unwritten", ""), file=sys.stderr, flush=True)
    print(json.dumps({"summary": _summary(found), "networks": found}, indent=2))


def _summary(found: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    """Return how many files are right, and the largest errors among all."""
    read = {key: each for key, each in found.items() if "unwritten" not in each}
    measured = [each for each in read.values() if "parameters" in each]
    worst = {
        field: max((float(str(each[field])) for each in measured if each[field] is not None), default=None)
        for field in ("torch_outputs", "onnxruntime_outputs", "gradients", "in_double")
    }
    return {
        "files": len(read),
        "right": sum(not each["why"] for each in read.values()),
        "unwritten": sorted(found.keys() - read.keys()),
        "wrong": {key: each["why"] for key, each in read.items() if each["why"]},
        "worst": worst,
    }


if __name__ == "__main__":
    main()
