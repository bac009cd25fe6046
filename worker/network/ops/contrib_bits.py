"""onnxruntime's products and tables of weights of few bits, which are floats again before they are used.

Gradients pass to activations, scales and biases; the weights themselves are whole numbers, which do not learn.
"""

import torch
from torch import Tensor
from torch.nn import functional

from service.contract.problem import UnsupportedOperator
from worker.network.lowbit import wide
from worker.network.ops import beside, op
from worker.network.ops.standard import MICROSOFT, standard

BYTE = 8
FLOATS = (0.0, 0.0052083333, 0.6666667, 1.0, 0.3333333, 0.5, 0.1666667, 0.25)
"""What the lower half of four bits stands for as a float; the upper half is the same with a minus."""
BELOW = (-1.0, -0.6961928, -0.52507305, -0.39491749, -0.28444138, -0.18477343, -0.09105004)
ABOVE = (0.0, 0.0795803, 0.1609302, 0.2461123, 0.33791524, 0.44070983, 0.562617, 0.72295684, 1.0)
"""The other meaning of four bits: quantiles of the normal law (Dettmers et al. 2023)."""
CODES = (torch.tensor([*FLOATS, *(-each for each in FLOATS)]), torch.tensor([*BELOW, *ABOVE]))


def _unpacked(x: Tensor, bits: int) -> Tensor:
    """Return the numbers that lie several to a byte on the last axis, the lowest bits first."""
    shifts = torch.arange(0, BYTE, bits, dtype=torch.uint8, device=x.device)
    codes: Tensor = (x[..., None] >> shifts) & (2**bits - 1)
    return codes.flatten(-2)


@op("MatMulNBits", domain=MICROSOFT)
def mat_mul_of_bits(  # noqa: PLR0917  the specification's inputs
    a: Tensor,
    b: Tensor,
    scales: Tensor,
    zeros: Tensor | None = None,
    groups: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    K: int,  # noqa: N803  the specification's name
    N: int,  # noqa: N803  the specification's name
    block_size: int,
    accuracy_level: int = 0,
    bits: int = 4,
    weight_prepacked: int = 0,
) -> Tensor:
    """A times a matrix [N, K] transposed, whose rows are blocks of a few bits, each block with a scale and a zero."""
    if weight_prepacked or BYTE % bits:
        msg = f"MatMulNBits of {bits} bits, prepacked as {weight_prepacked}, is not supported; 2, 4 and 8, plain, are."
        raise UnsupportedOperator(msg)
    blocks = -(-K // block_size)
    codes = _unpacked(b.reshape(N, -1), bits)[:, : blocks * block_size]
    each = torch.arange(codes.shape[1], device=b.device) // block_size
    if groups is not None:
        each = torch.cat([groups.to(torch.int64), each[len(groups) :]])
    shift = _zeros(zeros, bits, (N, blocks)).to(scales.dtype)
    weight = (codes.to(scales.dtype) - shift[:, each]) * scales.reshape(N, blocks)[:, each]
    return functional.linear(a, weight[:, :K].to(a.dtype), bias)


def _zeros(zeros: Tensor | None, bits: int, shape: tuple[int, int]) -> Tensor:
    """Return the blocks' zero points; the middle of the numbers where none are given."""
    if zeros is None:
        return torch.tensor([[2 ** (bits - 1)]]).expand(shape)
    if zeros.is_floating_point():
        return zeros.reshape(shape)
    return _unpacked(zeros.reshape(shape[0], -1), bits)[:, : shape[1]]


@op("MatMulBnb4", domain=MICROSOFT)
def mat_mul_of_four_bits(
    a: Tensor,
    b: Tensor,
    largest: Tensor,
    *,
    K: int,  # noqa: N803  the specification's name
    N: int,  # noqa: N803  the specification's name
    block_size: int,
    quant_type: int,
    training_mode: int = 0,
    transB: int = 1,  # noqa: N803  the specification's name
) -> Tensor:
    """A times a matrix [N, K], transposed or not, of codes of four bits, each block times its largest number."""
    (table,) = beside(a, CODES[quant_type])
    pairs = b.reshape(-1)
    which = torch.stack([pairs >> 4, pairs & 15], -1).flatten()[: N * K]
    scale = largest.repeat_interleave(block_size)[: N * K]
    weight = (table[which.to(torch.int64)] * scale).reshape(N, K).to(a.dtype)
    return a @ (weight.mT if transB else weight)


@op("GatherBlockQuantized", domain=MICROSOFT)
def gather_of_blocks(
    data: Tensor,
    indices: Tensor,
    scales: Tensor,
    zeros: Tensor | None = None,
    *,
    bits: int = 4,
    block_size: int = 128,
    gather_axis: int = 0,
    quantize_axis: int = 1,
) -> Tensor:
    """The entries of a table along an axis, whose numbers are blocks of a few bits, each with a scale and a zero."""
    codes, shift = _codes(data, bits), None if zeros is None else _codes(zeros, bits)
    if shift is None:
        shift = torch.full_like(scales, 2 ** (bits - 1) if data.dtype == torch.uint8 else 0)
    along, quantized = gather_axis % data.dim(), quantize_axis % data.dim()
    parts = [codes, scales, shift[tuple(map(slice, scales.shape))]]
    if along == quantized:
        return _picked(_floats(parts, quantized, block_size), indices, along)
    picked = [_picked(part, indices, along) for part in parts]
    return _floats(picked, quantized + (indices.dim() - 1 if quantized > along else 0), block_size)


def _codes(x: Tensor, bits: int) -> Tensor:
    return _unpacked(x, bits) if x.dtype == torch.uint8 else wide(x)


def _floats(parts: list[Tensor], axis: int, block: int) -> Tensor:
    """Return codes, less their zeros, times scales that are for `block` numbers each along an axis."""
    codes, scale, shift = parts
    spread = [each.repeat_interleave(block, axis).narrow(axis, 0, codes.shape[axis]) for each in (scale, shift)]
    return (codes.to(scale.dtype) - spread[1].to(scale.dtype)) * spread[0]


def _picked(x: Tensor, indices: Tensor, axis: int) -> Tensor:
    y: Tensor = standard("Gather")(x, indices, axis=axis)
    return y
