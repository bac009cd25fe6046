"""Operators that sample images anew: resizing, by torch's own kernels or axis by axis, and grids."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional

from worker.network.ops import integers, op

NEAREST: dict[str, Callable[[Tensor], Tensor]] = {
    "round_prefer_floor": lambda at: torch.ceil(at - 0.5),
    "round_prefer_ceil": lambda at: torch.floor(at + 0.5),
    "floor": torch.floor,
    "ceil": torch.ceil,
}
OUTWARD = "outward"
"""How version 10 took the nearest: up where it shrank, down where it grew."""
CROP = "tf_crop_and_resize"
BLOCKS = {
    ("asymmetric", "floor"),
    ("asymmetric", OUTWARD),
    ("half_pixel", "round_prefer_floor"),
    ("half_pixel", "round_prefer_ceil"),
    ("pytorch_half_pixel", "round_prefer_floor"),
    ("pytorch_half_pixel", "round_prefer_ceil"),
}
"""Ways of taking the nearest that make a block of each element where the scale is a whole number."""
LINEAR = {3: "linear", 4: "bilinear", 5: "trilinear"}
"""Torch's names by rank."""
SINGLE = 1e-6
"""The relative error of a scale in single precision."""
KEYS, IMAGES = -0.75, 4
"""The cubic kernel that torch has, and the rank for which it has it."""


@dataclass(frozen=True)
class Sampling:
    """How `Resize` samples, whatever the axis."""

    mode: str
    coordinates: str
    nearest: str
    cubic: float
    exclude_outside: bool
    antialias: bool
    outside: float


@dataclass(frozen=True)
class Axis:
    """One axis to resize: its sizes before and after, the scale, and the region of interest."""

    index: int
    before: int
    after: int
    scale: float
    begin: float = 0.0
    end: float = 1.0

    @property
    def same(self) -> bool:
        """Whether nothing changes along this axis."""
        return self.before == self.after and self.scale == 1

    @property
    def exact(self) -> bool:
        """Whether the new size is the scaled one, without rounding but that of single precision."""
        return abs(self.scale * self.before - self.after) < SINGLE * self.after

    def shaped(self, values: Tensor, rank: int) -> Tensor:
        """Return one value per new position, shaped to broadcast along this axis."""
        return values.reshape([-1 if axis == self.index else 1 for axis in range(rank)])


def _align_corners(at: Tensor, axis: Axis) -> Tensor:
    """Return positions with first on first and last on last, by the length that there is, as torch counts.

    The suite's two cases that shrink take the length before rounding, which puts the last element elsewhere.
    """
    return at * (axis.before - 1) / (axis.after - 1) if axis.after > 1 else at * 0


def _crop(at: Tensor, axis: Axis) -> Tensor:
    last = axis.before - 1
    if axis.after > 1:
        return axis.begin * last + at * (axis.end - axis.begin) * last / (axis.after - 1)
    return at * 0 + 0.5 * (axis.begin + axis.end) * last


def _symmetric(at: Tensor, axis: Axis) -> Tensor:
    adjustment = axis.after / (axis.scale * axis.before)
    return axis.before / 2 * (1 - adjustment) + (at + 0.5) / axis.scale - 0.5


COORDINATES: dict[str, Callable[[Tensor, Axis], Tensor]] = {
    "align_corners": _align_corners,
    "asymmetric": lambda at, axis: at / axis.scale,
    "half_pixel": lambda at, axis: (at + 0.5) / axis.scale - 0.5,
    "half_pixel_symmetric": _symmetric,
    "pytorch_half_pixel": lambda at, axis: (at + 0.5) / axis.scale - 0.5 if axis.after > 1 else at * 0,
    CROP: _crop,
    "tf_half_pixel_for_nn": lambda at, axis: (at + 0.5) / axis.scale,
}
"""Where a new position lies among the old ones."""


def _linear(distance: Tensor) -> Tensor:
    return (1 - distance.abs()).clamp(min=0)


