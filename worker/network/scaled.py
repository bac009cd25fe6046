"""Parameters made larger or smaller, and the laws that draw them with them, so that fresh draws are as well."""

from dataclasses import replace

import torch

from worker.network.graph import Parameter
from worker.network.laws import Constant, Times


def times(parameter: Parameter, factor: float) -> Parameter:
    """Return a parameter whose numbers, and whose draws, are multiplied by a factor."""
    law = None if parameter.law is None else Times(parameter.law, factor)
    return replace(parameter, value=parameter.value * factor, law=law)


def zeroed(parameter: Parameter) -> Parameter:
    """Return a parameter that is zero in every draw."""
    law = Constant(tuple(parameter.value.shape), 0.0)
    return replace(parameter, value=torch.zeros_like(parameter.value), law=law)
