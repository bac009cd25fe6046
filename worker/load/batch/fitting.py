"""Arrays as the graph's inputs want them: number type, rank, sizes and ranges."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from service.contract.problem import BatchMismatch
from worker.network.graph import Input

_BATCH = frozenset({"batch", "batch_size", "batchsize", "bs", "n", "n_batch"})
"""Names of the axis that counts samples."""
_CHANNELS_LAST = (0, 3, 1, 2)


def cast(value: Tensor, given: Input, notes: list[str]) -> Tensor:
    """Return an array in its input's number type; BatchMismatch where that loses more than precision."""
    if given.dtype.is_floating_point or given.dtype == value.dtype:
        return value.to(given.dtype)
    whole = value.to(given.dtype)
    if not torch.equal(whole.to(value.dtype), value):
        detail = f"{given.name!r} takes {_name(given.dtype)}; the batch's {_name(value.dtype)} do not all fit into it."
        raise BatchMismatch(detail)
    notes.append(f"{given.name} came as {_name(value.dtype)} and was read as {_name(given.dtype)}.")
    return whole


def fitted(inputs: Mapping[str, Tensor], declared: Sequence[Input]) -> int:
    """Return the number of samples; BatchMismatch where shapes or tokens do not fit what the graph declares."""
    sizes: dict[str, tuple[int, str]] = {}
    for each in declared:
        _shaped(inputs[each.name], each, sizes)
        _known(inputs[each.name], each)
    return next((len(value) for value in inputs.values() if value.dim()), 1)


def _shaped(value: Tensor, given: Input, sizes: dict[str, tuple[int, str]]) -> None:
    shape = tuple(value.shape)
    matches = len(shape) == len(given.shape) and all(
        size == wanted or isinstance(wanted, str) for size, wanted in zip(shape, given.shape, strict=True)
    )
    if not matches:
        detail = f"{given.name!r} has the shape {list(shape)}; the model takes {_shown(given)}{_hint(value, given)}."
        raise BatchMismatch(detail)
    if 0 in shape:
        detail = f"{given.name!r} has the shape {list(shape)}, which holds no numbers; at least one sample is needed."
        raise BatchMismatch(detail)
    for axis, (size, wanted) in enumerate(zip(shape, given.shape, strict=True)):
        if not isinstance(wanted, str) or (wanted == "?" and axis):
            continue
        first, where = sizes.setdefault("batch" if wanted == "?" else wanted, (size, given.name))
        if first != size:
            detail = f"{given.name!r} has {size} along axis {axis} ({wanted}); {where!r} has {first} there."
            raise BatchMismatch(detail)


def _hint(value: Tensor, given: Input) -> str:
    """Return a guess at what went wrong."""
    rest = given.shape[1:]
    if tuple(value.shape) == rest:
        return "; the batch axis seems to be missing"
    if tuple(value.shape[1:]) == rest:
        return "; the file fixes its batch, so export it with a free first axis (dynamic_shapes, or dynamic_axes)"
    if value.dim() == len(_CHANNELS_LAST) == len(given.shape):
        turned = value.permute(_CHANNELS_LAST).shape[1:]
        if all(size == wanted or isinstance(wanted, str) for size, wanted in zip(turned, rest, strict=True)):
            return "; the channels seem to stand last, and belong before height and width"
    return ""


def _known(value: Tensor, given: Input) -> None:
    if given.classes is None or value.dtype.is_floating_point:
        return
    low, high = int(value.min()), int(value.max())
    if low < 0 or high >= given.classes:
        wrong = low if low < 0 else high
        detail = f"{given.name!r} holds {wrong}; the model's table has {given.classes} rows, 0 to {given.classes - 1}."
        raise BatchMismatch(detail)


def turned(declared: Sequence[Input]) -> Iterator[str]:
    """Yield a note for inputs whose names of axes say that samples are not along the first."""
    for each in declared:
        names = [str(size).lower() for size in each.shape]
        axis = next((axis for axis, name in enumerate(names) if name in _BATCH), 0)
        if axis:
            yield (
                f"{each.name} calls its axis {axis} {each.shape[axis]!r}; samples are counted along the first axis all "
                f"the same, as the target is. To examine samples rather than what the first axis counts, export the "
                f"model with the batch first."
            )


def targeted(target: Tensor | None, size: int) -> Tensor | None:
    """Return the target as float32 or, of whole numbers and booleans, int64; BatchMismatch for another length."""
    if target is None:
        return None
    if not target.dim() or len(target) != size:
        detail = f"The target has the shape {list(target.shape)}; there are {size} samples."
        raise BatchMismatch(detail)
    if target.numel() == 0:
        detail = f"The target has the shape {list(target.shape)}, which holds no numbers."
        raise BatchMismatch(detail)
    return target.to(torch.float32 if target.dtype.is_floating_point else torch.int64)


def _shown(given: Input) -> str:
    return "[" + ", ".join(str(size) for size in given.shape) + "]"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
