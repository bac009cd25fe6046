"""What a rule answers: what it saw, how much that weighs and where it stands; or why it is silent."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Literal, TypeAlias

from service.contract.report import Place
from service.contract.words import Severity
from worker.probe.evidence import Evidence, ParameterEvidence, Spot

SHOWN_PLACES: Final = 5
FAILED_RUN: Final = 0.94
"""Confidence where a run of the trial fails: the share of networks that fail which are sick, half of all being so."""
SHORT_RUN: Final = 0.6
"""The same of a run that proves little: after 50 steps two of five networks that fail still learn."""


@dataclass(frozen=True)
class Observation:
    """What a rule saw."""

    explanation: str
    """One or two sentences that a person would say, with the number, the limit and the unit."""
    severity: Severity
    places: tuple[Place, ...] = ()
    evidence: Mapping[str, float] = field(default_factory=dict)
    confidence: float = 1.0
    """How probable it is that the model deserves this severity: 1 where what is told is counted, or read off the graph
    or the numbers of this batch; less where it is an estimate, such as what a short trial says of a long training.
    """


@dataclass(frozen=True)
class Silence:
    """Why a rule did not fire."""

    status: Literal["clear", "not_applicable", "could_not_judge"]
    reason: str = ""


Answer: TypeAlias = Observation | Silence
CLEAR: Final = Silence("clear")


def weigh(evidence: Evidence, *, certain: bool = False) -> Severity:
    """Return how much a finding weighs: evidence warns; certainty, or a training trial that failed, rejects."""
    return Severity.ERROR if certain or evidence.failed else Severity.WARNING


def note(evidence: Evidence) -> Severity:
    """Return how much a finding weighs that healthy networks show, too: a note, unless the training trial failed."""
    return Severity.ERROR if evidence.failed else Severity.INFO


def learnt(evidence: Evidence) -> bool:
    """Return whether training speaks for the network: it came trained, or learnt in every way that was tried."""
    trial = evidence.training
    return trial is not None and (trial.converged or (bool(trial.runs) and all(run.beaten for run in trial.runs)))


def absent(evidence: Evidence, reason: str) -> Silence:
    """Return why there is nothing for a rule to read: numbers are not finite, or, by `reason`, it does not apply."""
    if evidence.nonfinite is not None:
        return Silence("could_not_judge", "some numbers are not finite; see NUM01")
    return Silence("not_applicable", reason)


def ungained(evidence: Evidence) -> Silence:
    """Return why there is no gain to judge."""
    return absent(evidence, "fewer than two hidden layers stand in a row")


def untrained(evidence: Evidence) -> Silence:
    """Return why nothing was trained."""
    if evidence.converged:
        return Silence("not_applicable", "the model comes trained")
    if not evidence.parameters:
        return absent(evidence, "no weight is to be trained")
    if evidence.training is None:
        return absent(evidence, "nothing was trained")
    same = "the targets are all the same" if evidence.loss.target_constant else "a constant costs no loss already"
    return Silence("could_not_judge", f"{same}, so there is nothing to learn")


def undeclared(evidence: Evidence) -> Silence:
    """Return why there is no run under a declared learning rate."""
    if evidence.declared is None or evidence.declared.learning_rate is None:
        return Silence("not_applicable", "no learning rate was declared")
    return untrained(evidence)


def too_few(evidence: Evidence, adequate: int, what: str) -> Silence:
    """Return why a rule cannot judge a batch of fewer than `adequate` samples; `what` says what those would do."""
    count = "a single sample is" if evidence.samples == 1 else f"{evidence.samples} samples are"
    return Silence("could_not_judge", f"{count} too few; {adequate} {what}")


def place_at(evidence: Evidence, node: str, measured: float, limit: float) -> Place:
    """Return a node as a place, in the caller's layer if it is of one."""
    return Place(node=node, origin=evidence.origins.get(node), measured=measured, limit=limit)


def places_of(parameters: Iterable[ParameterEvidence]) -> tuple[Place, ...]:
    """Return where parameters are that something is wrong with altogether, one for each layer of the caller's file."""
    found: dict[str, ParameterEvidence] = {}
    for parameter in parameters:
        found.setdefault(parameter.origin or parameter.name, parameter)
    return tuple(
        Place(node=each.node, origin=each.origin, parameter=each.name, also=each.also, measured=0, limit=0)
        for each in islice(found.values(), SHOWN_PLACES)
    )


def places_at(spots: Iterable[Spot], limit: float = 0.0) -> tuple[Place, ...]:
    """Return the first of the places that something was noticed at, with what was measured there."""
    return tuple(
        Place(node=each.node, origin=each.origin, measured=each.measured, limit=limit)
        for each in islice(spots, SHOWN_PLACES)
    )


def some(count: int, one: str, many: str) -> str:
    """Say how many do what: `One norm stands`, `2 norms stand`."""
    return f"One {one}" if count == 1 else f"{count} {many}"


def among(count: int, total: int, things: str, one: str, many: str) -> str:
    """Say how many of several do what: `1 of 3 norms stands`, `2 of 3 norms stand`."""
    return f"{count} of {total} {things} {one if count == 1 else many}"


def several(count: int, thing: str) -> str:
    """Say how many: `1 step`, `2 steps`."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
