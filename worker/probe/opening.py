"""Why a parameter has no gradient: float32 cannot hold it, a gate of zeros shuts it, or nothing opens it.

A gate is a parameter that is all zero and has a gradient; a step along that is what training would take.
What has a gradient then was gated (Fixup, ReZero, zero gamma); zeros behind zeros have none, and never will.  Costs a
float64 pass forward and back, and another for each of the gates that lie one behind the other.
Sources: Zhang et al. 2019 (Fixup), Bachlechner et al. 2020 (ReZero).
"""

from collections.abc import Mapping
from typing import Final

from torch import Tensor

from worker.probe.sweep import Sweep, sweep_double

STEP: Final = 1e-3
"""Root mean square of a step that opens an all-zero parameter."""
ROUNDS: Final = 8
"""How many gates in a row are opened, one behind the other; what lies behind more of them has the benefit of the doubt.
"""


class Opening:
    """The parameters without gradient, told apart in float64: `faint`, `gated` or `dead`."""

    def __init__(self, sweep: Sweep, silent: list[str]) -> None:
        """Sweep again where there are any: as they are, then with all-zero parameters a step along their gradient."""
        self.states = dict.fromkeys(silent, "dead")
        self.gradients: dict[str, Tensor] = {}
        """Of parameters that are gated, once their gate is open."""
        self._subject = sweep.subject
        if silent:
            self._open()

    def _open(self) -> None:
        moved: dict[str, Tensor] = {}
        for opened in range(1 + ROUNDS):
            again = sweep_double(self._subject, moved)
            if again is None:
                return
            reached = again.gradients(again.parameters)
            self._name("gated" if opened else "faint", reached)
            new = {name: _step(value) for name, value in reached.items() if self._shut(name, moved) and value.any()}
            if not new or "dead" not in self.states.values():
                return
            moved |= new
        self.states = {name: "gated" if state == "dead" else state for name, state in self.states.items()}

    def _name(self, state: str, reached: Mapping[str, Tensor]) -> None:
        for name in [name for name, known in self.states.items() if known == "dead"]:
            if name in reached and bool(reached[name].any()):
                self.states[name] = state
                self.gradients[name] = reached[name]

    def _shut(self, name: str, moved: Mapping[str, Tensor]) -> bool:
        """Whether a parameter is all zero yet and training would change it."""
        parameter = self._subject.graph.parameters[name]
        return name not in moved and parameter.trainable and not bool(parameter.value.any())


def _step(gradient: Tensor) -> Tensor:
    """Return a step against a gradient, of a given root mean square; what is not finite stays where it is."""
    gradient = gradient.nan_to_num(0, 0, 0)
    largest = gradient.abs().max()
    if largest == 0:
        return gradient
    unit = gradient / largest
    return -STEP * unit / unit.square().mean().sqrt()
