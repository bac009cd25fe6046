"""What a model takes: its InputLayers, or what the first layer of a Sequential says of them."""

from dataclasses import dataclass
from typing import Any, Final

from service.contract.problem import Invalid, TooComplex, UnsupportedModel
from service.keras.base import Form, bounded
from service.keras.making import named

_TYPES: Final = {
    "int32": "int64",
    "int64": "int64",
    "int16": "int64",
    "int8": "int64",
    "uint8": "int64",
    "bool": "bool",
}


@dataclass(frozen=True)
class Input:
    """An input of a model."""

    name: str
    form: Form
    at: str


def implied(spec: dict[str, Any], config: dict[str, Any], listed: list[tuple[Any, str]], at: str) -> Input:
    """Return the input of a Sequential whose first layer, or whose build, says the shape."""
    first = named(*listed[0])[1] if listed else {}
    build = spec.get("build_config")
    build = build if isinstance(build, dict) else {}
    shapes = build.get("shapes_dict")
    for shape in (
        first.get("batch_input_shape"), first.get("batch_shape"), config.get("build_input_shape"),
        build.get("input_shape"), shapes.get("input_shape") if isinstance(shapes, dict) else None,
    ):  # fmt: skip
        if isinstance(shape, list):
            stem = first.get("name") if isinstance(first.get("name"), str) else "input"
            return Input(f"{stem}_input" if stem != "input" else stem, _form(shape, "float32", at), at)
    detail = "The Sequential has no input shape: start it with an Input, or build it before to_json()."
    raise Invalid(detail, pointer=f"{at}/config/layers")


def read_input(spec: dict[str, Any], at: str) -> Input:
    """Return what an InputLayer says; Invalid or UnsupportedModel where it cannot be fed."""
    _, config = named(spec, at)
    shape = config.get("batch_shape", config.get("batch_input_shape"))
    if not isinstance(shape, list):
        detail = "An InputLayer has a `batch_shape` (in tf.keras 2: `batch_input_shape`), a list of sizes."
        raise Invalid(detail, pointer=f"{at}/config")
    dtype = config.get("dtype")
    dtype = dtype if isinstance(dtype, str) else "float32"
    if dtype == "string":
        detail = "The input holds text; examine the model behind its vectorization, with tokens as input."
        raise UnsupportedModel(detail, pointer=f"{at}/config/dtype")
    name = config.get("name") or spec.get("name")
    return Input(name if isinstance(name, str) and name else "input", _form(shape, dtype, f"{at}/config"), at)


def _form(shape: list[Any], dtype: str, at: str) -> Form:
    sizes = shape[1:]
    for size in sizes:
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= 10**7):
            detail = f"A size is {size!r:.80}; it must be a whole number from 1 to 10,000,000, or null."
            raise Invalid(detail, pointer=at)
    if len(sizes) > 6:  # noqa: PLR2004  images over time have four
        detail = f"The input has {len(sizes)} axes; the limit is 6."
        raise TooComplex(detail, pointer=at)
    return Form(bounded(tuple(sizes), at), dtype=_TYPES.get(dtype, "float32"))  # type: ignore[arg-type]
