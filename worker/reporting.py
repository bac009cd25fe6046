"""The report's sections, from what was loaded and measured."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from math import isfinite

import torch
from torch import Tensor as Array

from service import __version__
from service.contract.options import Clipping, Options
from service.contract.report import (
    ActivationProfile,
    BatchSection,
    Engine,
    Finding,
    GradientProfile,
    LossSection,
    ModelSection,
    ParameterProfile,
    Passes,
    Prescription,
    ProfileRow,
    Suggested,
    Tensor,
    TrainingSection,
)
from service.contract.words import OptimizerName, Severity, Verdict
from worker.course import Run
from worker.load.subject import Loaded
from worker.passes import Passes as Counted
from worker.probe.evidence import Evidence, ParameterEvidence, PlaceEvidence, Training
from worker.probe.training import RANGE_STEPS
from worker.treatments import treatments


def engine(device: torch.device) -> Engine:
    """Say what made the report."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return Engine(version=__version__, torch=version("torch"), device=name)


def passes_section(passes: Counted) -> Passes:
    """Say what was run."""
    return Passes(forward=passes.forward, backward=passes.backward, steps=passes.steps)


def model_section(loaded: Loaded) -> ModelSection:
    """Say what the model is."""
    graph = loaded.graph
    counts = [(each.value.numel(), each.trainable) for each in graph.parameters.values()]
    return ModelSection(
        format=loaded.format,
        sha256=loaded.sha256,
        nodes=len(graph.nodes),
        parameters=sum(count for count, _ in counts),
        trainable_parameters=sum(count for count, trainable in counts if trainable),
        inputs=tuple(Tensor(name=each.name, dtype=_dtype(each.dtype), shape=each.shape) for each in graph.inputs),
        outputs=tuple(_tensor(name, value) for name, value in loaded.outputs.items()),
        notes=loaded.notes,
    )


def batch_section(loaded: Loaded) -> BatchSection:
    """Say what the batch is."""
    batch = loaded.subject.batch
    return BatchSection(
        sha256=batch.sha256,
        size=batch.size,
        inputs=tuple(_tensor(name, value) for name, value in batch.inputs.items()),
        synthetic=batch.synthetic,
        notes=batch.notes,
    )


def loss_section(loaded: Loaded, evidence: Evidence) -> LossSection:
    """Say what the loss is, and what a constant would cost."""
    loss = loaded.subject.loss
    return LossSection(name=loss.name, value=evidence.loss.value, chance=evidence.loss.chance, notes=loss.notes)


def profile(evidence: Evidence) -> tuple[ProfileRow, ...]:
    """Return one row per place, in forward order."""
    parameters = {parameter.name: parameter for parameter in evidence.parameters}
    return tuple(_row(place, parameters) for place in evidence.places)


def training_section(evidences: Sequence[Evidence]) -> TrainingSection | None:
    """Tell the training trial by its best run under the first seed; None where nothing was run."""
    training = evidences[0].training
    best = training.best if training else None
    if training is None or best is None:
        return None
    clip = training.suggested_clip
    return TrainingSection(
        steps=len(best.losses),
        seeds=len(evidences),
        optimizer=OptimizerName(best.optimizer),
        learning_rate=best.learning_rate,
        loss=best.losses,
        gradient_norm=best.gradient_norms,
        sharpness=evidences[0].sharpness and evidences[0].sharpness.value,
        max_stable_learning_rate=training.largest_stable_rate,
        suggested=Suggested(
            learning_rate=training.suggested_learning_rate,
            clipping=Clipping(kind="norm", limit=clip) if clip else None,
        ),
        notes=tuple(_course(evidences[0], training)),
    )


def _course(evidence: Evidence, training: Training) -> Iterator[str]:
    """Say of each run how many steps it had, why no more, and what it came to."""
    for run in training.runs:
        yield f"{run.optimizer} at {run.learning_rate:g}: {_ended(run, training.steps)} it {_outcome(evidence, run)}."
    if training.runs and training.runs[0].whole:
        yield f"Every step takes the whole batch, which has {_several(evidence.samples, 'sample')}."
    if training.rates:
        yield _rates(training)
    if not training.complete:
        yield "The time box ended the trial before its last step."


def _ended(run: Run, steps: int) -> str:
    """Say after how many steps a run ended, and why before the last."""
    taken = f"after {_several(len(run.losses), 'step')}"
    if len(run.losses) >= steps:
        return taken
    if run.late:
        return f"{taken} of {steps}, when the time was up,"
    return f"{taken} of {steps}, as more would show no more," if isfinite(run.final) else f"{taken} of {steps}"


