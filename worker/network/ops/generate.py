"""Operators that make tensors: constants, ranges, windows and random numbers."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from onnx import TensorProto
from torch import Tensor

from worker.network.dtypes import dtype
from worker.network.ops import Context, integers, op
from worker.network.room import check_room

HALVES = frozenset({torch.float16, torch.bfloat16})


@op("Constant")
def constant(
    *,
    value: Tensor | None = None,
    value_float: float | None = None,
    value_floats: Sequence[float] | None = None,
    value_int: int | None = None,
    value_ints: Sequence[int] | None = None,
    value_string: str | None = None,
    value_strings: Sequence[str] | None = None,
) -> Tensor:
    """The value of the attribute that is given; text is an array of numpy's objects."""
    if value is not None:
        return value
    if value_string is not None or value_strings is not None:
        return np.array(value_string if value_strings is None else value_strings, object)  # type: ignore[return-value]
    whole = value_int if value_ints is None else value_ints
    if whole is not None:
        return torch.tensor(whole, dtype=torch.int64)
    return torch.tensor(value_float if value_floats is None else value_floats, dtype=torch.float32)


@op("ConstantOfShape", gradient=False)
def constant_of_shape(sizes: Tensor, *, value: Tensor | None = None, context: Context) -> Tensor:
    """One value throughout; 0 by default."""
    fill = torch.zeros(1) if value is None else value
    return fill.reshape(-1)[0].to(context.device).expand(check_room(integers(sizes), fill.dtype)).contiguous()


@op("Range", fixed=["limit"])
def arange(start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    """The numbers from start on, by delta, below limit."""
    first, last, step = start.item(), limit.item(), delta.item()
    (count,) = check_room([max(0, math.ceil((last - first) / step))], start.dtype)
    return torch.arange(count, dtype=start.dtype, device=start.device) * delta.to(start.device) + start


@op("Range", since=27)
def arange_stashed(start: Tensor, limit: Tensor, delta: Tensor, *, stash_type: int = 1) -> Tensor:
    """The numbers from start on, by delta, below limit; those of half precision are counted in another type."""
    if start.dtype not in HALVES:
        return arange(start, limit, delta)
    wide = (each.to(dtype(stash_type)) for each in (start, limit, delta))
    return arange(*wide).to(start.dtype)


@op("EyeLike", gradient=False)
def eye_like(x: Tensor, *, dtype: int | None = None, k: int = 0) -> Tensor:
    """Ones on diagonal k of a matrix as large as x."""
    rows, columns = (torch.arange(size, device=x.device) for size in check_room(x.shape, torch.int64))
    return (columns - rows.reshape(-1, 1) == k).to(_chosen(dtype, x.dtype))


def _chosen(code: int | None, default: torch.dtype) -> torch.dtype:
    return default if code is None else dtype(code)


def _cosines(size: Tensor, periodic: int, weights: Sequence[float], code: int) -> Tensor:
    """Return a sum of cosines of 0, 1, 2 … times the angle."""
    count = int(size)
    angle = torch.arange(count, dtype=torch.float64) * (2 * math.pi / (count if periodic else count - 1))
    terms = [weight * torch.cos(order * angle) for order, weight in enumerate(weights)]
    return torch.stack(terms).sum(0).to(dtype(code))


@op("HannWindow", gradient=False)
def hann(size: Tensor, *, output_datatype: int = 1, periodic: int = 1) -> Tensor:
    """The Hann window."""
    return _cosines(size, periodic, [0.5, -0.5], output_datatype)


@op("HammingWindow", gradient=False)
def hamming(size: Tensor, *, output_datatype: int = 1, periodic: int = 1) -> Tensor:
    """The Hamming window, with the specification's weights 25/46 and 21/46."""
    return _cosines(size, periodic, [25 / 46, -21 / 46], output_datatype)


@op("BlackmanWindow", gradient=False)
def blackman(size: Tensor, *, output_datatype: int = 1, periodic: int = 1) -> Tensor:
    """The Blackman window."""
    return _cosines(size, periodic, [0.42, -0.5, 0.08], output_datatype)


def _noise(sizes: Sequence[int], context: Context, *, normal: bool) -> Tensor:
    there = context.device if context.generator is None else context.generator.device
    draw = torch.randn if normal else torch.rand
    return draw(check_room(sizes), generator=context.generator, device=there).to(context.device)


@op("RandomNormal")
def random_normal(
    *,
    shape: Sequence[int],
    dtype: int = 1,
    mean: float = 0.0,
    scale: float = 1.0,
    seed: float | None = None,
    context: Context,
) -> Tensor:
    """Normal noise from the run's generator."""
    return (_noise(shape, context, normal=True) * scale + mean).to(_chosen(dtype, torch.float32))


@op("RandomUniform")
def random_uniform(
    *,
    shape: Sequence[int],
    dtype: int = 1,
    high: float = 1.0,
    low: float = 0.0,
    seed: float | None = None,
    context: Context,
) -> Tensor:
    """Uniform noise from the run's generator."""
    return (_noise(shape, context, normal=False) * (high - low) + low).to(_chosen(dtype, torch.float32))


@op("RandomNormalLike", gradient=False)
def random_normal_like(
    x: Tensor,
    *,
    dtype: int | None = None,
    mean: float = 0.0,
    scale: float = 1.0,
    seed: float | None = None,
    context: Context,
) -> Tensor:
    """Normal noise in the shape of x."""
    return (_noise(x.shape, context, normal=True) * scale + mean).to(_chosen(dtype, x.dtype))


@op("RandomUniformLike", gradient=False)
def random_uniform_like(
    x: Tensor,
    *,
    dtype: int | None = None,
    high: float = 1.0,
    low: float = 0.0,
    seed: float | None = None,
    context: Context,
) -> Tensor:
    """Uniform noise in the shape of x."""
    return (_noise(x.shape, context, normal=False) * (high - low) + low).to(_chosen(dtype, x.dtype))


@op("Bernoulli", gradient=False)
def bernoulli(x: Tensor, *, dtype: int | None = None, seed: float | None = None, context: Context) -> Tensor:
    """1 with probability x, 0 otherwise."""
    return (_noise(x.shape, context, normal=False).to(x.device) < x).to(_chosen(dtype, x.dtype))


@op("Multinomial", since=7, gradient=False)
def multinomial(
    x: Tensor, *, dtype: int = TensorProto.INT32, sample_size: int = 1, seed: float | None = None, context: Context
) -> Tensor:
    """Classes [batch, samples], drawn by the logarithms of probabilities [batch, classes] that need not add up to 1."""
    there = x.device if context.generator is None else context.generator.device
    chances = torch.softmax(x.detach().float(), -1).to(there)
    drawn = torch.multinomial(chances, sample_size, replacement=True, generator=context.generator)
    return drawn.to(x.device, _chosen(dtype, torch.int32))
