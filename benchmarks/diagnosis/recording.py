"""Trains a case plainly, with torch's own optimizer, and keeps what debuggers of training would have seen."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from benchmarks.diagnosis.case import Case
from benchmarks.diagnosis.traces import Activation, Kind, Step, Task, Trace, Weight
from service.contract.options import Options
from service.contract.words import LossName
from worker.load.subject import load
from worker.network.fans import fans
from worker.network.graph import Graph, Node
from worker.network.run import Program
from worker.probe.training import usual_optimizer
from worker.subject import Subject

STEPS: Final = 100
EVERY: Final = 5
"""Steps from one reading of weights, gradients and activations to the next."""
KINDS: Final[Mapping[str, Kind]] = {
    "Relu": "relu",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "LeakyRelu": "other",
    "PRelu": "other",
    "Elu": "other",
    "Selu": "other",
    "Celu": "other",
    "Gelu": "other",
    "HardSwish": "other",
    "Softplus": "other",
}
_LIMITS: Final = {"tanh": (-9.4999, 9.4999), "sigmoid": (-23.0, 16.99999)}
_RANGES: Final = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}
_CLASS_LOSSES: Final = {LossName.CROSS_ENTROPY, LossName.PROBABILITY_CROSS_ENTROPY, LossName.NLL}
_BINARY_LOSSES: Final = {LossName.BCE, LossName.BCE_WITH_LOGITS}
_IMAGES: Final = 4


def written(case: Case, folder: Path) -> tuple[Path, Path]:
    """Return the case's model and batch as files in `folder`, as a caller would upload them."""
    model, batch = folder / f"model{case.suffix}", folder / "batch.npz"
    model.write_bytes(case.model)
    np.savez(batch, **case.batch)  # type: ignore[arg-type]
    return model, batch


def record(case: Case, steps: int = STEPS) -> Trace:
    """Return the trace of `steps` steps under the declared optimizer, else Adam at 1e-3.

    Every step takes the whole batch.  The trace ends early where the loss is no longer finite, that step included.
    """
    with tempfile.TemporaryDirectory() as folder:
        model, batch = written(case, Path(folder))
        subject = load(model, batch, Options.model_validate(dict(case.options)), {}, torch.device("cpu")).subject
    return Recorder(subject).trace(steps)