def _rates(training: Training) -> str:
    """Say what the range tests came to."""
    best, stable = training.best.optimizer if training.best else "", training.largest_stable_rate
    said = f"Range test: {_several(len(training.rates), 'short run')} of {RANGE_STEPS} steps"
    if not any(point.optimizer == best for point in training.rates):
        return f"{said} with {training.rates[0].optimizer}."
    if stable is None:
        return f"{said} with {best}; none was stable."
    bound = "is the largest rate that does not diverge" if training.bounded else "does not diverge, nor was more tried"
    return f"{said}; with {best} {stable:g} {bound}."


def _several(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def lateness(options: Options) -> tuple[str, ...]:
    """Say that the wall clock, not the plan, decided how much was tried."""
    early = f"The time limit of {options.time_limit_s:g} s ended the examination before its plan did"
    return (f"{early}: with more time, or on a faster machine, more would have been tried.",)


def summary(
    verdict: Verdict, findings: Sequence[Finding], prescription: Prescription | None, evidences: Sequence[Evidence]
) -> str:
    """Say in a sentence or two what a person would say."""
    telling = [finding for finding in findings if finding.severity is not Severity.INFO]
    trained = [evidence for evidence in evidences if evidence.training is not None and evidence.training.passed]
    if not telling:
        return _healthy([*trained, *evidences][0])
    risk = "learns its batch, but is at risk" if 2 * len(trained) > len(evidences) else "is at risk"
    word = {Verdict.FAIL: "should not be trained as it stands", Verdict.WARN: risk}[verdict]
    others = f" (and {len(telling) - 1} more finding{'s' if len(telling) > 2 else ''})" if telling[1:] else ""  # noqa: PLR2004
    cure = ""
    if prescription is not None:
        names = " and ".join(
            treatments[name].title[0].lower() + treatments[name].title[1:] for name in prescription.remedies
        )
        cure = f" Tried and found to cure it: {names}."
    return f"This model {word}: {_clause(telling[0])}{others}.{cure}"


def _clause(finding: Finding) -> str:
    """Return what a finding shows, and in how many draws where these are no majority."""
    said, seeds = f"{finding.title[0].lower()}{finding.title[1:].rstrip('.')}", finding.seeds
    if seeds is None or 2 * seeds.showing > seeds.of:
        return said
    together = "most of its draws fail, though not by one rule: " if finding.severity is Severity.ERROR else ""
    return f"{together}in {seeds.showing} of {seeds.of} draws {said}"


def _healthy(evidence: Evidence) -> str:
    training = evidence.training
    best = training.best if training else None
    if training is not None and training.converged:
        return "This model comes trained, and nothing speaks against training it on."
    if best is None:
        return "Nothing speaks against training this model, but there was nothing to try: " + _untried(evidence)
    if training is not None and not training.passed:
        return (
            "Nothing speaks against training this model, but the trial ran out of time after "
            f"{_several(len(best.losses), 'step')} and shows nothing."
        )
    if training is not None and training.only_by_heart:
        return (
            "Nothing speaks against training this model: it learns a few samples by heart, though not the batch as a "
            f"whole within {_several(len(best.losses), 'step')}."
        )
    return (
        f"This model trains: {best.optimizer} took the loss from {best.losses[0]:.3g} to {best.lowest:.3g} within "
        f"{len(best.losses)} steps, where the best constant prediction costs {evidence.loss.chance:.3g}."
    )


def _untried(evidence: Evidence) -> str:
    """Say why there was no training trial."""
    if not evidence.parameters:
        return "it has no weights to train."
    return "the batch's targets are all the same."


def _outcome(evidence: Evidence, run: Run) -> str:
    if run.by_heart:
        return f"had {'' if run.beaten else 'not '}learnt a few samples by heart"
    if not run.beaten:
        return "diverged" if run.diverged else "had not beaten the best constant prediction"
    forgot = run.diverged or run.final >= evidence.loss.chance
    return "had beaten the best constant prediction" + (", and lost it again" if forgot else "")


def _row(place: PlaceEvidence, parameters: Mapping[str, ParameterEvidence]) -> ProfileRow:
    parameter = parameters.get(place.parameter or "")
    activation, gradient = place.activation, place.gradient
    return ProfileRow(
        node=place.node,
        op=place.op,
        origin=place.origin,
        depth=place.depth,
        shape=place.shape,
        activation=ActivationProfile(
            mean=activation.mean,
            std=activation.std,
            rms=activation.rms,
            zero=activation.zero,
            saturated=activation.saturated,
            nonfinite=activation.nonfinite,
        ),
        gradient=gradient
        and GradientProfile(rms=gradient.rms, relative=gradient.relative, nonfinite=gradient.nonfinite),
        parameter=parameter
        and ParameterProfile(
            name=parameter.name,
            count=parameter.count,
            rms=parameter.rms,
            gradient_rms=parameter.gradient_rms,
            update_ratio=parameter.update_ratio,
        ),
    )


def _tensor(name: str, value: Array) -> Tensor:
    return Tensor(name=name, dtype=_dtype(value.dtype), shape=tuple(value.shape))


def _dtype(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
