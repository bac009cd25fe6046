"""Plain recurrent operators, in whose cells a function stands."""

from dataclasses import replace

from worker.network.graph import Node
from worker.patch.places import NoWay


def within(node: Node) -> Node:
    """Return the function in the cells of an RNN as an operator of its own; NoWay where directions differ."""
    functions = node.attributes.get("activations", ("Tanh",))
    if not isinstance(functions, tuple) or len(set(functions)) > 1 or "activation_alpha" in node.attributes:
        message = f"The cells of one recurrent layer are to hold {functions}."
        raise NoWay(message)
    return replace(node, op=str(functions[0]), attributes={})
