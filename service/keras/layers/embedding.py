"""Tables that are looked up, and masks."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from service.keras.base import KerasLayer, Shape, Spec
from service.keras.layers import keras

Size = Annotated[int, Field(ge=1, le=10_000_000)]


@keras("Embedding")
class Embedding(KerasLayer):
    """Looks each token up in a table of `input_dim` rows; with mask_zero, token 0 is no step."""

    ignored: ClassVar[frozenset[str]] = frozenset({"weights"})

    input_dim: Size
    output_dim: Size
    embeddings_initializer: Spec = "uniform"
    embeddings_regularizer: Spec = None
    mask_zero: bool = False

    def output(self, shape: Shape, at: str) -> Shape:  # noqa: ARG002  every layer is asked in the same way
        """Append the axis of features."""
        return (*shape, self.output_dim)

    def held(self, shape: Shape) -> int:  # noqa: ARG002  every layer is asked in the same way
        """Return the table's numbers."""
        return self.input_dim * self.output_dim


@keras("Masking")
class Masking(KerasLayer):
    """Puts zeros where a step holds mask_value throughout, and says that such steps do not count."""

    mask_value: Annotated[float, Field(ge=-1e30, le=1e30, allow_inf_nan=False)] = 0.0


@keras("Identity")
class Identity(KerasLayer):
    """Passes on what reaches it."""

    masking: ClassVar[Literal["passes", "stops"]] = "passes"
