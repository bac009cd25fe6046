"""The report's sections, from what was loaded and measured."""

from collections.abc import Mapping
from importlib.metadata import version

import torch
from torch import Tensor as Array

from service import __version__
from service.contract.options import Options
from service.contract.profile import ActivationProfile, GradientProfile, ParameterProfile, ProfileRow
from service.contract.report import BatchSection, Engine, LossSection, ModelSection, Passes, Tensor
from worker.load.subject import Loaded
from worker.passes import Passes as Counted
from worker.probe.evidence import Evidence, ParameterEvidence, PlaceEvidence


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


def lateness(options: Options) -> tuple[str, ...]:
    """Say that the wall clock, not the plan, decided how much was tried."""
    early = f"The time limit of {options.time_limit_s:g} s ended the examination before its plan did"
    return (f"{early}: with more time, or on a faster machine, more would have been tried.",)


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
