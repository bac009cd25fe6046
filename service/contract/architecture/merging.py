"""Layers that join several values, which only nodes can read."""

from typing import Literal, TypeAlias

from pydantic import ConfigDict

from service.contract.architecture.base import Joint, Shape
from service.contract.problem import Invalid


class Elementwise(Joint):
    """Adds, multiplies, averages … values of the same shape, number by number."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "add", "name": "sum", "inputs": ["a", "b"]}], "x-reads": [[8], [8]]}
    )

    kind: Literal["add"]

    def joined(self, shapes: tuple[Shape, ...], at: str) -> Shape:
        """Return the shape that all have."""
        if len(set(shapes)) > 1:
            shown = " and ".join(str(list(shape)) for shape in shapes)
            detail = f"The values must have one shape; they have {shown}."
            raise Invalid(detail, pointer=f"{at}/inputs")
        return shapes[0]


Merges: TypeAlias = Elementwise
