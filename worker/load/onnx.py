"""An ONNX file as a graph."""

import mmap
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import ModelProto

from service.contract.problem import OutOfMemory, TooComplex, UnreadableModel
from worker.load.classical import maps, written_out
from worker.load.external import Files
from worker.load.fused import taken_apart
from worker.load.notes import notes
from worker.load.parameters import parameters
from worker.load.precision import in_single
from worker.load.provenance import Provenance, placed, provenance
from worker.load.pruning import pruned
from worker.load.quantization import quantized
from worker.load.ties import tied
from worker.load.wire import SELF, lightened
from worker.network import elsewhere, room
from worker.network import model as networks
from worker.network.graph import Graph, Input, Parameter

MAX_NODES = 50_000
NOTHING: Mapping[str, Path] = MappingProxyType({})
CARRIES = frozenset({"Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze", "Slice"})
"""Operators through which an index stays an index."""
DAMAGES = (TypeError, ValueError, LookupError, RuntimeError, AttributeError, ArithmeticError, MemoryError)
"""What a damaged file may raise, such as by a name that is no text."""


def read(model: Path, external: Mapping[str, Path] = NOTHING, max_nodes: int = MAX_NODES) -> Graph:
    """Return the graph of an ONNX file; `external` holds the files that its tensors may lie in, by declared name.

    Raises UnreadableModel, UnsupportedModel, TooComplex or OutOfMemory.
    """
    file = _parsed(model, max_nodes, external)
    try:
        return in_single(interpret(file, {**external, SELF: model}))
    except RecursionError as error:
        msg = f"The model's functions or graphs are nested too deep: more than {sys.getrecursionlimit()} calls."
        raise TooComplex(msg) from error
    except DAMAGES as error:
        if room.exhausted(error):
            msg = f"Reading the model needs more memory than there is: {room.said(error)}."
            raise OutOfMemory(msg) from error
        msg = f"The file is damaged: {error}"
        raise UnreadableModel(msg) from error


def interpret(model: ModelProto, external: Mapping[str, Path] = NOTHING) -> Graph:
    """Return the graph of a model that is parsed already; raises as `read` does."""
    known = provenance(model)
    with Files(external) as files, elsewhere.found_by(files.find):
        graph = placed(networks.interpret(model), known)
    types = {each.name: each.type for each in model.graph.output if each.name not in maps(graph)}
    return _with_parameters(pruned(taken_apart(written_out(graph)), types), known)


def _parsed(model: Path, max_nodes: int, external: Mapping[str, Path]) -> ModelProto:
    if not model.stat().st_size:
        msg = "The model file is empty."
        raise UnreadableModel(msg)
    with model.open("rb") as file:  # the map is closed when nothing views it any more, an error's frames included
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    return _decoded(lightened(data, max_nodes, external))


def _decoded(data: bytes) -> ModelProto:
    parsed = ModelProto()
    try:
        parsed.ParseFromString(data)
    except DecodeError as error:
        msg = f"The file is not an ONNX model: {error}"
        raise UnreadableModel(msg) from error
    if not parsed.HasField("graph"):
        msg = "The file holds no graph: it is not an ONNX model."
        raise UnreadableModel(msg)
    return parsed


def _with_parameters(graph: Graph, known: Provenance) -> Graph:
    """Return the graph with its parameters told apart from its other tensors."""
    chosen, filled = parameters(graph, known)
    held = chosen.keys() | filled.keys()
    nodes = tuple(node for node in graph.nodes if not (node.outputs and node.outputs[0] in held))
    constants = {name: value for name, value in {**graph.constants, **filled}.items() if name not in chosen}
    split = graph.replace(
        nodes=nodes,
        parameters={name: Parameter(value) for name, value in chosen.items()},
        constants=constants,
    )
    whole = tied(split, known)
    counted = tuple(_counted(each, whole) for each in whole.inputs)
    return whole.replace(inputs=counted, notes=(*notes(whole, known), *quantized(whole), *whole.notes))


def _counted(given: Input, graph: Graph) -> Input:
    """Return an input with the length of the table that it indexes, if it does."""
    if given.dtype.is_floating_point:
        return given
    same = {given.name}
    for node in graph.nodes:
        if node.op in CARRIES and node.inputs[0] in same:
            same.add(node.outputs[0])
        if node.op == "Gather" and node.inputs[1] in same and not node.attributes.get("axis"):
            table = graph.parameters.get(node.inputs[0])
            if table is not None and table.value.dim():
                return replace(given, classes=len(table.value))
    return given
