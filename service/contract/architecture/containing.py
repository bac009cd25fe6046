"""What layers that hold layers share."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import Field

from service.contract.architecture.base import LayerBase, Signal
from service.contract.architecture.wiring import Step
from service.contract.problem import Invalid

if TYPE_CHECKING:
    from service.contract.architecture.container import Layer

Chain: TypeAlias = Annotated[tuple["Layer", ...], Field(fail_fast=True, min_length=1, max_length=200)]
Branch: TypeAlias = Annotated[tuple["Layer", ...], Field(fail_fast=True, max_length=200)]


class Container(LayerBase):
    """A layer made of one value's way through layers."""

    def after(self, given: tuple[Signal, ...], at: str) -> Signal:
        """Return what the layers inside make of the signal."""
        if len(given) != 1:
            detail = f"The block reads one value; {len(given)} are named."
            raise Invalid(detail, pointer=f"{at}/inputs")
        return self.passed(given[0], at)

    def passed(self, signal: Signal, at: str) -> Signal:
        """Return what the layers inside make of the signal; Invalid where they do not fit."""
        raise NotImplementedError


def held_by(steps: Iterator[Step]) -> int:
    """Return how many trained numbers the steps hold."""
    return sum(step.weights for step in steps)
