"""Recurrences that stand in the graph step by step, as exporters write them: one weight acts again and again.

Each step reads the batch anew, which tells time from depth: a layer that is repeated on its own output alone (Universal
Transformers, ALBERT) is depth.  From the graph alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from worker.network.graph import Node, reads
from worker.probe.path import Path

STEPS: Final = 3
"""Layers of one weight, each behind the last and with a new input, that count as the steps of a recurrence."""


@dataclass(frozen=True)
class Recurrence:
    """A recurrence that stands in the graph step by step."""

    steps: tuple[Node, ...]
    """The nodes that apply its weight, one for each step."""
    fresh: tuple[str, ...]
    """What they read beside their state, step by step."""

    def begins(self, path: Path, value: str) -> bool:
        """Whether a value leads to the first step's state, and to no later step but by it."""
        first = path.position[path.signal(self.steps[0])]
        if path.position[value] > first:
            return False
        led = {value}
        for node in path.nodes:
            if node is not self.steps[0] and led.intersection(reads(node)):
                led.update(path.members.intersection(node.outputs))
        return path.signal(self.steps[0]) in led and not led.intersection(self.fresh)


def unrolled(path: Path) -> tuple[Recurrence, ...]:
    """Return each recurrence of a path, in the order of their weights."""
    groups = [[node for node in nodes if path.is_layer(node)] for nodes in path.readers.values()]
    chains = {tuple(map(path.signal, steps)): tuple(steps) for steps in groups if len(steps) >= STEPS}
    found = (Recurrence(steps, _fresh(path, steps)) for steps in chains.values())
    return tuple(each for each in found if len(each.fresh) >= len(each.steps) - 1)


def _fresh(path: Path, steps: Sequence[Node]) -> tuple[str, ...]:
    """Return what is read on the way from step to step beside what the first leads to; none if one is no chain."""
    led = set(steps[0].outputs)
    begun, fresh = 0, list[str]()
    for node in path.nodes:
        inside = path.members.intersection(reads(node))
        known = led.intersection(inside)
        begun += node in steps
        if known:
            led.update(path.members.intersection(node.outputs))
            fresh.extend(sorted(inside - known) if begun < len(steps) else ())
    return tuple(fresh) if all(path.signal(node) in led for node in steps[1:]) else ()
