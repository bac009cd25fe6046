"""Evidence: what was measured on a subject, as plain numbers; one module per family of measures.

A measure's own module under `worker/probe/` says its formula, unit, cost in passes and source.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.probe.evidence.attention import AttentionEvidence
from worker.probe.evidence.batch import InputEvidence, LossEvidence, Mixing, TargetEvidence
from worker.probe.evidence.deep import Deep, Halves, Isometry, Noise, Rank, Sharpness, WidthTrend
from worker.probe.evidence.gain import Bypass, Gain, Join, RecurrentGain, Segment, Shattering
from worker.probe.evidence.numbers import NonFinite
from worker.probe.evidence.parameters import Cut, ParameterEvidence
from worker.probe.evidence.places import Activation, Gradient, PlaceEvidence, Units
from worker.probe.evidence.precision import Overflow, PrecisionEvidence, Rounding
from worker.probe.evidence.structure import Evaluation, Kernel, MeanField, PlainNorm, Spot, Structure
from worker.probe.evidence.training import TELLING_STEPS, Declared, Regularization, Training

__all__ = [
    "TELLING_STEPS",
    "Activation",
    "AttentionEvidence",
    "Bypass",
    "Cut",
    "Declared",
    "Deep",
    "Evaluation",
    "Evidence",
    "Gain",
    "Gradient",
    "Halves",
    "InputEvidence",
    "Isometry",
    "Join",
    "Kernel",
    "LossEvidence",
    "MeanField",
    "Mixing",
    "Noise",
    "NonFinite",
    "Overflow",
    "ParameterEvidence",
    "PlaceEvidence",
    "PlainNorm",
    "PrecisionEvidence",
    "Rank",
    "RecurrentGain",
    "Regularization",
    "Rounding",
    "Segment",
    "Sharpness",
    "Shattering",
    "Spot",
    "Structure",
    "TargetEvidence",
    "Training",
    "Units",
    "WidthTrend",
]

_REPEATED = re.compile(r"\)((?:, \d+ of \d+)+)$")


@dataclass(frozen=True)
class Evidence:
    """Everything that was measured on one subject under one seed."""

    places: tuple[PlaceEvidence, ...]
    parameters: tuple[ParameterEvidence, ...]
    loss: LossEvidence
    inputs: tuple[InputEvidence, ...]
    samples: int
    gain: Gain | None = None
    """None where the network has fewer than two weight layers in a row."""
    recurrent: tuple[RecurrentGain, ...] = ()
    joins: tuple[Join, ...] = ()
    shattering: Shattering | None = None
    """None where the examination is not deep, or the inputs are tokens."""
    nonfinite: NonFinite | None = None
    training: Training | None = None
    declared: Declared | None = None
    regularization: Regularization | None = None
    """None where nothing holds the weights back."""
    attention: Mapping[str, AttentionEvidence] = field(default_factory=dict)
    """Per softmax over positions."""
    drawn: bool = False
    """Whether weights are drawn by a law, so that nothing in them was learnt."""
    sharpness: Sharpness | None = None
    """Measured where a learning rate is declared and it costs little, or the examination is deep."""
    deep: Deep | None = None
    """None where the examination is not deep."""
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    """Per measure that was asked for and could not be taken, the reason."""
    precision: PrecisionEvidence | None = None
    """None where training is meant to run in float32."""
    synthetic: bool = False
    """Whether the batch was drawn, and not given."""
    target: TargetEvidence | None = None
    """None where the target was drawn."""
    mixing: Mixing | None = None
    """None where nothing finite was to be compared."""
    structure: Structure = field(default_factory=Structure)
    """What the graph and the weights show by themselves."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """Per node, the layer of the caller's file, where the file holds layers."""

    @property
    def failed(self) -> bool:
        """Whether the training trial failed."""
        return self.training is not None and self.training.failed

    @property
    def converged(self) -> bool:
        """Whether the model came trained, by its loss; see `Structure.trained` for its weights, `drawn` for neither."""
        return self.training is not None and self.training.converged

    def called(self, node: str, op: str = "") -> str:
        """Return what a sentence calls a node: its layer, such as `layers/3 "fc1" (dense, 2 of 6)`, or its own name.

        With `op`, a node that is of no layer is called by its operator too.
        """
        origin = self.origins.get(node)
        if origin is None:
            return f"{node} ({op})" if op else node
        return _REPEATED.sub(r"\1)", origin)
