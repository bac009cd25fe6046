"""Values that no gradient passes.

No file holds this operator: it is written as Identity (`worker.network.evaluated`).
"""

from torch import Tensor

from worker.network.ops import op

OWN = "gradgate"
"""The domain of operators that no file holds."""


@op("StopGradient", domain=OWN, gradient=False)
def stop_gradient(x: Tensor) -> Tensor:
    """y = x."""
    return x.detach()
