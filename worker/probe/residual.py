"""Sums of a skip and a branch: how much the branch weighs beside the skip, and by how much the sum grows.

ρ = E[branch²]/E[skip²] (1); growth = ln(E[sum²]/E[skip²]) (nats).  Without a norm ρ stays as it is from block to block
and the signal grows as (1 + ρ)ᴸ: 2ᴸ to 3ᴸ under He's initialization; behind norms ρ falls as 1/l.  No pass of its own.
Sources: De and Smith 2020 (arXiv 2002.10444), Zhang et al. 2019 (Fixup), Hanin and Rolnick 2018.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from worker.network.graph import Node, reads
from worker.probe.collapse import log_ratio, power
from worker.probe.evidence import Join
from worker.probe.norms import normed
from worker.probe.path import Path
from worker.probe.sweep import Sweep


def measure_joins(sweep: Sweep) -> tuple[Join, ...]:
    """Return every sum of two values of one shape of which one is made of the other, in forward order."""
    joins = _Joins(sweep.path)
    found = [each for each in joins.found() if _alike(sweep.values, *each)]
    if not found:
        return ()
    moments = [
        torch.stack([power([sweep.values[value]]) for value in (node.outputs[0], skip, branch)])
        for node, skip, branch in found
    ]
    return tuple(
        Join(
            node=node.name,
            ratio=of_branch / of_skip if of_skip > 0 else 0.0,
            growth=log_ratio(of_sum, of_skip),
            normalized=joins.normalized(node, skip, branch),
            origin=node.origin,
        )
        for (node, skip, branch), (of_sum, of_skip, of_branch) in zip(found, torch.stack(moments).tolist(), strict=True)
    )


@dataclass(frozen=True)
class _Joins:
    """The skips of a path."""

    path: Path

    @cached_property
    def readers(self) -> Mapping[str, tuple[Node, ...]]:
        """The nodes that read each value."""
        found: dict[str, tuple[Node, ...]] = {}
        for node in self.path.nodes:
            for value in set(reads(node)):
                found[value] = (*found.get(value, ()), node)
        return found

    def found(self) -> list[tuple[Node, str, str]]:
        """Return each sum with its skip and its branch; the branch holds a weight layer, the skip none more."""
        joins = []
        for node in self.path.nodes:
            ends = [value for value in node.inputs if value in self.path.members]
            if node.op == "Add" and len(set(ends)) == 2:  # noqa: PLR2004  a skip and a branch
                skip, branch = sorted(ends, key=self.path.depth.__getitem__)
                if self.path.depth[skip] < self.path.depth[branch] and skip in self._behind(branch, skip):
                    joins.append((node, skip, branch))
        return joins

    @cached_property
    def norms(self) -> frozenset[str]:
        """The values that norms write."""
        return normed(self.path)

    def normalized(self, node: Node, skip: str, branch: str) -> bool:
        """Whether a norm stands in the branch, or only a norm reads the sum."""
        after = self.readers.get(node.outputs[0], ())
        alone = len(after) == 1 and not self.norms.isdisjoint(after[0].outputs)
        return alone or not self.norms.isdisjoint(self._behind(branch, skip) - {skip})

    def _behind(self, value: str, stop: str) -> set[str]:
        """Return the values that one is made of, back to the position of another."""
        floor = self.path.position[stop]
        found, open_ = {value}, [value]
        while open_:
            node = self.path.producers.get(open_.pop())
            before = {each for each in reads(node) if each in self.path.members} if node is not None else set()
            new = {each for each in before - found if self.path.position[each] >= floor}
            found |= new
            open_ += new - {stop}
        return found


def _alike(values: Mapping[str, Tensor], node: Node, skip: str, branch: str) -> bool:
    return values[skip].shape == values[branch].shape == values[node.outputs[0]].shape
