"""onnxruntime's operators on whole matrices and signals."""

import torch
from torch import Tensor

from service.contract.problem import UnsupportedOperator
from worker.network.ops import op
from worker.network.ops.standard import MICROSOFT


@op("Inverse", domain=MICROSOFT)
def inverse(x: Tensor) -> Tensor:
    """The inverse of each matrix."""
    wide = x.float() if x.dtype == torch.float16 else x
    inverted: Tensor = torch.linalg.inv(wide)
    return inverted.to(x.dtype)


@op("CDist", domain=MICROSOFT)
def distances(a: Tensor, b: Tensor, *, metric: str = "sqeuclidean") -> Tensor:
    """The (squared) Euclidean distance of every row of a to every row of b."""
    if metric not in {"euclidean", "sqeuclidean"}:
        msg = f"CDist with the metric {metric!r} is not supported; 'euclidean' and 'sqeuclidean' are."
        raise UnsupportedOperator(msg)
    squared = (a[:, None] - b[None]).square().sum(-1)
    return squared if metric == "sqeuclidean" else squared.sqrt()


@op("Rfft", domain=MICROSOFT)
def rfft(x: Tensor, *, normalized: int = 0, onesided: int = 1, signal_ndim: int = 1) -> Tensor:
    """The Fourier transform over the last axes, with real and imaginary parts side by side on a new one."""
    return torch.view_as_real(torch.fft.rfftn(x, dim=list(range(-signal_ndim, 0))))


@op("Irfft", domain=MICROSOFT)
def irfft(x: Tensor, *, signal_ndim: int, normalized: int = 0, onesided: int = 1) -> Tensor:
    """The signal of even length whose Fourier transform x is."""
    signal: Tensor = torch.fft.irfftn(torch.view_as_complex(x.contiguous()), dim=list(range(-signal_ndim, 0)))
    return signal


@op("ComplexMul", domain=MICROSOFT)
def complex_mul(a: Tensor, b: Tensor) -> Tensor:
    """The product of complex numbers, whose parts lie side by side on the last axis."""
    return torch.view_as_real(torch.view_as_complex(a.contiguous()) * torch.view_as_complex(b.contiguous()))


@op("ComplexMulConj", domain=MICROSOFT)
def complex_mul_conj(a: Tensor, b: Tensor) -> Tensor:
    """The product of complex numbers and the conjugates of others."""
    return complex_mul(a, torch.stack([b[..., 0], -b[..., 1]], -1))