class Recorder:
    """A subject in training."""

    def __init__(self, subject: Subject) -> None:
        """Take copies of the weights."""
        self._subject, graph = subject, subject.graph
        self._program = Program(graph)
        self._leaves = {name: each.value.detach().float().clone() for name, each in graph.parameters.items()}
        order = {name: place for place, node in reversed(list(enumerate(graph.nodes))) for name in node.inputs}
        read = sorted(graph.parameters, key=lambda name: order.get(name, len(order)))
        self._trained = {name: self._leaves[name] for name in read if graph.parameters[name].trainable}
        for leaf in self._trained.values():
            leaf.requires_grad_()
        self._readers = {name: node for node in reversed(graph.nodes) for name in node.inputs}
        self._optimizer = usual_optimizer(subject)
        self._stepper = self._optimizer.build(list(self._trained.values())) if self._trained else None
        self._generator = torch.Generator().manual_seed(subject.seed)

    def trace(self, steps: int) -> Trace:
        """Return the trace of the run."""
        made: list[Step] = []
        for index in range(steps):
            made.append(self._step(read=index % EVERY == 0 or index == steps - 1))
            if not np.isfinite(made[-1].loss):
                break
        return self._described(tuple(made))

    def _step(self, *, read: bool) -> Step:
        subject, way = self._subject, self._program.trace if read else self._program.run
        inputs = {name: x.float() if x.is_floating_point() else x for name, x in subject.batch.inputs.items()}
        made = way(inputs, self._leaves, training=True, generator=self._generator)
        values = made if isinstance(made, dict) else made.values
        output = values[subject.output].float()
        loss = subject.loss(output, subject.target)
        self._backward(loss)
        weights = self._stepped(read=read or not bool(loss.isfinite()))
        seen = output.detach()
        return Step(
            loss=float(loss.detach()),
            accuracy=self._accuracy(seen, float(loss.detach())),
            weights=weights,
            activations=self._activations(values) if read else {},
            output_low=float(seen.min()),
            output_high=float(seen.max()),
            output_constant=bool((seen.flatten(1).var(0, correction=0) == 0).any()) if seen.dim() > 1 else False,
        )

    def _stepped(self, *, read: bool) -> dict[str, Weight]:
        """Take the optimizer's step; return every weight's numbers where they are to be read."""
        before = {name: leaf.detach().clone() for name, leaf in self._trained.items()} if read else {}
        gradients = {name: None if leaf.grad is None else leaf.grad.clone() for name, leaf in self._trained.items()}
        if self._stepper is not None:
            self._optimizer.clip([leaf for leaf in self._trained.values() if leaf.grad is not None])
            self._stepper.step()
        return {name: self._weight(name, value, gradients[name]) for name, value in before.items()}

    def _backward(self, loss: Tensor) -> None:
        if self._stepper is None or not loss.requires_grad:
            return
        self._stepper.zero_grad()
        torch.autograd.backward(loss)

    def _weight(self, name: str, value: Tensor, gradient: Tensor | None) -> Weight:
        magnitudes = value.abs()
        moved = (self._trained[name].detach() - value).abs()
        size = float(magnitudes.mean())
        into, out = _fans(value, self._readers.get(name))
        variance = float(value.var()) if value.numel() > 1 else 0.0
        own = {} if gradient is None else _gradient(gradient)
        return Weight(
            matrix=value.dim() > 1,
            finite=bool(value.isfinite().all()),
            mean=float(value.mean()),
            size=size,
            variance=variance,
            variance_by_he=variance * into / 2,
            variance_by_glorot=variance * (into + out) / 2,
            variance_by_lecun=variance * into,
            zero=float((value == 0).float().mean()),
            tiny=float((magnitudes < 1e-5).float().mean()),  # noqa: PLR2004  TheDeepChecker's
            negative=float((value < 0).float().mean()),
            empty_rows=self._empty(name, value),
            count=value.numel(),
            update=float(moved.mean()) / (size + 1e-9),
            largest_update=float((moved / magnitudes.clamp(min=1e-9)).max()),
            **{"gradient": None, **own},  # type: ignore[arg-type]
        )

    def _empty(self, name: str, value: Tensor) -> int:
        reader = self._readers.get(name)
        if reader is None or reader.op != "Conv" or value.dim() <= 1:
            return 0
        return int((value.flatten(1).norm(dim=1) < 1e-6).sum())  # noqa: PLR2004  torch-audit's

    def _activations(self, values: Mapping[str, Tensor]) -> dict[str, Activation]:
        nodes = [node for node in self._subject.graph.nodes if node.op in KINDS and node.outputs[0] in values]
        return {node.name: _activation(node, values) for node in nodes if node.inputs[0] in values}

    def _task(self) -> Task:
        classes = _CLASS_LOSSES | _BINARY_LOSSES
        return "classification" if self._subject.loss.name in classes else "regression"

    def _accuracy(self, output: Tensor, loss: float) -> float:
        target, name = self._subject.target, self._subject.loss.name
        if name in _CLASS_LOSSES:
            return _met(output, target)
        if name in _BINARY_LOSSES:
            told = output > (0.0 if name is LossName.BCE_WITH_LOGITS else 0.5)
            return float((told.reshape(-1) == (target.reshape(-1) > 0.5)).float().mean())  # noqa: PLR2004  one half
        chance = self._subject.loss.chance(target)
        return 1 - loss / chance if chance > 0 else 0.0

    def _described(self, steps: tuple[Step, ...]) -> Trace:
        subject, graph = self._subject, self._subject.graph
        floats = [x.float() for x in subject.batch.inputs.values() if x.is_floating_point()]
        whole = [x for x in subject.batch.inputs.values() if not x.is_floating_point()]
        kinds = [KINDS[node.op] for node in graph.nodes if node.op in KINDS]
        producer = graph.producers().get(subject.output)
        target = subject.target
        return Trace(
            steps=steps,
            task=self._task(),
            classes=_classes(target),
            chance=subject.loss.chance(target),
            head=producer.op if producer is not None else "",
            batch=subject.batch.size,
            inputs=tuple((float(x.min()), float(x.max()), float(x.std()) if x.numel() > 1 else 0.0) for x in floats),
            constant_features=sum(int((x.flatten(1).var(0) == 0).sum()) for x in floats if x.dim() > 1 and len(x) > 1),
            image_shapes=tuple(tuple(x.shape) for x in floats if x.dim() == _IMAGES),
            negative_indices=any(bool((x < 0).any()) for x in whole),
            target_low=float(target.min()),
            target_high=float(target.max()),
            batch_norm=any(node.op == "BatchNormalization" for node in graph.nodes),
            bias_before_norm=_biases_before_norms(graph),
            unused=sum(each.gradient is None for each in steps[0].weights.values()),
            optimizer=self._optimizer.name,
            weight_decay=self._optimizer.weight_decay,
            activation=max(kinds, key=kinds.count, default="other"),
        )


