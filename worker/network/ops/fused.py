"""Operators that several of a file's nodes are run as (`worker.network.fuse`), each by one of torch's own kernels."""

from torch import Tensor
from torch.nn import functional

from worker.network.ops import op

DOMAIN = "gradgate"
"""The domain of operators that no file holds."""


@op("Gelu", domain=DOMAIN)
def gelu(x: Tensor) -> Tensor:
    """X times the normal distribution function of x."""
    return functional.gelu(x)


@op("Linear", domain=DOMAIN)
def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The product of x and a matrix [inputs, outputs], plus one number per output."""
    return functional.linear(x, weight.t(), bias)
