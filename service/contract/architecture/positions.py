"""What a sequence is given before attention sees it: its positions, and steps that are learned."""

from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field

from service.contract.architecture.base import SEQUENCE, LayerBase, Shape, fits
from service.contract.architecture.laws import Init, InitSpec


class PositionalEmbedding(LayerBase):
    """Adds a row of a table to each step of (time, features)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "positional_embedding", "table": "sinusoidal"},
                {"kind": "positional_embedding", "init": {"law": "truncated_normal", "std": 0.02}},
            ]
        }
    )

    kind: Literal["positional_embedding"]
    table: Literal["learned", "sinusoidal"] = "learned"
    init: InitSpec = Init()
    """The law of a learned table; normal with a standard deviation of 0.02 by default."""

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape, which must be a sequence."""
        fits(shape, at, SEQUENCE)
        return shape

    def weights(self, shape: Shape) -> int:
        """Return time · features where the table is learned."""
        return shape[0] * shape[1] if self.table == "learned" else 0


class ClassToken(LayerBase):
    """Puts learned steps before a sequence, the same for every sample: [CLS], or a vision transformer's registers."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "class_token"}]})

    kind: Literal["class_token"]
    count: Annotated[int, Field(ge=1, le=1024)] = 1
    init: InitSpec = Init()
    """The law of the steps; normal with a standard deviation of 0.02 by default."""

    def output(self, shape: Shape, at: str) -> Shape:
        """Return a longer sequence."""
        fits(shape, at, SEQUENCE)
        return (shape[0] + self.count, shape[1])

    def weights(self, shape: Shape) -> int:
        """Return count · features."""
        return self.count * shape[1]


Positions: TypeAlias = PositionalEmbedding | ClassToken
