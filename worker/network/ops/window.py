"""How a kernel slides over an input, for convolutions and pooling."""

from collections.abc import Sequence
from typing import NamedTuple


class Window(NamedTuple):
    """How a kernel slides: sizes, steps and gaps per axis, and padding at the begins, then at the ends."""

    kernel: list[int]
    strides: list[int]
    dilations: list[int]
    pads: list[int]

    def reach(self, axis: int) -> int:
        """Return how many elements the kernel spans along a spatial axis."""
        return (self.kernel[axis] - 1) * self.dilations[axis] + 1


def window(  # noqa: PLR0917  the attributes that convolutions and pooling share
    sizes: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int] | None,
    dilations: Sequence[int] | None,
    pads: Sequence[int] | None,
    auto_pad: str,
) -> Window:
    """Return the window that the attributes describe over an input of these spatial sizes."""
    rank = len(sizes)
    slid = Window(
        list(kernel), list(strides or [1] * rank), list(dilations or [1] * rank), list(pads or [0] * 2 * rank)
    )
    if auto_pad in {"SAME_UPPER", "SAME_LOWER"}:
        return slid._replace(pads=_same(sizes, slid, lower=auto_pad == "SAME_LOWER"))
    return slid._replace(pads=[0] * 2 * rank) if auto_pad == "VALID" else slid


def _same(sizes: Sequence[int], slid: Window, *, lower: bool) -> list[int]:
    less, more = [], []
    for axis, size in enumerate(sizes):
        steps = -(-size // slid.strides[axis])
        total = max(0, (steps - 1) * slid.strides[axis] + slid.reach(axis) - size)
        less.append(total // 2)
        more.append(total - total // 2)
    return more + less if lower else less + more


def torch_order(pads: Sequence[int]) -> list[int]:
    """Return ONNX's begins and ends in the order of `torch.nn.functional.pad`: last axis first."""
    rank = len(pads) // 2
    return [pad for axis in reversed(range(rank)) for pad in (pads[axis], pads[axis + rank])]
