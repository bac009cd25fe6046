"""Why two runtimes give different outputs: their nodes are compared one by one.

Each node is computed here from the values that onnxruntime has for its inputs, and compared with the value that
onnxruntime has for its output.  So an operator at fault shows by itself, however much the network behind it amplifies,
and a right network that amplifies rounding shows none.  A large network's values come in portions; which portion is
looked at first is found by halving.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from service.contract.problem import Trouble
from service.contract.report import Difference
from worker.load.apart import Array
from worker.load.judging import Step, differing, excused, specified_agrees, step
from worker.load.numbers import error, limit_of, number_of, tensor_of
from worker.load.reference import Source, computed
from worker.network.graph import Graph, Node, names, reads
from worker.network.run import Program

PORTION: Final = 2**27
"""Bytes of values that are taken from onnxruntime at a time."""
FEW: Final = 4
"""Portions that are looked at in order; where there are more, the one in which values part is looked at first."""
RANDOM: Final = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)
HIDDEN: Final = 64
"""Most nodes that are computed together because values between them are not to be had."""
LATE: Final = "time was up."


@dataclass
class Outcome:
    """What the comparison node by node has shown."""

    wrong: Difference | None = None
    """The first node that is computed wrongly here."""
    deviating: Difference | None = None
    """The first node that onnxruntime computes otherwise than ONNX's reference and this service."""
    drifted: Difference | None = None
    """The first node whose values differ between the two runs, each on its own values."""
    random: bool = False
    unchecked: str = ""
    """Why nodes were left out; empty where all were compared."""


class Search:
    """The nodes of a graph, and the model that onnxruntime runs."""

    def __init__(
        self, graph: Graph, source: Source, inputs: Mapping[str, Tensor], *, end: float, written: bool
    ) -> None:
        """Compare a graph with `source`, the same model for onnxruntime, until `end` (of the monotonic clock).

        `written` says that the graph was written out to `source`, so that ONNX's reference is given the same.
        """
        self._graph, self._source, self._end, self._written = graph, source, end, written
        self._fed = {name: held for name, value in inputs.items() if (held := number_of(value)) is not None}
        with torch.no_grad():
            placed = {name: value.detach().cpu() for name, value in inputs.items()}
            self._own = Program(graph).trace(placed).values
        self._producers = graph.producers()
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Compare portion by portion until a node is found to be computed wrongly."""
        portions = list(self._portions())
        first = self._parting(portions) if len(portions) > FEW else 0
        for portion in [*portions[first : first + 1], *portions[:first], *portions[first + 1 :]]:
            self._compare(portion)
            if self.outcome.wrong:
                break
        return self.outcome

    def _portions(self) -> Iterator[list[Node]]:
        held, size = [], 0
        for node in self._graph.nodes:
            held.append(node)
            size += sum(_bytes(self._own.get(name)) for name in names(node.outputs))
            if size > PORTION:
                yield held
                held, size = [], 0
        if held:
            yield held

    def _parting(self, portions: Sequence[Sequence[Node]]) -> int:
        """Return the portion at whose end values differ and before which they do not, by halving."""
        low, high = 0, len(portions) - 1
        while low < high:
            middle = (low + high) // 2
            last = names(portions[middle][-1].outputs)
            theirs = self._fetched(last)
            if any(self._differs(name, value) for name, value in theirs.items()):
                high = middle
            else:
                low = middle + 1
        return low

    def _differs(self, name: str, theirs: Array) -> bool:
        mine = number_of(self._own.get(name))
        return mine is not None and error(mine, theirs) > limit_of(theirs)

    def _compare(self, portion: Sequence[Node]) -> None:
        wanted = {name for node in portion for name in (*reads(node), *names(node.outputs))} & self._producers.keys()
        theirs = self._fetched(sorted(wanted))
        self._note_drift(portion, theirs)
        for each in self._steps(portion, theirs):
            self._judge(each, theirs)
            if self.outcome.wrong:
                return

    def _steps(self, portion: Sequence[Node], theirs: Mapping[str, Array]) -> Iterator[Step]:
        """Yield the nodes that can be compared, each with those before it whose values onnxruntime does not have."""
        for node in portion:
            if node.op in RANDOM:
                self.outcome.random = True
            elif any(name in theirs for name in node.outputs):
                nodes = self._with_hidden(node, theirs)
                yield step(self._graph, nodes, self._values(nodes, theirs))

    def _with_hidden(self, node: Node, theirs: Mapping[str, Array]) -> list[Node]:
        """Return a node behind those that make what it reads, as far as onnxruntime does not tell what that is."""
        found, waiting = {node.name: node}, [node]
        while waiting and len(found) < HIDDEN:
            for name in reads(waiting.pop()):
                maker = self._producers.get(name)
                if maker is not None and name not in theirs and maker.name not in found:
                    found[maker.name] = maker
                    waiting.append(maker)
        return [each for each in self._graph.nodes if each.name in found] if len(found) > 1 else [node]

    def _values(self, nodes: Sequence[Node], theirs: Mapping[str, Array]) -> dict[str, Tensor]:
        """Return what nodes read, as onnxruntime has it where it has it."""
        inside = {name for node in nodes for name in node.outputs}
        read = {name for node in nodes for name in reads(node)} - inside - self._graph.parameters.keys()
        return {
            name: tensor_of(theirs[name], self._own[name]) if name in theirs else self._own[name]
            for name in sorted(read & self._own.keys())
        }

    def _judge(self, each: Step, theirs: Mapping[str, Array]) -> None:
        left = self._end - time.monotonic()
        if left <= 0:
            self.outcome.unchecked = self.outcome.unchecked or LATE
            return
        try:
            for name, found in differing(each, theirs):
                self._blame(each, name, found, theirs[name], left)
        except Trouble as trouble:
            self.outcome.unchecked = self.outcome.unchecked or trouble.detail

    def _blame(self, each: Step, name: str, found: float, theirs: Array, left: float) -> None:
        if excused(each, name, found, theirs):
            return
        shown = Difference(node=each.node.name, op=each.node.op, value=name, error=found)
        if self._written and specified_agrees(each, name, left):
            self.outcome.deviating = self.outcome.deviating or shown
        else:
            self.outcome.wrong = self.outcome.wrong or shown

    def _note_drift(self, portion: Sequence[Node], theirs: Mapping[str, Array]) -> None:
        if self.outcome.drifted:
            return
        for node in portion:
            for name in names(node.outputs):
                if name in theirs and self._differs(name, theirs[name]):
                    found = error(number_of(self._own[name]), theirs[name])  # type: ignore[arg-type]
                    self.outcome.drifted = Difference(node=node.name, op=node.op, value=name, error=found)
                    return

    def _fetched(self, wanted: Sequence[str]) -> dict[str, Array]:
        """Return values as onnxruntime has them; nothing, and a word about it, where it gives none."""
        left = self._end - time.monotonic()
        found = computed(self._source, self._fed, wanted, left, plain=True) if left > 0 else LATE
        if isinstance(found, str):
            self.outcome.unchecked = self.outcome.unchecked or found
            return {}
        return found


def _bytes(value: object) -> int:
    return value.numel() * value.element_size() if isinstance(value, Tensor) else 0
