"""What each layer of the document must become, whichever format it is written in."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

from worker.network.graph import Graph, Node
from worker.network.laws import Fans
from worker.network.layers import PLAIN
from worker.patch.difference import Difference, Inserted, Joined
from worker.patch.folding import live
from worker.patch.places import Atlas, NoWay, Place, Steps, Stuck
from worker.patch.recipe import Drawn

Times: TypeAlias = tuple[int, ...]


class Uneven(Stuck):
    """The times of a repetition must become different things."""


class Crowded(Stuck):
    """One layer of the file stands for parts that must become different things."""


@dataclass
class Wanted:
    """What one layer must become, one of its times."""

    activation: Node | None = None
    """The operator that its activation becomes."""
    left_out: bool = False
    """Whether its activation, or all of it, is left out."""
    behind: list[Inserted] = field(default_factory=list)
    """Nodes between its output and what reads that."""
    joined: list[Joined] = field(default_factory=list)
    """Values from before that are added to its output."""
    redrawn: bool = False
    """Whether its weights follow other laws."""
    penalized: bool = False
    """Whether its weights add something else to the loss."""

    @property
    def said(self) -> Any:  # noqa: ANN401  to be compared
        """What the layer must become, without the names of nodes and but for its weights."""
        operator = self.activation and (self.activation.op, dict(self.activation.attributes))
        behind = [[(node.op, dict(node.attributes)) for node in each.nodes] for each in self.behind]
        return operator, self.left_out and self.activation is None, behind, len(self.joined)


@dataclass(frozen=True, eq=False)
class Survey:
    """A difference, brought to the places of a document."""

    difference: Difference
    atlas: Atlas

    @property
    def before(self) -> Graph:
        """The untreated graph."""
        return self.difference.before

    @property
    def after(self) -> Graph:
        """The treated graph."""
        return self.difference.after

    @cached_property
    def wanted(self) -> Mapping[Steps, Mapping[Times, Wanted]]:
        """What the layers that are concerned must become, each time; NoWay where one is not in the document."""
        found: dict[Steps, dict[Times, Wanted]] = {}

        def of(place: Place | None, what: str) -> Wanted:
            if place is None:
                message = f"{what} does not stand in the uploaded file."
                raise NoWay(message)
            return found.setdefault(place.steps, {}).setdefault(place.times, Wanted())

        if self.difference.shared:
            message = f"{self.difference.shared[0]} gives way to weights of another layer, which a patch cannot say."
            raise NoWay(message)
        self._nodes(of)
        for name in sorted(self.difference.redrawn):
            of(self.atlas.parameters.get(name), f"The weight {name}").redrawn = True
        for name in sorted(self.difference.penalized):
            of(self.atlas.parameters.get(name), f"The weight {name}").penalized = True
        return found

    def _nodes(self, of: Callable[[Place | None, str], Wanted]) -> None:
        """Note what becomes of the nodes of layers, which `of` returns by their places."""
        for name, node in self.difference.exchanged.items():
            of(self.atlas.nodes.get(name), f"The operator {name}").activation = node
        for name in sorted(self.difference.gone):
            of(self.atlas.nodes.get(name), f"The operator {name}").left_out = True
        for each in self.difference.inserted:
            if each.behind in self._makers:
                maker = self._makers[each.behind].name
                of(self.atlas.nodes.get(maker), f"The value {each.behind}").behind.append(each)
        for joined in self.difference.joined:
            of(self.place_of(joined.behind), f"The value {joined.behind}").joined.append(joined)

    def place_of(self, value: str) -> Place | None:
        """Return the layer that makes a value, or whose sum with another was put in; None of an input."""
        sums = {joined.node.outputs[0]: joined.behind for joined in self.difference.joined}
        while value in sums:
            value = sums[value]
        return self.atlas.nodes.get(self._makers[value].name) if value in self._makers else None

    @cached_property
    def times(self) -> Mapping[Steps, set[Times]]:
        """Every time of every layer that holds an operator."""
        found: dict[Steps, set[Times]] = {}
        for name in live(self.before):
            place = self.atlas.nodes.get(name)
            if place is not None:
                found.setdefault(place.steps, set()).add(place.times)
        return found

    @cached_property
    def weights(self) -> Mapping[Steps, list[str]]:
        """The parameters of every layer."""
        found: dict[Steps, list[str]] = {}
        for name, place in self.atlas.parameters.items():
            if place is not None:
                found.setdefault(place.steps, []).append(name)
        return found

    def at_inputs(self) -> Iterator[Inserted]:
        """Yield what is inserted behind the network's inputs."""
        names = {given.name for given in self.before.inputs}
        return (each for each in self.difference.inserted if each.behind in names)

    def alike_at(self, steps: Steps) -> Wanted:
        """Return what all times of a layer must become; Uneven where they differ."""
        sides = self.wanted[steps]
        first, *others = sides.values()
        everywhere = self.times.get(steps, set()) <= sides.keys()
        if any(each.said != first.said for each in others) or not (everywhere or first.said == Wanted().said):
            message = "The repetitions of one layer are changed differently."
            raise Uneven(message, steps)
        redrawn, penalized = (any(getattr(each, name) for each in sides.values()) for name in ("redrawn", "penalized"))
        return Wanted(first.activation, first.left_out, first.behind, first.joined, redrawn, penalized)

    def redrawn_at(self, steps: Steps) -> frozenset[str]:
        """Return the parameters of a layer that follow another law."""
        return self.difference.redrawn.intersection(self.weights.get(steps, ()))

    def drawn(self, steps: Steps, fan_of: Callable[[str], Fans | None]) -> dict[str, dict[Times, list[Drawn]]]:
        """Return how the weights of a layer are to be drawn, by role and time.

        `fan_of` returns the fans by which the format scales the law of a weight.  NoWay where one of them holds
        numbers that no law draws.
        """
        found: dict[str, dict[Times, list[Drawn]]] = {}
        for name in self.weights.get(steps, ()):
            law, place = self.after.parameters[name].law, self.atlas.parameters[name]
            if law is None or place is None:
                message = f"{name} is given numbers of its own; the file holds laws that draw weights, and no numbers."
                raise NoWay(message, steps)
            one = Drawn(law, fan_of(name), bias=name.endswith("bias"))
            found.setdefault(self.atlas.roles[name], {}).setdefault(place.times, []).append(one)
        return found

    def inside(self, value: str) -> bool:
        """Whether a value is read within the layer that makes it, by more than what moves numbers about."""
        home, waiting = self.atlas.nodes.get(self._makers[value].name), [value]
        while waiting:
            for node in self._readers.get(waiting.pop(), ()):
                if self.atlas.nodes.get(node.name) != home:
                    continue
                if node.op not in PLAIN:
                    return True
                waiting.extend(node.outputs)
        return False

    @cached_property
    def _makers(self) -> Mapping[str, Node]:
        return self.before.producers()

    @cached_property
    def _readers(self) -> Mapping[str, list[Node]]:
        found: dict[str, list[Node]] = {}
        for node in self.before.nodes:
            for value in node.inputs:
                found.setdefault(value, []).append(node)
        return found
