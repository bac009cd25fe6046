"""Our forward pass against onnxruntime's, which runs in a process of its own: it may crash there, or hang.

Every output is compared.  Where one differs, the nodes are compared one by one on onnxruntime's own values
(`worker/load/difference.py`), because a difference has one of four reasons:

- An operator is computed wrongly here: UnfaithfulImport.
- Rounding grows on the way through a deep, exploding or chaotic network, in which every single node agrees: a note.
- onnxruntime deviates: its optimizations change the result, or onnx's own reference agrees with us: a note.
- The model draws random numbers: a note.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import is_

import torch
from torch import Tensor

from service.contract.problem import Trouble, UnfaithfulImport
from service.contract.report import Difference, Fidelity
from worker.load.apart import LATE, Array
from worker.load.difference import Outcome, Search
from worker.load.numbers import error, limit_of, number_of
from worker.load.precision import is_widened
from worker.load.reference import NAME, Source, computed
from worker.network.export import to_onnx
from worker.network.graph import Graph, Node, names
from worker.network.run import Program

SEARCH_S = 60.0
"""Most seconds that are spent on why outputs differ."""
TRAINS = "The file is in training mode: what was compared is its form for evaluation."
REWRITTEN = "onnxruntime does not take the file as it is; the same graph, written out again, was compared."
FUSED = "onnxruntime's optimizations change its result; without them it agrees."
HALVED = "The file's own precision changes the result; in float32 onnxruntime agrees."
DEVIATES = "onnxruntime computes the node {!r} ({}) otherwise than ONNX's own reference and this service do."
GROWS = "Rounding grows on the way, first seen at {!r} ({}): on the same values, every node agrees."
RANDOM = "The model draws random numbers, so its outputs are never the same twice; on the same values, its nodes agree."
UNCHECKED = "The outputs differ; why was not to be found: {}"


class Written(bytes):
    """A model that was written out from a graph."""


@dataclass(frozen=True)
class _Case:
    """A model, its graph, and what both are given."""

    model: Source
    graph: Graph
    inputs: Mapping[str, Tensor]

    @property
    def fed(self) -> dict[str, Array]:
        """The inputs as arrays."""
        return {name: held for name, value in self.inputs.items() if (held := number_of(value)) is not None}

    def written(self) -> "_Case":
        """Return the case with the graph written out in place of the file."""
        return replace(self, model=Written(to_onnx(self.graph).SerializeToString()))

    def theirs(self, limit_s: float, *, plain: bool = False) -> dict[str, Array] | str:
        """Return onnxruntime's outputs; a sentence where it has none."""
        return computed(self.model, self.fed, self.graph.outputs, limit_s, plain=plain)

    def ours(self) -> dict[str, Array]:
        """Return our outputs."""
        with torch.no_grad():
            outputs = Program(self.graph).run({name: value.detach().cpu() for name, value in self.inputs.items()})
        return {name: held for name, value in outputs.items() if (held := number_of(value)) is not None}


def compare(model: Source, graph: Graph, inputs: Mapping[str, Tensor], *, limit_s: float = 20) -> Fidelity:
    """Return how far our outputs are from onnxruntime's on `inputs`, in evaluation mode.

    UnfaithfulImport where an operator is computed wrongly.  Whatever else goes wrong on the way is a note.
    """
    try:
        return _prepared(_Case(model, graph, inputs), limit_s)
    except UnfaithfulImport:
        raise
    except Trouble as trouble:
        return _uncompared(trouble.detail)
    except (ValueError, TypeError, RuntimeError, AttributeError, LookupError, OSError) as failure:  # such as over 2 GiB
        return _uncompared(f"The outputs could not be compared: {failure}")


def _prepared(case: _Case, limit_s: float) -> Fidelity:
    """Compare the file as it is, or what stands for it."""
    evaluated = _evaluating(case.graph)
    if evaluated is not case.graph:
        return _with_note(_compared(replace(case, graph=evaluated).written(), limit_s), TRAINS)
    found = _compared(case, limit_s)
    if found.compared or LATE in found.notes[0]:
        return found
    again = _compared(case.written(), limit_s)
    return _with_note(again, REWRITTEN) if again.compared else found


def _compared(case: _Case, limit_s: float) -> Fidelity:
    theirs = case.theirs(limit_s)
    if isinstance(theirs, str):
        return _uncompared(f"onnxruntime could not run the model: {theirs}")
    ours = case.ours()
    errors = _errors(ours, theirs)
    if not errors:
        return _uncompared("The model has no output that can be compared.")
    if _agree(ours, theirs):
        return _fidelity(errors, ok=True)
    return _explained(case, ours, theirs, time.monotonic() + SEARCH_S)


def _errors(ours: Mapping[str, Array], theirs: Mapping[str, Array]) -> dict[str, float]:
    return {name: error(mine, theirs[name]) for name, mine in ours.items() if name in theirs}


