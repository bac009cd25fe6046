"""Functions within a recurrent cell."""

from typing import Literal, TypeAlias

Squash: TypeAlias = Literal[
    "tanh", "sigmoid", "hard_sigmoid", "relu", "leaky_relu", "elu", "softsign", "softplus", "linear"
]
"""Functions within a cell; `hard_sigmoid` is x / 6 + 1 / 2 between 0 and 1, `leaky_relu` has the slope 0.01."""
