"""How a file says what a layer is called with: Keras 3's `args` and `kwargs`, and tf.keras 2's nested lists."""

from collections.abc import Iterator
from typing import Any

from service.contract.problem import Invalid, UnsupportedModel
from service.keras.base import Call, KerasLayer, Ref


def bound(node: Any, layer: KerasLayer, at: str) -> Call[Ref]:  # noqa: ANN401  what the file holds
    """Return the arguments of one inbound node, under the names of the layer's parameters."""
    if isinstance(node, dict):
        args, kwargs = node.get("args", []), node.get("kwargs", {})
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            detail = "A call has `args`, a list, and `kwargs`, an object."
            raise Invalid(detail, pointer=at)
        args, kwargs = [_read(each, at) for each in args], {name: _read(each, at) for name, each in kwargs.items()}
    else:
        args, kwargs = _older(node, at)
    if len(args) > len(layer.parameters):
        args = [args] if len(layer.parameters) == 1 else args
    if len(args) > len(layer.parameters):
        detail = f"The layer takes {', '.join(layer.parameters)}; it is called with {len(args)} arguments."
        raise Invalid(detail, pointer=at)
    call = Call({**dict(zip(layer.parameters, args, strict=False)), **kwargs}, Ref)
    if not call.leaves:
        detail = f"The layer {layer.name!r} is called without a tensor."
        raise Invalid(detail, pointer=at)
    for name, value in call.arguments.items():
        if layer.constants is not None and name not in layer.constants and _numbers(value):
            detail = (
                f"The layer {layer.name!r} is called with numbers of the file as {name}; what computes them is lost.  "
                "Give them as an input, compute them from one, or export the model to ONNX."
            )
            raise UnsupportedModel(detail, pointer=at)
    return call


def _numbers(value: Any) -> bool:  # noqa: ANN401  what a call can be given
    """Whether an argument holds a list of numbers, a constant of the file."""
    if isinstance(value, list):
        return any(isinstance(each, int | float) or _numbers(each) for each in value)
    return isinstance(value, dict) and any(map(_numbers, value.values()))


def _read(value: Any, at: str) -> Any:  # noqa: ANN401  what the file holds
    """Return an argument with its tensors as references."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            config = value.get("config")
            return _ref(config.get("keras_history") if isinstance(config, dict) else None, at)
        if value.get("class_name") in ("__tuple__", "__tensor__", "__numpy__"):
            held = value.get("items", value.get("config"))
            return _read(held.get("value") if isinstance(held, dict) else held, at)
        return {name: _read(each, at) for name, each in value.items()}
    if isinstance(value, list):
        return [_read(each, at) for each in value]
    return value


def _older(node: Any, at: str) -> tuple[list[Any], dict[str, Any]]:  # noqa: ANN401  what the file holds
    """Return the arguments of a tf.keras 2 node: `[["name", 0, 0, {kwargs}], …]`."""
    if _is_ref(node):
        node = [node]
    if not isinstance(node, list) or not node or not all(_is_ref(each) for each in node):
        detail = "A call is an object with `args`, or a list of [layer, call, output, kwargs]."
        raise Invalid(detail, pointer=at)
    tensors = [_ref(each[:3], at) for each in node]
    kwargs: dict[str, Any] = {}
    for each in node:
        if len(each) > 3 and isinstance(each[3], dict):  # noqa: PLR2004  the fourth holds the keywords
            kwargs |= {name: _nested(value, at) for name, value in each[3].items()}
    return [tensors if len(tensors) > 1 else tensors[0]], kwargs


def _nested(value: Any, at: str) -> Any:  # noqa: ANN401  what the file holds
    if _is_ref(value):
        return _ref(value[:3], at)
    return [_nested(each, at) for each in value] if isinstance(value, list) else value


def _is_ref(value: Any) -> bool:  # noqa: ANN401  what the file holds
    return (
        isinstance(value, list)
        and len(value) in {3, 4}
        and isinstance(value[0], str)
        and all(isinstance(each, int) for each in value[1:3])
    )


def _ref(value: Any, at: str) -> Ref:  # noqa: ANN401  what the file holds
    if not _is_ref(value) or min(value[1:3]) < 0:
        detail = f"A tensor is [layer, call, output]; it is {value!r:.80}."
        raise Invalid(detail, pointer=at)
    return Ref(value[0], value[1], value[2])


def refs(value: Any, at: str) -> Iterator[tuple[str, Ref]]:  # noqa: ANN401  what the file holds
    """Yield the tensors of `input_layers` or `output_layers`, each under its name."""
    if _is_ref(value):
        ref = _ref(value, at)
        yield ref.layer, ref
    elif isinstance(value, list):
        for each in value:
            yield from refs(each, at)
    elif isinstance(value, dict):
        for name, each in value.items():
            found = list(refs(each, at))
            yield from ((name, ref) for _, ref in found) if len(found) == 1 else found
    elif isinstance(value, str):
        yield value, Ref(value, 0, 0)
    else:
        detail = f"A list of [layer, call, output] is expected; there is {value!r:.80}."
        raise Invalid(detail, pointer=at)
