"""The project's own description of a network in JSON: a chain of layers, or a graph of nodes.

`parse(bytes)` gives an `Architecture` whose shapes fit and whose size is under the limits.  A new kind of layer is a
class here, in its family's list at the end of the module, and a function of the same kind in `worker/load/lowering/`.
"""

from service.contract.architecture.base import LayerBase, Shape, Signal
from service.contract.architecture.branching import Residual
from service.contract.architecture.container import Layer, Repeat
from service.contract.architecture.document import Architecture, Given, InputSpec
from service.contract.architecture.laws import AnyLaw, Init
from service.contract.architecture.reading import parse

__all__ = [
    "AnyLaw",
    "Architecture",
    "Given",
    "Init",
    "InputSpec",
    "Layer",
    "LayerBase",
    "Repeat",
    "Residual",
    "Shape",
    "Signal",
    "parse",
]
