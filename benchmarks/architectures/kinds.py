"""What an architecture is, and the few modules that several families are made of."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Architecture:
    """A network of random weights and a batch for it."""

    make: Callable[[], nn.Module]
    batch: Callable[[], tuple[Tensor, ...]]
    """The arguments, the first axis being the samples'."""


class Around(nn.Module):
    """Layers with a way around them."""

    def __init__(self, *layers: nn.Module) -> None:
        """Take the layers, whose sizes do not change."""
        super().__init__()
        self.inside = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both ways."""
        return x + self.inside(x)


class Applied(nn.Module):
    """A function without weights, as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        """Take the function."""
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """Return the function's value."""
        return self.function(x)
