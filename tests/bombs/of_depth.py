"""Bombs of depth: functions that multiply, graphs inside graphs, chains without end."""

from itertools import pairwise

import onnx
from onnx import FunctionProto, NodeProto, TensorProto, helper

from service.contract.problem import TooComplex, UnreadableModel
from tests.bombs.bombs import bomb, field, model, number

OPSETS = [helper.make_opsetid("", 20), helper.make_opsetid("local", 1)]


def calling(*functions: FunctionProto, name: str) -> bytes:
    """Return a model that calls one of its functions."""
    made = model("y = Relu(x)")
    made.graph.node[0].domain, made.graph.node[0].op_type = "local", name
    made.functions.extend(functions)
    return bytes(made.SerializeToString())


def function(name: str, nodes: list[NodeProto]) -> FunctionProto:
    """Return a function of a to b."""
    return helper.make_function("local", name, ["a"], ["b"], nodes, OPSETS)


def tower(levels: int, width: int) -> list[FunctionProto]:
    """Return functions, each of which calls the one before `width` times."""
    made = [function("F0", [helper.make_node("Relu", ["a"], ["b"])])]
    for level in range(1, levels):
        names = ["a", *(f"t{at}" for at in range(width - 1)), "b"]
        pairs = pairwise(names)
        calls = [helper.make_node(f"F{level - 1}", [left], [right], domain="local") for left, right in pairs]
        made.append(function(f"F{level}", calls))
    return made


@bomb(TooComplex)
def a_billion_laughs() -> bytes:
    return calling(*tower(10, 10), name="F9")


@bomb(TooComplex)
def two_to_the_sixty_laughs() -> bytes:
    return calling(*tower(61, 2), name="F60")


@bomb(TooComplex)
def laughs_inside_branches() -> bytes:
    made = onnx.load_from_string(calling(*tower(10, 10), name="F9"))
    call = made.graph.node[0]
    branch = helper.make_graph([call], "b", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    nested = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    del made.graph.node[:]
    made.graph.node.append(nested)
    made.graph.initializer.append(helper.make_tensor("c", TensorProto.BOOL, [], [True]))
    return bytes(made.SerializeToString())


@bomb(TooComplex)
def three_thousand_levels_of_functions() -> bytes:
    return calling(*tower(3000, 1), name="F2999")


@bomb(UnreadableModel)
def a_function_that_calls_itself() -> bytes:
    return calling(function("F", [helper.make_node("F", ["a"], ["b"], domain="local")]), name="F")


@bomb(UnreadableModel)
def two_functions_that_call_each_other() -> bytes:
    pairs = (("F", "G"), ("G", "F"))
    return calling(
        *(function(one, [helper.make_node(other, ["a"], ["b"], domain="local")]) for one, other in pairs), name="F"
    )


@bomb(UnreadableModel)
def a_function_that_calls_itself_in_a_branch() -> bytes:
    call = helper.make_node("F", ["a"], ["b"], domain="local")
    branch = helper.make_graph([call], "b", [], [helper.make_tensor_value_info("b", TensorProto.FLOAT, None)])
    nested = helper.make_node("If", ["a"], ["b"], then_branch=branch, else_branch=branch)
    return calling(function("F", [nested]), name="F")


@bomb(TooComplex)
def branches_inside_branches() -> bytes:
    output = field(12, field(1, b"y"))
    inner = field(1, field(1, b"x") + field(2, b"y") + field(4, b"Relu")) + output
    for _ in range(60):
        branch = field(5, field(1, b"then_branch") + number(20, 5) + field(6, inner))
        inner = field(1, field(1, b"x") + field(2, b"y") + field(4, b"If") + branch) + output
    return field(8, b"\x10\x14") + field(7, inner)


@bomb(TooComplex)
def a_chain_of_sixty_thousand_nodes() -> bytes:
    nodes = (field(1, field(1, b"v%d" % at) + field(2, b"v%d" % (at + 1)) + field(4, b"Relu")) for at in range(60_000))
    return field(8, b"\x10\x14") + field(7, b"".join(nodes))