def _cubic(distance: Tensor, a: float) -> Tensor:
    """Keys' cubic convolution kernel."""
    d = distance.abs()
    near = (a + 2) * d**3 - (a + 3) * d**2 + 1
    far = a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
    return torch.where(d <= 1, near, torch.where(d < 2, far, torch.zeros_like(d)))  # noqa: PLR2004  the kernel's reach


def _resized(x: Tensor, axis: Axis, how: Sampling) -> Tensor:
    """Return x sampled anew along one axis."""
    at = COORDINATES[how.coordinates](torch.arange(axis.after, dtype=torch.float64), axis)
    if how.mode == "nearest":
        way = ("ceil" if axis.scale < 1 else "floor") if how.nearest == OUTWARD else how.nearest
        places = NEAREST[way](at).clamp(0, axis.before - 1).long()
        y = x.index_select(axis.index, places.to(x.device))
    else:
        y = _weighted(x, axis, at, how)
    if how.coordinates != CROP:
        return y
    outside = axis.shaped((at < 0) | (at > axis.before - 1), x.dim())
    return y.masked_fill(outside.to(x.device), how.outside)


def _weighted(x: Tensor, axis: Axis, at: Tensor, how: Sampling) -> Tensor:
    """Return the sum of each new position's neighbours, weighted by the kernel."""
    shrink = min(axis.scale, 1.0) if how.antialias else 1.0
    reach = math.ceil((1 if how.mode == "linear" else 2) / shrink)
    steps = torch.arange(1 - reach, reach + 1, dtype=torch.float64).reshape(-1, 1)
    places = torch.floor(at) + steps
    distance = (places - at) * shrink
    weights = _linear(distance) if how.mode == "linear" else _cubic(distance, how.cubic)
    if how.exclude_outside:
        weights = weights.where((places >= 0) & (places < axis.before), 0)
    if how.exclude_outside or how.antialias:
        weights = weights / weights.sum(0, keepdim=True)
    matrix = torch.zeros(axis.after, axis.before, dtype=torch.float64)
    rows = torch.arange(axis.after).expand(places.shape)
    matrix.index_put_((rows, places.clamp(0, axis.before - 1).long()), weights, accumulate=True)
    kind = x.dtype if x.is_floating_point() else torch.float32
    mixed = x.to(kind).movedim(axis.index, -1) @ matrix.to(x.device, kind).t()
    return mixed.movedim(-1, axis.index)


@op("Resize", since=11, fixed=["roi", "scales"])
def resize(
    x: Tensor,
    roi: Tensor | None = None,
    scales: Tensor | None = None,
    sizes: Tensor | None = None,
    *,
    antialias: int = 0,
    axes: Sequence[int] | None = None,
    coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch",
    mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor",
) -> Tensor:
    """X with other sizes along some axes, interpolated between its elements."""
    how = Sampling(
        mode,
        coordinate_transformation_mode,
        nearest_mode,
        cubic_coeff_a,
        bool(exclude_outside),
        bool(antialias),
        extrapolation_value,
    )
    along = [axis % x.dim() for axis in (range(x.dim()) if axes is None else axes)]
    targets = _targets(x, along, scales, sizes, keep_aspect_ratio_policy)
    regions = roi.reshape(2, -1).t().tolist() if roi is not None and roi.numel() else [(0.0, 1.0)] * len(along)
    described = [
        Axis(index, x.shape[index], *target, *region)
        for index, target, region in zip(along, targets, regions, strict=True)
    ]
    moving = [axis for axis in described if not axis.same or how.coordinates == CROP]
    kernel = _kernel(x, moving, how)
    if kernel is not None:
        return _interpolated(x, moving, *kernel)
    return reduce(lambda y, axis: _resized(y, axis, how), moving, x).to(x.dtype)


