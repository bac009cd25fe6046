"""onnxruntime's activation functions, most of them fused with a bias."""

import torch
from torch import Tensor
from torch.nn import functional

from worker.network.ops import Context, op
from worker.network.ops.standard import MICROSOFT, standard


@op("Gelu", domain=MICROSOFT)
def gelu(x: Tensor) -> Tensor:
    """x Φ(x), with the normal distribution's Φ."""
    return functional.gelu(x)


@op("FastGelu", domain=MICROSOFT)
def fast_gelu(x: Tensor, bias: Tensor | None = None) -> Tensor:
    """The tanh approximation of Gelu, of x + bias."""
    return functional.gelu(x if bias is None else x + bias, approximate="tanh")


@op("QuickGelu", domain=MICROSOFT)
def quick_gelu(x: Tensor, *, alpha: float = 1.702) -> Tensor:
    """x sigmoid(alpha x)."""
    return x * torch.sigmoid(alpha * x)


@op("ScaledSiLU", domain=MICROSOFT)
def scaled_silu(x: Tensor, scale: Tensor | None = None, *, alpha: float = 1.0) -> Tensor:
    """z sigmoid(z) with z = scale x, or alpha x where no scale is given."""
    scaled = (x * (alpha if scale is None else scale.reshape(()))).to(x.dtype)
    return scaled * torch.sigmoid(scaled)


@op("BiasGelu", domain=MICROSOFT)
def bias_gelu(a: Tensor, b: Tensor) -> Tensor:
    """Gelu of a + b."""
    return functional.gelu(a + b)


@op("BiasSplitGelu", domain=MICROSOFT)
def bias_split_gelu(x: Tensor, bias: Tensor) -> Tensor:
    """The first half of x + bias times the Gelu of the second half."""
    plain, gate = (x + bias).chunk(2, -1)
    return plain * functional.gelu(gate)


@op("BiasAdd", domain=MICROSOFT)
def bias_add(x: Tensor, bias: Tensor, skip: Tensor) -> Tensor:
    """X + bias + skip."""
    return x + bias + skip


@op("GatedAdd", domain=MICROSOFT)
def gated_add(x: Tensor, y: Tensor, gate: Tensor) -> Tensor:
    """X + gate y."""
    return x + y * gate


@op("BiasSoftmax", domain=MICROSOFT)
def bias_softmax(data: Tensor, bias: Tensor, *, is_inner_broadcast: int, axis: int = 1) -> Tensor:
    """Softmax of data + bias over all axes from `axis` on; which axes of the bias repeat is seen from its shape."""
    sums = data + bias
    front = axis % sums.dim()
    return torch.softmax(sums.flatten(front), front).reshape(sums.shape)


@op("BiasDropout", domain=MICROSOFT, fixed=("ratio",))
def bias_dropout(
    data: Tensor,
    bias: Tensor,
    residual: Tensor | None = None,
    ratio: Tensor | None = None,
    training_mode: Tensor | None = None,
    *,
    seed: int = 0,
    context: Context,
) -> tuple[Tensor | None, ...]:
    """Dropout of data + bias, then the residual added."""
    dropped, mask = standard("Dropout")(data + bias, ratio, training_mode, context=context)
    return dropped if residual is None else dropped + residual, mask