def _agree(ours: Mapping[str, Array], theirs: Mapping[str, Array] | str) -> bool:
    if isinstance(theirs, str):
        return False
    return all(found <= limit_of(theirs[name]) for name, found in _errors(ours, theirs).items())


def _explained(case: _Case, ours: Mapping[str, Array], theirs: Mapping[str, Array], end: float) -> Fidelity:
    """Return what the report says of outputs that differ; UnfaithfulImport where that is our fault."""
    errors = _errors(ours, theirs)
    plain = case.theirs(_left(end), plain=True)
    if _agree(ours, plain):
        return _fidelity(errors, FUSED, ok=True)
    written = case.written()
    again = written.theirs(_left(end), plain=True)
    if _agree(ours, again) and is_widened(case.graph):
        return _fidelity(errors, HALVED, ok=True)
    same = is_widened(case.graph) or (not isinstance(again, str) and _agree(again, plain))
    source = (written if same else case).model
    found = Search(case.graph, source, case.inputs, end=end, written=isinstance(source, Written)).run()
    if found.wrong is not None:
        raise UnfaithfulImport(_accusation(errors, theirs, found.wrong))
    return _excused(errors, found)


def _left(end: float) -> float:
    return max(end - time.monotonic(), 0.0)


def _accusation(errors: Mapping[str, float], theirs: Mapping[str, Array], wrong: Difference) -> str:
    worst = max(errors, key=lambda name: errors[name] / limit_of(theirs[name]))
    return (
        f"The output {worst!r} differs from {NAME}'s by {errors[worst]:.3g} of its largest magnitude; the limit is "
        f"{limit_of(theirs[worst]):g}.  The first node at fault is {wrong.node!r} ({wrong.op}): on the same values, "
        f"its output {wrong.value!r} differs by {wrong.error:.3g}."
    )


def _excused(errors: Mapping[str, float], found: Outcome) -> Fidelity:
    """Return what the report says where no node is computed wrongly here."""
    first = found.deviating or found.drifted
    if found.unchecked:
        return _fidelity(errors, UNCHECKED.format(found.unchecked), ok=False, first=first)
    if found.deviating:
        return _fidelity(errors, DEVIATES.format(found.deviating.node, found.deviating.op), ok=True, first=first)
    if found.random:
        return _fidelity(errors, RANDOM, ok=True, first=first)
    shown = (first.node, first.op) if first else ("", "")
    return _fidelity(errors, GROWS.format(*shown), ok=True, first=first)


def _fidelity(errors: Mapping[str, float], *notes: str, ok: bool, first: Difference | None = None) -> Fidelity:
    return Fidelity(
        reference=NAME,
        max_relative_error=max(errors.values()),
        compared=len(errors),
        ok=ok,
        first_difference=first,
        notes=notes,
    )


def _evaluating(graph: Graph) -> Graph:
    """Return the graph with its nodes as in evaluation; itself where they are so already."""
    nodes = tuple(_evaluated(node, graph.constants) for node in graph.nodes)
    return graph if all(map(is_, nodes, graph.nodes)) else graph.replace(nodes=nodes)


def _evaluated(node: Node, constants: Mapping[str, Tensor]) -> Node:
    """Return a node that computes as in evaluation, those inside it too; itself where it does so already."""
    inner = {name: value for name, value in node.attributes.items() if isinstance(value, Graph)}
    changed = {
        name: value.replace(nodes=tuple(_evaluated(each, constants) for each in value.nodes))
        for name, value in inner.items()
    }
    if any(not all(map(is_, changed[name].nodes, value.nodes)) for name, value in inner.items()):
        node = replace(node, attributes={**node.attributes, **changed})
    if not _trains(node, constants):
        return node
    kept = {name: value for name, value in node.attributes.items() if name != "training_mode"}
    if node.op == "Dropout":
        return replace(node, inputs=node.inputs[:2], attributes=kept)
    return replace(node, outputs=node.outputs[:1], attributes=kept)


def _trains(node: Node, constants: Mapping[str, Tensor]) -> bool:
    """Whether the file asks for training at a node, whatever the mode of the run."""
    if node.domain:
        return False
    if node.op == "Dropout":
        asked = node.inputs[2] if len(node.inputs) > 2 else ""  # noqa: PLR2004  the third input is training_mode
        return bool(asked) and not (asked in constants and not bool(constants[asked].any()))
    if node.op != "BatchNormalization":
        return False
    return bool(node.attributes.get("training_mode")) or len(names(node.outputs)) > 1


def _with_note(found: Fidelity, note: str) -> Fidelity:
    return found.model_copy(update={"notes": (note, *found.notes)})


def _uncompared(why: str) -> Fidelity:
    return Fidelity(reference=NAME, max_relative_error=None, compared=0, ok=False, notes=(why,))