def _gradient(gradient: Tensor) -> dict[str, float | bool]:
    flat = gradient.flatten()
    finite = bool(flat.isfinite().all())
    low, high = torch.quantile(flat.nan_to_num(), torch.tensor([0.05, 0.95])).tolist()
    return {
        "gradient": float(flat.abs().mean()),
        "gradient_mean": float(flat.mean()),
        "gradient_norm": float(flat.norm()),
        "gradient_spread": high - low,
        "gradient_zero": float((flat == 0).float().mean()),
        "gradient_finite": finite,
    }


def _fans(value: Tensor, reader: Node | None) -> tuple[int, int]:
    op = reader.op if reader is not None else "MatMul"
    transposed = reader is not None and reader.op == "Gemm" and bool(reader.attributes.get("transB", 0))
    found = fans(tuple(value.shape), op, transposed=transposed) if value.dim() > 1 else None
    return (found.into, found.out) if found else (1, 1)


def _activation(node: Node, values: Mapping[str, Tensor]) -> Activation:
    kind = KINDS[node.op]
    before, after = values[node.inputs[0]].detach().float(), values[node.outputs[0]].detach().float()
    units, inputs = _by_unit(after), _by_unit(before)
    low, high = _LIMITS.get(kind, (-np.inf, np.inf))
    bottom, top = _RANGES.get(kind, (-np.inf, np.inf))
    rho = (2 * (units - bottom) / (top - bottom) - 1).abs().mean(0) if kind in _RANGES else torch.zeros(1)
    return Activation(
        kind=kind,
        finite=bool(after.isfinite().all()),
        input_variance=float(before.var(correction=0)),
        input_mean=float(before.mean()),
        output_mean=float(after.mean()),
        output_deviation=float(after.std(correction=0)),
        zero=float((after == 0).float().mean()),
        at_most_zero=float((after <= 0).float().mean()),
        inactive_units=_share((units > 0).float().mean(0) < 0.01),  # noqa: PLR2004  SageMaker's
        quiet_units=_share(units.abs().nan_to_num().quantile(0.95, dim=0) < 1e-5),  # noqa: PLR2004  TheDeepChecker's
        extreme_units=_share(((inputs > low) & (inputs < high)).float().mean(0) < 0.01),  # noqa: PLR2004  SageMaker's
        saturated=float((before.abs() >= 5).float().mean()),  # noqa: PLR2004  DeepDiagnosis's
        saturated_units=_share(rho > 0.85),  # noqa: PLR2004  TheDeepChecker's
    )


def _by_unit(value: Tensor) -> Tensor:
    """Return [samples and positions, units]: the channel is the second axis of images, the last one elsewhere."""
    if value.dim() == _IMAGES:
        value = value.movedim(1, -1)
    return value.reshape(-1, value.shape[-1]) if value.dim() > 1 else value.reshape(-1, 1)


def _share(told: Tensor) -> float:
    return float(told.float().mean())


def _met(output: Tensor, target: Tensor) -> float:
    if target.is_floating_point():
        axis = -1 if output.dim() < 3 else 1  # noqa: PLR2004  classes come last in a matrix
        return float((output.argmax(axis) == target.argmax(axis)).float().mean())
    axis = 1 if output.shape[:1] + output.shape[2:] == target.shape else -1
    return float((output.argmax(axis).reshape(-1) == target.reshape(-1)).float().mean())


def _classes(target: Tensor) -> int:
    if target.is_floating_point():
        return target.shape[-1] if target.dim() > 1 else 2
    return int(target.max()) + 1


def _biases_before_norms(graph: Graph) -> int:
    producers = graph.producers()
    norms = [node for node in graph.nodes if node.op in {"BatchNormalization", "InstanceNormalization"}]
    before = [producers.get(node.inputs[0]) for node in norms]
    return sum(node is not None and node.op in {"Conv", "Gemm"} and len(node.inputs) > 2 for node in before)  # noqa: PLR2004  a bias is the third
