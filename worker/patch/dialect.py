"""What a format of JSON must answer for patches to be written in it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from worker.network.graph import Graph
from worker.patch.edits import Edit
from worker.patch.places import NoWay, Steps
from worker.patch.survey import Survey


class Read(NamedTuple):
    """What a document says."""

    graph: Graph
    settings: Mapping[str, Any]
    """How the network is to be trained, as JSON: `optimizer`, `learning_rate`, `clipping`, `loss` …"""


class Dialect(Protocol):
    """One format: how its documents are read, and how changes are written in them."""

    def read(self, document: Any) -> Read:  # noqa: ANN401  JSON
        """Return what a document says; Trouble where it is none of this format."""

    def edits(self, document: Any, steps: Steps, survey: Survey) -> Iterable[Edit]:  # noqa: ANN401  JSON
        """Return the edits that make a layer what it must become; NoWay where the format cannot say it there."""

    def at_inputs(self, document: Any, survey: Survey) -> Iterable[Edit]:  # noqa: ANN401  JSON
        """Return the edits that put layers behind the network's inputs."""

    def settings(self, document: Any, changed: Mapping[str, Any]) -> Iterable[Edit]:  # noqa: ANN401  JSON
        """Return the edits of how the network is to be trained."""

    def remark(self, document: Any, changed: Mapping[str, Any]) -> str:  # noqa: ANN401  JSON
        """Say what these edits add beside what was changed, in a sentence; "" where that is nothing."""

    def opened(self, document: Any, survey: Survey, stuck: Sequence[NoWay]) -> Sequence[Edit]:  # noqa: ANN401
        """Return edits that write places out without changing the network; raise one of `stuck` where none do."""

    def guesses(self, document: Any) -> Iterable[Sequence[Edit]]:  # noqa: ANN401  JSON
        """Return edits, each for itself, that may say what leads wires between layers otherwise."""


_CALLED: Final = {
    "warmup": "a warm-up of the learning rate",
    "loss_scale": "a scale of the loss",
    "precision": "the number format of training",
}


def without_field(setting: str) -> str:
    """Say that a file cannot hold a setting."""
    return f"The file has no field for {_CALLED.get(setting, setting)}: it belongs in the training code."