def _kernel(x: Tensor, axes: Sequence[Axis], how: Sampling) -> tuple[str, bool | None] | None:
    """Return torch's mode, and whether corners are aligned, for what its own kernels compute; None for the rest."""
    spatial = x.is_floating_point() and 3 <= x.dim() <= 5 and all(axis.index > 1 and axis.exact for axis in axes)  # noqa: PLR2004
    if not spatial or how.antialias or how.exclude_outside:
        return None
    if how.mode == "nearest":
        whole = all(axis.scale.is_integer() for axis in axes)
        return ("nearest", None) if whole and (how.coordinates, how.nearest) in BLOCKS else None
    centred = how.coordinates == "half_pixel" or (
        how.coordinates == "pytorch_half_pixel" and all(axis.after > 1 for axis in axes)
    )
    aligned = how.coordinates == "align_corners"
    if not centred and not aligned:
        return None
    if how.mode == "linear":
        return LINEAR[x.dim()], aligned
    return ("bicubic", aligned) if how.cubic == KEYS and x.dim() == IMAGES else None


def _interpolated(x: Tensor, axes: Sequence[Axis], mode: str, aligned: bool | None) -> Tensor:  # noqa: FBT001  torch's own
    sizes = list(x.shape[2:])
    for axis in axes:
        sizes[axis.index - 2] = axis.after
    return functional.interpolate(x, sizes, mode=mode, align_corners=aligned)


def _targets(
    x: Tensor, along: Sequence[int], scales: Tensor | None, sizes: Tensor | None, policy: str
) -> list[tuple[int, float]]:
    """Return the new size and the scale of each axis."""
    if sizes is None or not sizes.numel():
        factors = [] if scales is None else [float(scale) for scale in scales.tolist()]
        return [(_scaled(x.shape[axis], scale), scale) for axis, scale in zip(along, factors, strict=True)]
    after = integers(sizes)
    ratios = [size / x.shape[axis] for axis, size in zip(along, after, strict=True)]
    if policy == "stretch":
        return list(zip(after, ratios, strict=True))
    scale = min(ratios) if policy == "not_larger" else max(ratios)
    return [(math.floor(scale * x.shape[axis] + 0.5), scale) for axis in along]


def _scaled(size: int, scale: float) -> int:
    """Return a size times a scale, rounded down, in single precision: 10 times 0.7 is 7."""
    return math.floor(float(torch.tensor(scale, dtype=torch.float32) * size))


@op("Resize", since=10, fixed=["scales"])
def resize_by_scales(x: Tensor, scales: Tensor, *, mode: str = "nearest") -> Tensor:
    """X with its sizes multiplied by scales."""
    return resize(x, None, scales, mode=mode, coordinate_transformation_mode="asymmetric", nearest_mode=OUTWARD)


@op("Upsample", since=9, fixed=["scales"])
def upsample(x: Tensor, scales: Tensor, *, mode: str = "nearest") -> Tensor:
    """X with its sizes multiplied by scales."""
    return resize_by_scales(x, scales, mode={"bilinear": "linear"}.get(mode, mode))


@op("Upsample", since=7)
def upsample_by_attribute(x: Tensor, *, scales: Sequence[float], mode: str = "nearest") -> Tensor:
    """X with its sizes multiplied by scales."""
    return upsample(x, torch.tensor(scales), mode=mode)


@op("GridSample", since=16)
def grid_sample(
    x: Tensor, grid: Tensor, *, align_corners: int = 0, mode: str = "linear", padding_mode: str = "zeros"
) -> Tensor:
    """X read at the positions of a grid, which counts from -1 to 1."""
    kind = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)
    return functional.grid_sample(x, grid.to(x.dtype), kind, padding_mode, bool(align_corners))


@op("AffineGrid")
def affine_grid(theta: Tensor, size: Tensor, *, align_corners: int = 0) -> Tensor:
    """The grid that an affine map makes of an image's positions."""
    return functional.affine_grid(theta, integers(size), bool(align_corners))
