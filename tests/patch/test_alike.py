"""What counts as the same network: other names and other ways to write it do, everything else does not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest
import torch

from tests.probe.subjects import node
from worker.network.graph import Graph, Input, Law, Node, Parameter, stream
from worker.network.laws import Constant, Fans, Normal, Orthogonal, Permuted, Reshaped, Shifted, Stacked, Times, Uniform
from worker.patch.alike import alike
from worker.patch.recipe import Absolute, Drawn, Fixed, Gained, Recipe, Scaling, recipe
from worker.patch.same_law import same_law

LAW = Normal((4, 4), 0.5)
NODES = (
    node("Gemm", "x k b", "h"),
    node("LeakyRelu", "h", "r", alpha=0.1),
    node("Mul", "r two", "m"),
    node("Sub", "m x", "y"),
)


def drawn(law: Law) -> Parameter:
    return Parameter(law(stream(0, "k")), law)


def graph(nodes: Sequence[Node] = NODES, law: Law = LAW, number: float = 2.0) -> Graph:
    """Return 2 · LeakyRelu(x K + b) − x, or something like it."""
    parameters = {"k": drawn(law), "b": drawn(Constant((4,), 0.0))}
    given = (Input("x", torch.float32, ("batch", 4)),)
    return Graph(tuple(nodes), given, ("y",), parameters, {"two": torch.tensor(number)})


def renamed(name: str, other: str, nodes: Sequence[Node] = NODES) -> list[Node]:
    """Return the nodes with one value under another name."""
    return [
        replace(
            each,
            inputs=tuple(other if value == name else value for value in each.inputs),
            outputs=tuple(other if value == name else value for value in each.outputs),
        )
        for each in nodes
    ]


TURNED = [node("Transpose", "h", "t", perm=(1, 0)), node("Transpose", "t", "u", perm=(1, 0))]
SAME: Mapping[str, Callable[[], Graph]] = {
    "another name": lambda: graph(renamed("h", "hidden")),
    "an identity": lambda: graph([NODES[0], node("Identity", "h", "i"), *renamed("h", "i", NODES[1:])]),
    "turned and back": lambda: graph([NODES[0], *TURNED, *renamed("h", "u", NODES[1:])]),
    "a default written out": lambda: graph([node("Gemm", "x k b", "h", alpha=1.0), *NODES[1:]]),
    "a division by a half": lambda: graph([*NODES[:2], node("Div", "r two", "m"), NODES[3]], number=0.5),
    "another draw of one law": lambda: graph().redrawn(7),
    "a node that nothing depends on": lambda: graph([*NODES, node("Tanh", "h", "unused")]),
}
OTHER: Mapping[str, Callable[[], Graph]] = {
    "another operator": lambda: graph([NODES[0], node("Elu", "h", "r", alpha=0.1), *NODES[2:]]),
    "another number": lambda: graph([NODES[0], node("LeakyRelu", "h", "r", alpha=0.2), *NODES[2:]]),
    "another constant": lambda: graph(number=2.1),
    "inputs exchanged": lambda: graph([*NODES[:3], node("Sub", "x m", "y")]),
    "another wire": lambda: graph([*NODES[:3], node("Sub", "m h", "y")]),
    "one node less": lambda: graph([NODES[0], *renamed("r", "h", NODES[2:])]),
    "another spread": lambda: graph(law=Normal((4, 4), 0.51)),
    "another law": lambda: graph(law=Uniform((4, 4), -0.5, 0.5)),
    "turned once": lambda: graph([NODES[0], TURNED[0], *renamed("h", "t", NODES[1:])]),
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_network_is_recognised(name: str) -> None:
    found = alike(graph(), SAME[name]())
    assert found is not None
    assert found.parameters == {"k": "k", "b": "b"}


@pytest.mark.parametrize("name", OTHER)
def test_another_network_is_told_apart(name: str) -> None:
    assert alike(graph(), OTHER[name]()) is None


def test_one_weight_read_twice_is_not_two_weights() -> None:
    nodes = [node("Gemm", "x k", "h"), node("Gemm", "h k", "y")]
    twice = graph(nodes)
    parted = graph([nodes[0], node("Gemm", "h l", "y")])
    parted = parted.replace(parameters={**parted.parameters, "l": drawn(LAW)})
    assert alike(twice, twice) is not None
    assert alike(twice, parted) is None
    assert alike(parted, twice) is None


GATES = (4, 2)
LAWS: Mapping[str, tuple[Law, Law]] = {
    "a factor": (Times(Normal((4,), 0.5), 0.5), Normal((4,), 0.25)),
    "a factor of gates": (
        Times(Stacked((Orthogonal((2, 2)),) * 2, (4, 2)), 3.0),
        Stacked((Orthogonal((2, 2), 3.0),) * 2, (4, 2)),
    ),
    "a shifted constant": (Shifted(Constant((4,), 0.25), 0.75), Constant((4,), 1.0)),
    "numbers laid out otherwise": (Permuted(Uniform((2, 3), -1, 1), (1, 0)), Uniform((3, 2), -1, 1)),
    "a factor of what is laid out": (Times(Reshaped(Normal((6,), 1.0), (2, 3)), 2.0), Normal((2, 3), 2.0)),
}


@pytest.mark.parametrize("name", LAWS)
def test_laws_that_draw_the_same_are_the_same(name: str) -> None:
    one, two = LAWS[name]
    assert same_law(one, two)
    assert not same_law(one, Times(two, 1.1))
    first, second = (law(stream(3, "k")) for law in LAWS[name])
    assert first.shape == second.shape


@pytest.mark.parametrize(
    ("laws", "said"),
    [
        ([Normal((8, 4), 0.5), Normal((32, 4), 0.25)], Scaling(2.0, "fan_in", "normal")),
        ([Uniform((8, 4), -0.5, 0.5), Uniform((4, 8), -0.5, 0.5)], Scaling(0.5, "fan_avg", "uniform")),
        ([Normal((8, 4), 0.5), Normal((4, 8), 0.5)], Scaling(1.5, "fan_avg", "normal")),
        ([Normal((8, 4), 0.5), Normal((16, 4), 0.5), Normal((8, 9), 0.5)], Absolute(0.0, 0.5, "normal")),
        ([Constant((8, 4), 0.0), Constant((3, 3), 0.0)], Fixed(0.0)),
        ([Orthogonal((8, 4), 2.0)], Gained(2.0, "orthogonal")),
        ([Normal((8, 4), 0.5), Uniform((8, 4), -0.5, 0.5)], None),
        ([Normal((8, 4), 0.5), Normal((8, 4), 0.6)], None),
    ],
)
def test_one_sentence_is_true_of_all_weights_or_there_is_none(laws: Sequence[Law], said: Recipe | None) -> None:
    shapes = [law.shape for law in laws]  # type: ignore[attr-defined]
    assert recipe([Drawn(law, Fans(*shape)) for law, shape in zip(laws, shapes, strict=True)]) == said
