"""keras.ops.dot_product_attention: attention of heads that are cut already."""

from math import prod
from typing import Any, ClassVar

from service.contract.architecture.base import MOST_NUMBERS
from service.contract.problem import Invalid, TooComplex, UnsupportedModel
from service.keras.base import Call, Shape, known, shown
from service.keras.layers import keras
from service.keras.operations import Operation, calls

AXES = 3
"""Axes of (steps, heads, width)."""


@keras("ops.DotProductAttention")
class DotProductAttention(Operation):
    """Softmax of query · key / √width, times value; all are (steps, heads, width)."""

    parameters: ClassVar[tuple[str, ...]] = ("query", "key", "value", "bias", "mask", "scale")
    ignored: ClassVar[frozenset[str]] = frozenset({"flash_attention"})

    is_causal: bool = False
    attn_logits_soft_cap: float | None = None

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Return (query steps, heads, value width); Invalid where the heads do not fit, or a mask is no tensor."""
        self._examined(call, at)
        query, key, value = (_part(call, part, at) for part in ("query", "key", "value"))
        heads, few = (known(shape[1], calls(at), "number of heads") for shape in (query, key))
        if heads % few or key[1] != value[1] or query[2] != known(key[2], calls(at), "width of the keys"):
            detail = f"Queries {shown(query)}, keys {shown(key)} and values {shown(value)} do not fit each other."
            raise Invalid(detail, pointer=calls(at))
        total = prod(size or 1 for size in (heads, query[0], key[0]))
        if total > MOST_NUMBERS:
            detail = f"The weights take {total} numbers per sample; the limit is {MOST_NUMBERS}."
            raise TooComplex(detail, pointer=calls(at))
        return ((query[0], heads, known(value[2], calls(at), "width of the values")),)

    def _examined(self, call: Call[Any], at: str) -> None:
        if self.attn_logits_soft_cap is not None:
            detail = "attn_logits_soft_cap is not the same on every backend of Keras; export the model to ONNX."
            raise UnsupportedModel(detail, pointer=f"{at}/config/attn_logits_soft_cap")
        for part in ("bias", "mask"):
            given = call.get(part)
            if given is not None and (not isinstance(given, call.kind) or len(given.shape) != AXES):
                detail = f"A {part} is a tensor (samples, heads, query steps, key steps); is_causal hides later steps."
                raise Invalid(detail, pointer=calls(at))
        if call.get("bias") is not None and (call.get("mask") is not None or self.is_causal):
            detail = "Keras takes a bias or a mask, not both."
            raise Invalid(detail, pointer=calls(at))


def _part(call: Call[Any], part: str, at: str) -> Shape:
    given = call.get(part)
    if not isinstance(given, call.kind) or len(given.shape) != AXES:
        detail = f"The {part} is a tensor (samples, steps, heads, width)."
        raise Invalid(detail, pointer=calls(at))
    shape: Shape = given.shape
    return shape
