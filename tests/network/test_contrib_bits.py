"""Weights of few bits, against onnxruntime."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from service.contract.problem import UnsupportedOperator
from worker.network.dtypes import INT4, UINT4

Oracle = Callable[..., float]
Gradients = Callable[..., None]
Ours = Callable[..., list[Tensor]]
N = 5


def weights(columns: int, block: int, bits: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return random codes and scales, and zero points that lie several to a byte."""
    blocks = -(-columns // block)
    codes = torch.randint(0, 256, (N, blocks, block * bits // 8), dtype=torch.uint8)
    zeros = torch.randint(0, 256, (N, -(-blocks * bits // 8)), dtype=torch.uint8)
    return codes, 0.1 * torch.rand(N, blocks) + 0.01, zeros


@pytest.mark.parametrize(
    ("bits", "zeros"),
    [*((bits, zeros) for bits in (2, 4) for zeros in ("none", "packed", "floats")), (8, "none"), (8, "packed")],
)
@pytest.mark.parametrize(("columns", "block"), [(32, 16), (48, 32), (64, 64)])
@pytest.mark.parametrize("biased", [False, True])
def test_rows_of_blocks_are_multiplied(  # noqa: PLR0917  two truths and what varies
    oracle: Oracle,
    gradients: Gradients,
    bits: int,
    columns: int,
    block: int,
    zeros: str,
    biased: bool,  # noqa: FBT001
) -> None:
    codes, scales, packed = weights(columns, block, bits)
    shift = {"none": None, "packed": packed, "floats": 2 ** (bits - 1) + torch.randn(scales.shape)}[zeros]
    inputs = (torch.randn(2, 3, columns), codes, scales, shift, None, torch.randn(N) if biased else None)
    given = {"K": columns, "N": N, "bits": bits, "block_size": block}
    held = (1, 2) if shift is None else (1, 2, 3)
    oracle("MatMulNBits", *inputs, held=held, **given)
    gradients("MatMulNBits", *inputs, **given)


def test_columns_may_name_their_block(oracle: Oracle) -> None:
    codes, scales, _ = weights(32, 16, 4)
    groups = torch.randint(0, 2, (32,), dtype=torch.int32)
    given = {"K": 32, "N": N, "bits": 4, "block_size": 16}
    oracle("MatMulNBits", torch.randn(3, 32), codes, scales, None, groups, held=(1, 2, 4), **given)


def test_prepacked_weights_are_refused(ours: Ours) -> None:
    codes, scales, _ = weights(32, 16, 4)
    with pytest.raises(UnsupportedOperator, match="prepacked as 1"):
        ours("MatMulNBits", torch.randn(3, 32), codes, scales, K=32, N=N, block_size=16, weight_prepacked=1)


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("columns", [32, 24])
def test_codes_of_four_bits_are_multiplied(oracle: Oracle, gradients: Gradients, kind: int, columns: int) -> None:
    codes = torch.randint(0, 256, ((N * columns + 1) // 2,), dtype=torch.uint8)
    inputs = (torch.randn(2, 3, columns), codes, torch.rand((N * columns + 15) // 16))
    given = {"K": columns, "N": N, "block_size": 16, "quant_type": kind}
    oracle("MatMulBnb4", *inputs, held=(1, 2), **given)
    gradients("MatMulBnb4", *inputs, **given)


TABLES: list[tuple[dict[str, Any], tuple[int, ...], tuple[int, ...]]] = [
    ({"gather_axis": 0, "quantize_axis": 1}, (7, 32), (7, 2)),
    ({"gather_axis": 0, "quantize_axis": -1}, (7, 3, 32), (7, 3, 2)),
]
OTHERS: list[tuple[dict[str, Any], tuple[int, ...], tuple[int, ...]]] = [
    *TABLES,
    ({"gather_axis": 1, "quantize_axis": 0}, (32, 7), (2, 7)),
    ({"gather_axis": 1, "quantize_axis": 1}, (3, 32), (3, 2)),
    ({"gather_axis": 2, "quantize_axis": 1}, (2, 32, 7), (2, 2, 7)),
]


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize(("given", "shape", "scales"), TABLES)
@pytest.mark.parametrize("indices", [[3], [[0, 6], [2, 2]]])
@pytest.mark.parametrize("shifted", [False, True])
def test_a_table_of_packed_numbers_is_read(  # noqa: PLR0917  two truths and what varies
    oracle: Oracle,
    gradients: Gradients,
    bits: int,
    given: dict[str, Any],
    shape: tuple[int, ...],
    scales: tuple[int, ...],
    indices: Any,  # noqa: ANN401  nested
    shifted: bool,  # noqa: FBT001
) -> None:
    data = torch.randint(0, 256, (*shape[:-1], shape[-1] * bits // 8), dtype=torch.uint8)
    zeros = torch.randint(0, 256, (*scales[:-1], -(-scales[-1] * bits // 8)), dtype=torch.uint8) if shifted else None
    inputs = (data, torch.tensor(indices), torch.rand(scales), zeros)
    oracle("GatherBlockQuantized", *inputs, held=(0, 2, 3) if shifted else (0, 2), bits=bits, block_size=16, **given)
    gradients("GatherBlockQuantized", *inputs, bits=bits, block_size=16, **given)


@pytest.mark.parametrize("kind", [INT4, UINT4])
@pytest.mark.parametrize(("given", "shape", "scales"), OTHERS)
@pytest.mark.parametrize("shifted", [False, True])
def test_a_table_of_small_numbers_is_read(  # noqa: PLR0917  two truths and what varies
    oracle: Oracle,
    kind: torch.dtype,
    given: dict[str, Any],
    shape: tuple[int, ...],
    scales: tuple[int, ...],
    shifted: bool,  # noqa: FBT001
) -> None:
    def small(sizes: tuple[int, ...]) -> Tensor:
        return torch.randint(0, 8, sizes).to(torch.uint8).view(kind)

    inputs = (small(shape), torch.tensor([2, 1, 0]), torch.rand(scales), small(scales) if shifted else None)
    oracle("GatherBlockQuantized", *inputs, held=(0, 2, 3) if shifted else (0, 2), block_size=16, **given)
