"""onnxruntime's products of matrices, fused with what comes before and after."""

import torch
from torch import Tensor
from torch.nn import functional

from worker.network.ops import op
from worker.network.ops.standard import MICROSOFT, activated, standard


@op("FusedMatMul", domain=MICROSOFT)
def fused_mat_mul(
    a: Tensor,
    b: Tensor,
    *,
    alpha: float = 1.0,
    transA: int = 0,  # noqa: N803  the specification's name
    transB: int = 0,  # noqa: N803  the specification's name
    transBatchA: int = 0,  # noqa: N803  the specification's name
    transBatchB: int = 0,  # noqa: N803  the specification's name
) -> Tensor:
    """Alpha a b, each transposed where asked; a batch's transposition takes the first axis to the last but one."""
    product = torch.matmul(_turned(a, transBatchA, transA), _turned(b, transBatchB, transB))
    return product if alpha == 1 else product * alpha


def _turned(matrix: Tensor, batch: int, last: int) -> Tensor:
    moved = matrix.movedim(0, -2) if batch else matrix
    return moved.mT if last and matrix.dim() > 1 else moved


@op("TransposeMatMul", domain=MICROSOFT)
def transpose_mat_mul(
    a: Tensor,
    b: Tensor,
    *,
    alpha: float = 1.0,
    transA: int = 0,  # noqa: N803  the specification's name
    transB: int = 0,  # noqa: N803  the specification's name
) -> Tensor:
    """Alpha a b, each transposed where asked."""
    return fused_mat_mul(a, b, alpha=alpha, transA=transA, transB=transB)


@op("FusedMatMulActivation", domain=MICROSOFT)
def fused_mat_mul_activation(
    a: Tensor,
    b: Tensor,
    *,
    activation: str,
    activation_alpha: float | None = None,
    activation_axis: int | None = None,
    activation_beta: float | None = None,
    activation_gamma: float | None = None,
    alpha: float = 1.0,
    transA: int = 0,  # noqa: N803  the specification's name
    transB: int = 0,  # noqa: N803  the specification's name
    transBatchA: int = 0,  # noqa: N803  the specification's name
    transBatchB: int = 0,  # noqa: N803  the specification's name
) -> Tensor:
    """An activation of FusedMatMul."""
    product = fused_mat_mul(
        a, b, alpha=alpha, transA=transA, transB=transB, transBatchA=transBatchA, transBatchB=transBatchB
    )
    settings = {"alpha": activation_alpha, "beta": activation_beta, "gamma": activation_gamma, "axis": activation_axis}
    return activated(product, activation, **settings)


@op("FusedGemm", domain=MICROSOFT)
def fused_gemm(
    a: Tensor,
    b: Tensor,
    c: Tensor | None = None,
    *,
    activation: str = "",
    activation_alpha: float | None = None,
    activation_beta: float | None = None,
    activation_gamma: float | None = None,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,  # noqa: N803  the specification's name
    transB: int = 0,  # noqa: N803  the specification's name
) -> Tensor:
    """An activation of Gemm."""
    product: Tensor = standard("Gemm")(a, b, c, alpha=alpha, beta=beta, transA=transA, transB=transB)
    return activated(product, activation, alpha=activation_alpha, beta=activation_beta, gamma=activation_gamma)


@op("GemmFastGelu", domain=MICROSOFT)
def gemm_fast_gelu(x: Tensor, w: Tensor, bias: Tensor | None = None) -> Tensor:
    """The tanh approximation of Gelu, of x w + bias."""
    product = torch.matmul(x, w)
    return functional.gelu(product if bias is None else product + bias, approximate="tanh")
