"""The report: what was measured, what it means, what was tried, what helps."""

import hashlib
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from service.contract.base import Contract, Number
from service.contract.deep import DeepSection
from service.contract.profile import ProfileRow
from service.contract.redraws import Redraws, Seeds
from service.contract.training import TrainingSection
from service.contract.words import (
    LossName,
    RemedyStatus,
    Severity,
    Symptom,
    TreatmentKind,
    Verdict,
)


class Engine(Contract):
    """What made the report."""

    version: str
    torch: str
    device: str
    """`cpu`, or the CUDA device's name."""


class Tensor(Contract):
    """A named input or output."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    """Sizes; a name where the size is the batch's to choose."""


class ModelSection(Contract):
    """The model as it was understood."""

    format: Literal["onnx", "gradgate", "keras"]
    sha256: str
    nodes: int
    parameters: int
    """Numbers held in weights, trained or not."""
    trainable_parameters: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    notes: tuple[str, ...] = ()


class BatchSection(Contract):
    """The batch as it was understood."""

    sha256: str | None
    """Absent where the batch is synthetic."""
    size: int
    inputs: tuple[Tensor, ...]
    synthetic: bool
    notes: tuple[str, ...] = ()


class LossSection(Contract):
    """The loss that gradients come from."""

    name: LossName
    value: Number
    chance: Number
    """The loss of the best constant prediction."""
    notes: tuple[str, ...] = ()


class Difference(Contract):
    """Where two runtimes part: the first node whose value differs by more than the limit."""

    node: str
    op: str
    value: str
    """The output of the node that differs."""
    error: Number
    """The largest error of that value, relative to its largest magnitude."""


class Fidelity(Contract):
    """Our forward pass against an independent runtime's, in evaluation mode.

    Where an operator itself is computed otherwise than by the runtime and by its specification's own reference, there
    is no report: the job ends in the problem `/problems/unfaithful-import`.
    """

    reference: str
    max_relative_error: Number | None
    """The largest error over all outputs, relative to the largest magnitude of that output."""
    compared: int
    """How many outputs were compared."""
    ok: bool
    """Whether they agree, or differ for a reason that was found and is not ours: the notes say which."""
    first_difference: Difference | None = None
    """Where the outputs differ: the first node that does."""
    notes: tuple[str, ...] = ()


class Place(Contract):
    """Where a finding shows, and how clearly."""

    node: str
    origin: str | None = None
    """The layer of the caller's file, such as `layers/3 "fc1" (dense)`."""
    parameter: str | None = None
    also: tuple[str, ...] = ()
    """Other nodes that read the same parameter, where it is shared."""
    measured: Number
    limit: Number

    @property
    def known_as(self) -> str:
        """What the caller knows the place by: its layer, or its node where the file has no layers."""
        return self.origin or self.node


class Finding(Contract):
    """A rule that fired."""

    code: str
    symptom: Symptom
    severity: Severity
    title: str
    explanation: str
    places: tuple[Place, ...] = ()
    evidence: dict[str, Number] = Field(default_factory=dict)
    confidence: float = Field(ge=0, le=1)
    """How probable it is that the model deserves the severity: 1 where what is told is counted or read off, less where
    it is an estimate; times the share of draws that show it.
    """
    seeds: Seeds | None = None
    """Absent where there is one draw."""
    remedies: tuple[str, ...] = ()
    docs: str


class Passes(Contract):
    """What was run, which is the same on every machine; a report's `timing` says what it took on one."""

    forward: int
    """Forward passes over the batch; those of the training steps not among them."""
    backward: int
    steps: int
    """Steps of training, in all trials together."""


class Control(Contract):
    """As many treatments that nothing speaks for, tried in the same way: what any change would do."""

    remedies: tuple[str, ...]
    log_loss_gain: Number
    """Mean over the same seeds."""


