"""ONNX's operators as functions of torch tensors, one module per family.

To add one: a function decorated with `@op("Name", since=version)` in the family's module.  Its signature is its entry
in the specification: inputs in order (None where an optional one is absent), attributes by keyword with the
specification's defaults.  An operator that needs more than its inputs takes a keyword `context`.

An operator that steps or chooses (`Round`, `ArgMax`, a comparison) is marked `gradient=False`: whoever asks why a
weight does not learn is told its name.  Where only some inputs act so, `fixed` names them.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import wraps
from inspect import Parameter, signature
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
    training: bool | None = False
    """Whether normalizations and dropout are in training; None where the file's own attributes decide."""
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
    gradient: bool = True
    """Whether a gradient can pass from any output to any input."""
    fixed: frozenset[int] = frozenset()
    """Places of the inputs that none passes to all the same: they choose, count or scale in steps."""

    def passes(self, place: int) -> bool:
        """Whether a gradient can pass to the input at `place`, if that holds floats."""
        return self.gradient and place not in self.fixed


operators: Registry[Operator] = Registry(__name__)


def op(
    name: str, since: int = 1, domain: str = "", *, gradient: bool = True, fixed: Collection[str] = ()
) -> Callable[[Some], Some]:
    """Register a function as operator `name`, right from version `since` of its domain on.

    Without `gradient` its outputs are constants to whatever comes after; inputs named `fixed` count as constants.
    """

    def register(function: Some) -> Some:
        parameters = signature(function).parameters.values()
        attributes = frozenset(each.name for each in parameters if each.kind is each.KEYWORD_ONLY)
        operator = Operator(
            function if gradient else _apart(function),
            since,
            "context" in attributes,
            attributes - {"context"},
            gradient,
            _places(list(parameters), fixed),
        )
        operators.add(_key(domain, name, since), operator)
        return function

    return register


def _apart(function: Callable[..., Result]) -> Function:
    """Return the function, its results off torch's graph: some that torch gives a gradient of zeros would hide it."""

    @wraps(function)
    def applied(*inputs: object, **given: object) -> Result:
        with torch.no_grad():
            return function(*inputs, **given)

    return applied


def _places(parameters: Sequence[Parameter], chosen: Collection[str]) -> frozenset[int]:
    """Return where the named parameters stand; ValueError where a function has no such."""
    names = [each.name for each in parameters]
    return frozenset(names.index(name) for name in chosen)


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
