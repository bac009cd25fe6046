"""Tables that are looked up, and masks."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from service.contract.problem import Invalid
from service.keras.base import Call, KerasLayer, Shape, Spec, shown
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

    def weights(self, shape: Shape) -> int:  # noqa: ARG002  every layer is asked in the same way
        """Return the table's numbers."""
        return self.input_dim * self.output_dim


@keras("ReversibleEmbedding")
class ReversibleEmbedding(Embedding):
    """A table that also gives logits: with `reverse`, a product with itself, transposed, or with a second one."""

    parameters: ClassVar[tuple[str, ...]] = ("inputs", "reverse")
    ignored: ClassVar[frozenset[str]] = frozenset({"reverse_dtype", "weights"})

    tie_weights: bool = True
    logit_soft_cap: Annotated[float, Field(gt=0, le=1e6)] | None = None

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Append the axis of features, or exchange it for one of logits."""
        shape = call.one.shape
        if call.get("reverse") is not True:
            return ((*shape, self.output_dim),)
        if not shape or shape[-1] != self.output_dim:
            detail = f"The table has rows of {self.output_dim} numbers; {shown(shape)} reaches it."
            raise Invalid(detail, pointer=f"{at}/inbound_nodes")
        return ((*shape[:-1], self.input_dim),)

    def weights(self, shape: Shape) -> int:
        """Return the numbers of the table, or of both."""
        return super().weights(shape) * (1 if self.tie_weights else 2)


@keras("Masking")
class Masking(KerasLayer):
    """Puts zeros where a step holds mask_value throughout, and says that such steps do not count."""

    mask_value: Annotated[float, Field(ge=-1e30, le=1e30, allow_inf_nan=False)] = 0.0


@keras("Identity")
class Identity(KerasLayer):
    """Passes on what reaches it."""

    masking: ClassVar[Literal["passes", "stops"]] = "passes"
