"""How far gradients come, told from a graph alone: forwards from one value, and back from an output, say the same."""

import sys
from pathlib import Path

import onnx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from suite import LIGHT, node_cases

from service.contract.problem import Trouble
from worker.network.flow import cut_off, flow
from worker.network.graph import Graph
from worker.network.model import interpret

MANY = 12
"""Nodes from which a case is worth following."""


def graphs() -> list[Graph]:
    """Return the suite's larger graphs, and those of loops and branches."""
    found = []
    for case in node_cases():
        deep = any(attribute.HasField("g") for node in case.model.graph.node for attribute in node.attribute)
        if deep or len(case.model.graph.node) >= MANY:
            try:
                found.append(interpret(case.model))
            except Trouble:
                continue
    return found


@pytest.mark.filterwarnings("ignore")
def test_following_forwards_and_back_agree() -> None:
    compared = cut = 0
    for graph in graphs():
        for output in graph.outputs:
            back = cut_off(graph, output)
            for given in graph.inputs:
                found = flow(graph, [given.name])
                assert (given.name in back) == (output in found.moved - found.reached), (graph.nodes, given.name)
                assert bool(found.cuts(graph, output)) >= (given.name in back), "nothing is named"
                compared, cut = compared + 1, cut + (given.name in back)
    assert compared > 500
    assert cut > 40


@pytest.mark.parametrize("name", ["light_resnet50", "light_densenet121", "light_inception_v1"])
def test_a_gradient_comes_back_to_every_image(name: str) -> None:
    graph = interpret(onnx.load(LIGHT / f"{name}.onnx"))
    (output,) = graph.outputs
    assert graph.inputs[0].name not in cut_off(graph, output)
    assert flow(graph, [graph.inputs[0].name]).cuts(graph, output) == ()
