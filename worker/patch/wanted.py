"""What each layer of the document must become, whichever format it is written in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from worker.network.graph import Graph, Node
from worker.network.laws import Fans, fans
from worker.network.layers import KERNELS, PLAIN
from worker.patch.difference import Difference, Inserted, live
from worker.patch.places import Atlas, Place, Steps
from worker.patch.recipe import Drawn


class NoWay(Exception):
    """The format cannot say a change at this place; the message is a sentence."""

    def __init__(self, sentence: str, steps: Steps = ()) -> None:
        """Say why, and at which layer."""
        super().__init__(sentence)
        self.steps = steps


class Uneven(NoWay):
    """The times of a repetition must become different things."""


class Crowded(NoWay):
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
    redrawn: bool = False
    """Whether its weights follow other laws."""


def wanted(difference: Difference, atlas: Atlas) -> dict[Place, Wanted]:
    """Return what the places in the document that are concerned must become; NoWay where one is not in it."""
    found: dict[Place, Wanted] = {}

    def of(place: Place | None, what: str) -> Wanted:
        if place is None:
            message = f"{what} does not stand in the uploaded file."
            raise NoWay(message)
        return found.setdefault(place, Wanted())

    for name, node in difference.exchanged.items():
        of(atlas.nodes.get(name), f"The operator {name}").activation = node
    for name in difference.gone:
        of(atlas.nodes.get(name), f"The operator {name}").left_out = True
    makers = difference.before.producers()
    for each in difference.inserted:
        if each.behind in makers:
            of(atlas.nodes.get(makers[each.behind].name), f"The value {each.behind}").behind.append(each)
    for name in difference.redrawn:
        of(atlas.parameters.get(name), f"The weight {name}").redrawn = True
    return found


def said(one: Wanted) -> Any:  # noqa: ANN401  to be compared
    """Return what a layer must become, without the names of nodes."""
    operator = one.activation and (one.activation.op, dict(one.activation.attributes))
    behind = [[(node.op, dict(node.attributes)) for node in each.nodes] for each in one.behind]
    return operator, one.left_out and one.activation is None, behind


def alike_at(places: Mapping[Place, Wanted], steps: Steps, difference: Difference, atlas: Atlas) -> Wanted:
    """Return what all times of a layer must become; Uneven where they differ."""
    sides = {place.times: each for place, each in places.items() if place.steps == steps}
    first, *others = sides.values()
    everywhere = times(difference, atlas).get(steps, set()) <= sides.keys()
    if any(said(each) != said(first) for each in others) or not (everywhere or said(first) == said(Wanted())):
        message = "The repetitions of one layer are changed differently."
        raise Uneven(message, steps)
    return Wanted(first.activation, first.left_out, first.behind, any(each.redrawn for each in sides.values()))


def stands(atlas: Atlas, parameter: str, steps: Steps) -> bool:
    """Whether a parameter is one of the layer at these steps."""
    place = atlas.parameters.get(parameter)
    return place is not None and place.steps == steps


def inside(graph: Graph, atlas: Atlas, value: str) -> bool:
    """Whether a value is read within the layer that makes it, by more than what moves numbers about."""
    home, waiting = atlas.nodes.get(graph.producers()[value].name), [value]
    while waiting:
        for node in graph.consumers(waiting.pop()):
            if atlas.nodes.get(node.name) != home:
                continue
            if node.op not in PLAIN:
                return True
            waiting.extend(node.outputs)
    return False


def at_inputs(difference: Difference) -> Iterator[Inserted]:
    """Yield what is inserted behind the network's inputs."""
    names = {given.name for given in difference.before.inputs}
    return (each for each in difference.inserted if each.behind in names)


def times(difference: Difference, atlas: Atlas) -> dict[Steps, set[tuple[int, ...]]]:
    """Return every time of every layer of the document that holds an operator."""
    found: dict[Steps, set[tuple[int, ...]]] = {}
    for name in live(difference.before):
        place = atlas.nodes.get(name)
        if place is not None:
            found.setdefault(place.steps, set()).add(place.times)
    return found


def drawn(difference: Difference, atlas: Atlas, steps: Steps) -> dict[str, dict[tuple[int, ...], list[Drawn]]]:
    """Return how the weights of a layer are to be drawn, by role and time.

    NoWay where one of them holds numbers that no law draws.
    """
    fan_of = dict(_fans(difference.after))
    found: dict[str, dict[tuple[int, ...], list[Drawn]]] = {}
    for name, place in atlas.parameters.items():
        if place is None or place.steps != steps:
            continue
        law = difference.law(name)
        if law is None:
            message = f"{name} is given numbers that no law draws."
            raise NoWay(message, steps)
        role = atlas.roles[name]
        fan = fan_of.get(name) or fan_of.get(_kernel_of(name)) or Fans(1, 1)
        found.setdefault(role, {}).setdefault(place.times, []).append(Drawn(law, fan, bias=name.endswith("bias")))
    return found


def _kernel_of(bias: str) -> str:
    return f"{bias.removesuffix('bias')}kernel"


def _fans(graph: Graph) -> Iterator[tuple[str, Fans]]:
    """Yield the fans of each kernel."""
    for node in graph.nodes:
        recurrent = node.op in {"LSTM", "GRU", "RNN"}
        if node.op not in KERNELS and not recurrent:
            continue
        for name in node.inputs[1 : 3 if recurrent else 2]:
            if name in graph.parameters:
                shape = tuple(graph.parameters[name].value.shape)
                yield name, _gate_fans(shape, node) if recurrent else _kernel_fans(shape, node)


def _gate_fans(shape: tuple[int, ...], node: Node) -> Fans:
    units = node.attributes["hidden_size"]
    return Fans(shape[-1], units if isinstance(units, int) else 1)


def _kernel_fans(shape: tuple[int, ...], node: Node) -> Fans:
    if not shape:
        return Fans(1, 1)
    return fans(shape, node.op, transposed=bool(node.attributes.get("transB", 0)))
