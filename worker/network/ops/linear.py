"""Products of matrices."""

import torch
from torch import Tensor

from worker.network.ops import op, together


@op("MatMul")
def mat_mul(a: Tensor, b: Tensor) -> Tensor:
    """The matrix product, over leading axes as numpy does."""
    left, right = together(a, b)
    if left.is_floating_point():
        return torch.matmul(left, right)
    return torch.matmul(left.to(torch.int64), right.to(torch.int64)).to(a.dtype)


@op("Gemm", since=7)
def gemm(
    a: Tensor,
    b: Tensor,
    c: Tensor | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,  # noqa: N803  the specification's name
    transB: int = 0,  # noqa: N803  the specification's name
) -> Tensor:
    """Alpha a b + beta c, with a or b transposed where asked."""
    left, right = a.t() if transA else a, b.t() if transB else b
    if c is not None and alpha == beta == 1:
        return torch.addmm(c, left, right)
    product = left @ right
    scaled = product if alpha == 1 else product * alpha
    return scaled if c is None else scaled + (c if beta == 1 else c * beta)


@op("Einsum")
def einsum(*factors: Tensor, equation: str) -> Tensor:
    """The sum of products that Einstein's notation names."""
    return torch.einsum(equation.replace(" ", ""), *factors)


@op("Det")
def det(x: Tensor) -> Tensor:
    """The determinant of each matrix."""
    determinant: Tensor = torch.linalg.det(x)
    return determinant
