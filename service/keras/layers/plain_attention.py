"""Keras's attention without kernels: Attention (Luong's) and AdditiveAttention (Bahdanau's)."""

from math import prod
from typing import Any, ClassVar, Literal

from service.contract.architecture.base import MOST_NUMBERS
from service.contract.problem import Invalid, TooComplex
from service.keras.attending import SEQUENCE, Rate
from service.keras.base import Call, KerasLayer, Shape, known, shown
from service.keras.layers import keras
from service.keras.masks import stretching


class Plain(KerasLayer):
    """Attention of [query, value] or [query, value, key] as they are."""

    parameters: ClassVar[tuple[str, ...]] = ("inputs", "mask", "training", "return_attention_scores", "use_causal_mask")

    use_scale: bool = False
    dropout: Rate = 0.0
    causal: bool = False
    """tf.keras 2's way to say `use_causal_mask`."""

    @property
    def additive(self) -> bool:
        """Whether scores are sums of tanh(query + key), not products."""
        raise NotImplementedError

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Return (query steps, value features), and the weights' shape where the call returns them."""
        shapes = [each.shape for each in call.of("inputs")]
        if len(shapes) not in {2, 3}:
            detail = (
                f"The layer is called with [query, value] or [query, value, key]; it is given {len(shapes)} tensors."
            )
            raise Invalid(detail, pointer=at)
        query, value, key = shapes[0], shapes[1], shapes[-1]
        for shape in shapes:
            if len(shape) != SEQUENCE:
                detail = f"The layer takes (time, features); what reaches it has the shape {shown(shape)}."
                raise Invalid(detail, pointer=at)
        features = known(query[1], at, "features of the query")
        if features != key[1] or (None not in {value[0], key[0]} and value[0] != key[0]):
            detail = f"Queries {shown(query)}, keys {shown(key)} and values {shown(value)} do not fit each other."
            raise Invalid(detail, pointer=at)
        total = prod(size or 1 for size in (query[0], key[0], features if self.additive else 1))
        if total > MOST_NUMBERS:
            detail = f"The scores take {total} numbers per sample; the limit is {MOST_NUMBERS}."
            raise TooComplex(detail, pointer=at)
        named = call.get("mask")
        for mask, size in zip(named if isinstance(named, list) else [], (query[0], value[0]), strict=False):
            if isinstance(mask, call.kind):
                stretching(mask.shape, (size,), "mask", at)
        made = (query[0], known(value[1], at, "features of the value"))
        return (made, (query[0], key[0])) if call.get("return_attention_scores") else (made,)


@keras("Attention")
class Attention(Plain):
    """Scores are products of query and key, or sums of the tanh of both; neither is divided by √features."""

    score_mode: Literal["dot", "concat"] = "dot"

    @property
    def additive(self) -> bool:
        """Whether scores are sums of tanh(query + key)."""
        return self.score_mode == "concat"

    def held(self, call: Call[Any]) -> int:  # noqa: ARG002  every layer is asked in the same way
        """Return a factor of the scores, and one of the sums."""
        return self.use_scale + self.additive


@keras("AdditiveAttention")
class AdditiveAttention(Plain):
    """Scores are sums of tanh(query + key), each feature with a weight."""

    use_scale: bool = True

    @property
    def additive(self) -> bool:
        """Scores are sums."""
        return True

    def held(self, call: Call[Any]) -> int:
        """Return one per feature."""
        return (call.of("inputs")[0].shape[-1] or 0) if self.use_scale else 0