class Trial(Contract):
    """What a change did: the same measures before and after, with the same seeds."""

    before: dict[str, Number]
    after: dict[str, Number]
    seeds: int
    steps: int
    p_value: Number | None = None
    """One-sided paired t-test of the gain in log loss; absent where a re-probe decided alone, or both ended alike."""
    bounds: tuple[Number, Number] | None = None
    """The gain's one-sided 95% bounds, below and above."""
    wins: int | None = None
    """Seeds under which the changed copy ended lower."""
    control: Control | None = None
    passes: Passes | None = None
    """What the trial cost; what it shares with others (the untreated side) is counted where it was run first."""


class Remedy(Contract):
    """A treatment that was tried on a copy, with what it did."""

    id: str
    treatment: str
    kind: TreatmentKind
    title: str
    rationale: str
    changes: tuple[str, ...]
    patch: tuple[dict[str, Any], ...] | None = None
    """An RFC 6902 patch of the uploaded JSON, where the model came as JSON."""
    patch_note: str = ""
    """Why there is no patch of the uploaded JSON, where the treatment was tried; or what the patch adds beside it."""
    status: RemedyStatus
    note: str = ""
    """Why it does not apply, or was not tried, or not to its end."""
    cost: int = Field(default=1, ge=1, le=5)
    """What it asks of the owner: 1 a setting, 2 an initialization, 3 an activation, 4 a norm, 5 the structure."""
    hints: dict[str, str] = Field(default_factory=dict)
    """How to make the same change in code, by framework: `torch`, `keras`."""
    cures: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    trial: Trial | None = None
    retrains: bool
    """Whether applying it throws trained weights away."""


class Prescription(Contract):
    """The smallest set of remedies that cures, measured together."""

    remedies: tuple[str, ...]
    title: str
    explanation: str = ""
    """What it does, in two or three sentences with their numbers."""
    changes: tuple[str, ...] = ()
    """What is changed when its remedies are applied together, in that order; alone, some would change other things."""
    trial: Trial | None = None
    verified_seeds: int = 0
    """Fresh seeds, by which nothing was chosen, under which it was measured once more, and held."""
    second_batch: bool | None = None
    """Whether it held on the second batch, too; absent where none was given."""
    leaves: tuple[str, ...] = ()
    """Findings that stay: warnings, or, of a `partial` prescription, errors."""
    alternatives: tuple[tuple[str, ...], ...] = ()
    """Other sets that cured in the same trials, the least costly first."""
    treated_model: bool


class Coverage(Contract):
    """What became of one rule: whether it was judged, and why not."""

    code: str
    status: Literal["fired", "clear", "not_applicable", "could_not_judge"]
    reason: str = ""


class Report(Contract):
    """Everything that an examination has to say."""

    schema_: Literal["gradgate.report/1"] = Field(
        default="gradgate.report/1", alias="schema", serialization_alias="schema"
    )
    id: str
    engine: Engine
    created_at: datetime
    timing: dict[str, float]
    """Seconds per stage."""
    passes: Passes | None = None
    digest: str = ""
    """SHA-256 of everything but `id`, `created_at`, `timing` and itself."""
    model: ModelSection
    batch: BatchSection
    loss: LossSection
    fidelity: Fidelity
    verdict: Verdict
    confidence: float | None = Field(default=None, ge=0, le=1)
    """The probability that the verdict stands: over further draws of the weights, and by how far these draws decide.

    Absent in reports made before it was told.
    """
    summary: str
    findings: tuple[Finding, ...]
    remedies: tuple[Remedy, ...]
    prescription: Prescription | None = None
    partial: Prescription | None = None
    """The set that came closest, where none cures."""
    profile: tuple[ProfileRow, ...]
    training: TrainingSection | None = None
    redraws: Redraws | None = None
    """Absent where there is one draw."""
    deep: DeepSection | None = None
    """Absent where the examination is not deep."""
    coverage: tuple[Coverage, ...] = ()
    notes: tuple[str, ...] = ()
    """What else the reader should know of this examination."""

    def sealed(self) -> "Report":
        """Return the report with its digest."""
        body = self.model_dump_json(by_alias=True, exclude={"id", "created_at", "timing", "digest"})
        return self.model_copy(update={"digest": hashlib.sha256(body.encode()).hexdigest()})
