"""The project's own description of a network: a chain of layers in JSON.

`parse(bytes)` gives an `Architecture` whose shapes fit and whose size is under the limits.  A new kind of layer is a
class here with its line in `container.Layer`, and a function of the same kind in `worker/load/lowering/`.
"""

from service.contract.architecture.base import LayerBase, Shape
from service.contract.architecture.container import Layer, Repeat, Residual
from service.contract.architecture.document import Architecture, InputSpec
from service.contract.architecture.laws import AnyLaw, Init
from service.contract.architecture.reading import parse

__all__ = ["AnyLaw", "Architecture", "Init", "InputSpec", "Layer", "LayerBase", "Repeat", "Residual", "Shape", "parse"]
