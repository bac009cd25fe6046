"""Training that decides whether a treated model learns, with torch's own optimizers and none of the service's trainer.

It is twice as long as the service's trial, and what counts is where the loss ends.  A model is trained as it says, at
the one rate that it says.  Where it says nothing it is trained as the labels' oracle does it: under SGD and under Adam,
each at the best of its rates.  There a sound model learns under one of them, and a sick one fails under one; so a cured
one has to learn under one that it failed under, and, as before, under one that it did not fail under.  Clipping,
warm-up and loss scale are what the model says; the precision is float32 whatever it says.
"""

import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from benchmarks.diagnosis.labels import ADAM, BEATEN, LEARNT, RATES, SAMPLES, SGD, WINDOW
from service.contract.options import Clipping
from service.contract.words import Mode, OptimizerName
from worker.network.run import Program
from worker.subject import Settings, Subject

STEPS: Final = 400
PATIENCE: Final = 80
"""Steps after which a run that is not below the best constant's loss is given up."""
FRESH: Final = 5000
"""How far the seeds lie from those that were examined."""
_MOMENTUM: Final = 0.9
_PLAIN: Final = {OptimizerName.SGD, OptimizerName.MOMENTUM, OptimizerName.NESTEROV}
_SMALLEST_NORM: Final = 1e-3
"""What AGC takes a smaller weight's norm for (Brock et al. 2021)."""


@dataclass(frozen=True)
class Way:
    """An optimizer, and the rates that it is tried at."""

    name: OptimizerName
    rates: tuple[float, ...]


@dataclass(frozen=True)
class Reached:
    """What a seed's loss came to, by the best constant's, under each optimizer that was tried, at its best rate."""

    ratios: Mapping[str, float]
    learnt: bool
    every: bool
    """Whether it learnt under every optimizer; known where all were tried."""


def ways(settings: Settings) -> tuple[Way, ...]:
    """Return the ways in which a model is trained."""
    if settings.optimizer is None and settings.learning_rate is None:
        return Way(OptimizerName.ADAM, ADAM), Way(OptimizerName.SGD, SGD)
    name = settings.optimizer or OptimizerName.ADAM
    if settings.learning_rate is not None:
        return (Way(name, (settings.learning_rate,)),)
    return (Way(name, SGD if name in _PLAIN else ADAM),)


def reached(
    subject: Subject, seed: int, *, held: Collection[str] = (), ends: float = math.inf, every: bool = False
) -> Reached:
    """Train a seed in the ways that decide, in all with `every`; `held` are the optimizers that taught it untreated.

    From `ends` on, in processor seconds, no way is tried at more than two rates.
    """
    chosen = ways(subject.settings)
    kept = [way for way in chosen if len(chosen) > 1 and way.name in held]
    won = [way for way in chosen if way not in kept]
    ratios: dict[str, float] = {}
    for way in (*kept, *won):
        ratios[way.name] = _best(subject, way, seed, ends)
        learnt = ratios[way.name] < LEARNT
        if not every and learnt is (way in won):
            break
    learns = {name for name, each in ratios.items() if each < LEARNT}
    decided = all(way.name in learns for way in kept) and (not won or any(way.name in learns for way in won))
    return Reached(ratios, decided, len(learns) == len(chosen))


def _best(subject: Subject, way: Way, seed: int, ends: float) -> float:
    """Return what the best of a way's rates comes to; those behind one that learns are not tried."""
    best = math.inf
    for tried, rate in enumerate(way.rates):
        if best < LEARNT or (tried >= RATES and time.process_time() > ends):
            break
        best = min(best, ratio(subject, way.name, rate, seed))
    return best


def ratio(subject: Subject, name: OptimizerName, rate: float, seed: int) -> float:
    """Return the mean loss of the last steps by the best constant's; infinite where the run breaks."""
    run, chance = _Run(subject, name, rate, seed), max(subject.loss.chance(subject.target), 1e-30)
    losses: list[float] = []
    for step in range(STEPS):
        loss = run.step(step)
        losses.append(loss / chance)
        if not math.isfinite(loss):
            return math.inf
        if step >= PATIENCE and _recent(losses) >= BEATEN:
            break
    return _recent(losses)


def _recent(losses: Sequence[float]) -> float:
    return sum(losses[-WINDOW:]) / len(losses[-WINDOW:])


