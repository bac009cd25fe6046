"""The loss that gradients come from: how far outputs are from targets, and what a constant prediction would cost."""

from dataclasses import dataclass

from torch import Tensor

from service.contract.words import LossName


@dataclass(frozen=True)
class Loss:
    """A loss by name.  `__call__(output, target)` is its mean over the batch; `chance(target)` the best constant's."""

    name: LossName
    scale: float = 1.0
    notes: tuple[str, ...] = ()

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss, a scalar."""
        raise NotImplementedError(self.name)
