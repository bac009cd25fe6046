"""ONNX's operators as functions of torch tensors, one module per family.

To add one: a function decorated with `@op("Name", since=version)` in the family's module.  Its signature is its entry
in the specification: inputs in order (None where an optional one is absent), attributes by keyword with the
specification's defaults.  An operator that needs more than its inputs takes a keyword `context`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from inspect import signature
from typing import TypeAlias, TypeVar

import torch
from torch import Tensor

from service.registry import Registry

Result: TypeAlias = Tensor | tuple[Tensor | None, ...]
Function: TypeAlias = Callable[..., Result]
Body: TypeAlias = Callable[..., tuple[Tensor, ...]]
"""A subgraph as an operator sees it: tensors in, its outputs out."""

Some = TypeVar("Some", bound=Callable[..., Result])


NEWEST = 100
"""A version above every one that a function here is written for."""


@dataclass(frozen=True)
class Context:
    """What an operator may ask beside its inputs and attributes."""

    opset: int
    """The version of the operator's domain that is in force."""
    outputs: int
    """How many outputs the node names."""
    training: bool = False
    generator: torch.Generator | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    states: dict[str, tuple[Tensor, ...]] | None = None
    """Where a recurrent operator leaves its state after each step, by direction; None where nobody asks."""


@dataclass(frozen=True)
class Operator:
    """A function, and what it takes."""

    function: Function
    since: int
    contextual: bool
    attributes: frozenset[str]


operators: Registry[Operator] = Registry(__name__)


def op(name: str, since: int = 1, domain: str = "") -> Callable[[Some], Some]:
    """Register a function as operator `name`, right from version `since` of its domain on."""

    def register(function: Some) -> Some:
        parameters = signature(function).parameters.values()
        attributes = frozenset(each.name for each in parameters if each.kind is each.KEYWORD_ONLY)
        operator = Operator(function, since, "context" in attributes, attributes - {"context"})
        operators.add(_key(domain, name, since), operator)
        return function

    return register


def find(domain: str, name: str, opset: int) -> Operator | None:
    """Return the newest function for `name` that version `opset` of `domain` allows; None where there is none."""
    for since in range(min(opset, NEWEST), 0, -1):
        if (found := operators.get(_key(domain, name, since))) is not None:
            return found
    return None


def integers(values: Tensor | Sequence[int]) -> list[int]:
    """Return the whole numbers that an input or attribute holds."""
    return [int(value) for value in (values.reshape(-1).tolist() if isinstance(values, Tensor) else values)]


def beside(data: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
    """Return `others` on the device of `data`: shape integers may live on the CPU."""
    return tuple(other if other.device == data.device else other.to(data.device) for other in others)


def together(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Return all tensors on one device: the first that is not the CPU, if any."""
    there = next((tensor for tensor in tensors if tensor.device.type != "cpu"), tensors[0])
    return beside(there, *tensors)


def _key(domain: str, name: str, since: int) -> str:
    return f"{domain}/{name}/{since:03}"