class _Run:
    """A copy of a subject's weights in training."""

    def __init__(self, subject: Subject, name: OptimizerName, rate: float, seed: int) -> None:
        self._subject, self._program, self._rate = subject, Program(subject.graph), rate
        parameters = subject.graph.parameters
        self._values = {key: each.value.detach().float().clone() for key, each in parameters.items()}
        self._trained = [self._values[key].requires_grad_() for key, each in parameters.items() if each.trainable]
        self._optimizer = _optimizer(name, self._trained, rate, subject.settings) if self._trained else None
        self._draws = torch.Generator().manual_seed(FRESH + seed)
        self._norms: list[float] = []

    def step(self, count: int) -> float:
        """Take a step; return the loss before it, infinite where no gradient came, or one that is not finite."""
        subject, settings = self._subject, self._subject.settings
        loss = self._loss()
        if self._optimizer is None or not loss.requires_grad:
            return math.inf
        self._optimizer.zero_grad()
        (subject.penalized(loss, self._values) * settings.loss_scale).backward()  # type: ignore[no-untyped-call]
        given = [each for each in self._trained if each.grad is not None]
        for each in given:
            each.grad = each.grad / settings.loss_scale if each.grad is not None else None
        norm = torch.nn.utils.get_total_norm([each.grad for each in given if each.grad is not None])
        if not torch.isfinite(norm):
            return math.inf
        self._clip(given, float(norm))
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate * min(1.0, (count + 1) / max(settings.warmup, 1))
        self._optimizer.step()
        return loss.item()

    def _loss(self) -> Tensor:
        subject = self._subject
        if len(subject.target) > SAMPLES and subject.divisible:
            subject = subject.part(torch.randperm(len(subject.target), generator=self._draws)[:SAMPLES])
        training = subject.mode is Mode.TRAIN
        made = self._program.run(subject.batch.inputs, self._values, training=training, generator=self._draws)
        return subject.loss(made[subject.output].float(), subject.target)

    def _clip(self, given: Sequence[Tensor], norm: float) -> None:
        clipping = self._subject.settings.clipping
        if clipping is not None:
            _CLIPPERS[clipping.kind](given, clipping, [*self._norms, norm])
            self._norms.append(norm)


def _optimizer(name: OptimizerName, values: Sequence[Tensor], rate: float, settings: Settings) -> torch.optim.Optimizer:
    """Return torch's own optimizer with the settings that it has."""
    kinds: Mapping[str, Callable[..., torch.optim.Optimizer]] = {
        "sgd": torch.optim.SGD,
        "momentum": torch.optim.SGD,
        "nesterov": torch.optim.SGD,
        "adam": torch.optim.Adam,
        "nadam": torch.optim.NAdam,
        "adamw": torch.optim.AdamW,
        "rmsprop": torch.optim.RMSprop,
        "adagrad": torch.optim.Adagrad,
    }
    return kinds[name](values, lr=rate, weight_decay=settings.weight_decay, **dict(_more(name, settings.momentum)))


def _more(name: OptimizerName, momentum: float | None) -> Iterator[tuple[str, float | bool]]:
    """Yield what an optimizer is given beside rate and decay."""
    if name in {OptimizerName.MOMENTUM, OptimizerName.NESTEROV}:
        yield "momentum", _MOMENTUM if momentum is None else momentum
        yield "nesterov", name is OptimizerName.NESTEROV and momentum != 0
    elif momentum and name in {OptimizerName.SGD, OptimizerName.RMSPROP}:
        yield "momentum", momentum


def _by_norm(given: Sequence[Tensor], clipping: Clipping, norms: Sequence[float]) -> None:
    torch.nn.utils.clip_grad_norm_(given, clipping.limit)


def _by_value(given: Sequence[Tensor], clipping: Clipping, norms: Sequence[float]) -> None:
    torch.nn.utils.clip_grad_value_(given, clipping.limit)


def _by_weight(given: Sequence[Tensor], clipping: Clipping, norms: Sequence[float]) -> None:
    """Clip each unit's gradient to a share of its weight's norm (AGC, Brock et al. 2021)."""
    for each in given:
        if each.grad is not None:
            axes = tuple(range(1, each.dim())) or (0,)
            most = clipping.limit * each.detach().norm(dim=axes, keepdim=True).clamp_min(_SMALLEST_NORM)
            each.grad *= (most / each.grad.norm(dim=axes, keepdim=True).clamp_min(1e-30)).clamp_max(1)


def _by_deviations(given: Sequence[Tensor], clipping: Clipping, norms: Sequence[float]) -> None:
    """Clip the norm to the mean of those so far and `limit` of their standard deviations (ZClip, Kumar et al. 2025)."""
    before = torch.tensor(norms[:-1] or norms, dtype=torch.float64)
    most = float(before.mean() + clipping.limit * before.std(correction=0))
    torch.nn.utils.clip_grad_norm_(given, most)


_CLIPPERS: Final[Mapping[str, Callable[[Sequence[Tensor], Clipping, Sequence[float]], None]]] = {
    "norm": _by_norm,
    "value": _by_value,
    "agc": _by_weight,
    "zscore": _by_deviations,
}
