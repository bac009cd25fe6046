"""onnxruntime's operators that pick, place and cut numbers, from before ONNX had them."""

import torch
from torch import Tensor
from torch.nn import functional

from worker.network.ops import beside, integers, op
from worker.network.ops.standard import MICROSOFT, standard


@op("ExpandDims", domain=MICROSOFT)
def expand_dims(x: Tensor, axis: Tensor) -> Tensor:
    """X with an axis of size 1 put in."""
    return x.unsqueeze(int(axis))


@op("GatherND", domain=MICROSOFT)
def gather_nd(data: Tensor, indices: Tensor) -> Tensor:
    """The slices of data that each row of indices names."""
    y: Tensor = standard("GatherND")(data, indices)
    return y


@op("Pad", domain=MICROSOFT)
def pad(data: Tensor, pads: Tensor, value: Tensor | None = None, *, mode: str = "constant") -> Tensor:
    """Data with elements added before and after each axis, or taken away where a number is negative."""
    y: Tensor = standard("Pad")(data, pads, value, mode=mode)
    return y


@op("Range", domain=MICROSOFT, fixed=["limit"])
def numbers(start: Tensor, limit: Tensor, delta: Tensor | None = None) -> Tensor:
    """Start and what follows it by steps of delta (1), before limit."""
    step = torch.ones_like(start) if delta is None else delta
    y: Tensor = standard("Range")(*(each.reshape(()) for each in (start, limit, step)))
    return y


@op("Trilu", domain=MICROSOFT)
def trilu(x: Tensor, k: Tensor | None = None, *, upper: int = 1) -> Tensor:
    """The upper or lower triangle of each matrix, from diagonal k."""
    y: Tensor = standard("Trilu")(x, k, upper=upper)
    return y


@op("Unique", domain=MICROSOFT)
def unique(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The distinct elements in the order in which they come, which of them every one is, and how often they occur."""
    picked, _, inverse, counts = standard("Unique")(x, sorted=0)
    return picked, inverse, counts


@op("UnfoldTensor", domain=MICROSOFT)
def unfold(x: Tensor, *, size: int, dim: int = -1, step: int = 1) -> Tensor:
    """The slices of `size` elements along an axis, `step` apart, side by side on a new last axis."""
    return x.unfold(dim, size, step)


@op("TorchEmbedding", domain=MICROSOFT)
def embedding(
    weight: Tensor, indices: Tensor, padding: Tensor | None = None, by_frequency: Tensor | None = None
) -> Tensor:
    """The rows of a table; the padding's row learns nothing."""
    (where,) = beside(weight, indices)
    return functional.embedding(
        where,
        weight,
        None if padding is None else int(padding),
        scale_grad_by_freq=by_frequency is not None and bool(by_frequency),
    )


@op("GridSample", domain=MICROSOFT)
def grid_sample(
    x: Tensor, grid: Tensor, *, align_corners: int = 0, mode: str = "bilinear", padding_mode: str = "zeros"
) -> Tensor:
    """X read at the positions of a grid, which counts from -1 to 1."""
    y: Tensor = standard("GridSample")(x, grid, align_corners=align_corners, mode=mode, padding_mode=padding_mode)
    return y


@op("CropAndResize", domain=MICROSOFT)
def crop_and_resize(
    x: Tensor, boxes: Tensor, samples: Tensor, size: Tensor, *, extrapolation_value: float = 0.0, mode: str = "bilinear"
) -> Tensor:
    """Boxes (top, left, bottom, right, as shares of the image) cut out of the images named and brought to one size."""
    rows, columns = (
        _positions(boxes[:, axis], boxes[:, axis + 2], steps, x.shape[2 + axis])
        for axis, steps in enumerate(integers(size))
    )
    (where,) = beside(x, samples.to(torch.int64))
    images = x[where]
    if mode == "nearest":
        y = _at(images, (rows + 0.5).floor(), (columns + 0.5).floor())
    else:
        down, right = (rows - rows.floor())[:, None, :, None], (columns - columns.floor())[:, None, None, :]
        corners = [_at(images, i, j) for i in (rows.floor(), rows.ceil()) for j in (columns.floor(), columns.ceil())]
        top = corners[0] + (corners[1] - corners[0]) * right
        bottom = corners[2] + (corners[3] - corners[2]) * right
        y = top + (bottom - top) * down
    down_inside, right_inside = (_within(*each) for each in ((rows, x.shape[2]), (columns, x.shape[3])))
    inside = down_inside[:, None, :, None] & right_inside[:, None, None, :]
    return torch.where(inside, y, y.new_full((), extrapolation_value))


def _positions(begin: Tensor, end: Tensor, steps: int, length: int) -> Tensor:
    """Return where along an axis each box is read [boxes, steps]: from end to end, or in its middle."""
    share = torch.linspace(0, 1, steps) if steps > 1 else torch.tensor([0.5])
    (share,) = beside(begin, share.to(begin.dtype))
    return (begin[:, None] + (end - begin)[:, None] * share) * (length - 1)


def _within(places: Tensor, length: int) -> Tensor:
    return (places >= 0) & (places <= length - 1)


def _at(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return each image at whole rows and columns, those outside moved to the edge."""
    i = rows.detach().clamp(0, images.shape[2] - 1).to(torch.int64)[:, None, :, None]
    j = columns.detach().clamp(0, images.shape[3] - 1).to(torch.int64)[:, None, None, :]
    picked = images.gather(2, i.expand(-1, images.shape[1], -1, images.shape[3]))
    return picked.gather(3, j.expand(-1, images.shape[1], picked.shape[2], -1))
