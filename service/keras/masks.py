"""The masks that an attention is called with: whether they fit."""

from typing import Any

from service.contract.problem import Invalid, UnsupportedModel
from service.keras.base import Call, Shape
from service.keras.operations import constant


def masked(call: Call[Any], wanted: Shape, at: str) -> None:
    """Pass masks that stretch to (heads, query steps, key steps); Invalid otherwise."""
    _, steps, seen = wanted
    for name, size in (("query_mask", steps), ("value_mask", seen), ("key_mask", seen)):
        for given in call.of(name):
            stretching(given.shape, (size,), name, at)
    mask = call.get("attention_mask")
    if isinstance(mask, call.kind):
        stretching(mask.shape, wanted[3 - max(2, len(mask.shape)) :], "attention_mask", at)
    elif mask is not None:
        sizes = constant(mask, at)
        stretching(sizes, (1, *wanted)[4 - min(4, max(2, len(sizes))) :], "attention_mask", at)


def stretching(shape: Shape, wanted: Shape, name: str, at: str) -> None:
    """Pass a mask's sizes where each is the wanted one, or 1; Invalid otherwise."""
    pairs = zip(shape, wanted, strict=False)
    if len(shape) != len(wanted) or any(size not in {None, 1, whole} and whole is not None for size, whole in pairs):
        detail = f"The {name} has the sizes {list(shape)}; {list(wanted)} are expected."
        raise Invalid(detail, pointer=at)


def unmasked(call: Call[Any], at: str, *, windowed: bool) -> None:
    """Pass a call without masks and returned weights, over other axes than time; UnsupportedModel otherwise."""
    given = [name for name in call.arguments if name.endswith("_mask") and call.get(name) not in (None, False)]
    if given or call.get("return_attention_scores") or windowed:
        raise unmaskable(at)


def unmaskable(at: str) -> UnsupportedModel:
    """Return the refusal of masks over other axes than time."""
    detail = "Masks and returned weights are examined for (time, features) only; export the model to ONNX."
    return UnsupportedModel(detail, pointer=at)
