"""`compile_config`: the optimizer and the loss."""

from math import isfinite
from typing import Any, Final, NamedTuple

from service.contract.options import Clipping
from service.contract.words import LossName, OptimizerName

_OPTIMIZERS: Final = {
    "sgd": OptimizerName.SGD,
    "adam": OptimizerName.ADAM,
    "nadam": OptimizerName.NADAM,
    "adamw": OptimizerName.ADAMW,
    "rmsprop": OptimizerName.RMSPROP,
    "adagrad": OptimizerName.ADAGRAD,
}
_DEFAULT_RATES: Final = {"sgd": 0.01}
_LOSSES: Final = {
    "meansquarederror": LossName.MSE,
    "mse": LossName.MSE,
    "meanabsoluteerror": LossName.MAE,
    "mae": LossName.MAE,
    "huber": LossName.HUBER,
    "huberloss": LossName.HUBER,
}
_ENTROPIES: Final = {
    "binarycrossentropy": (LossName.BCE, LossName.BCE_WITH_LOGITS),
    "categoricalcrossentropy": (LossName.PROBABILITY_CROSS_ENTROPY, LossName.CROSS_ENTROPY),
    "sparsecategoricalcrossentropy": (LossName.PROBABILITY_CROSS_ENTROPY, LossName.CROSS_ENTROPY),
}
"""Losses of probabilities, and of logits where the file says `from_logits`."""


class Training(NamedTuple):
    """How the model will be trained, as far as the file says."""

    loss: LossName | None = None
    optimizer: OptimizerName | None = None
    learning_rate: float | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    clipping: Clipping | None = None
    warmup: int | None = None


def training(config: Any) -> tuple[Training, tuple[str, ...]]:  # noqa: ANN401  what the file holds
    """Return the settings, and notes on what is not taken over."""
    if not isinstance(config, dict) or not config:
        return Training(), ()
    notes: list[str] = []
    found = _optimizer(config.get("optimizer"), notes)
    return found._replace(loss=_loss(config.get("loss"), notes)), tuple(notes)


def _optimizer(spec: Any, notes: list[str]) -> Training:  # noqa: ANN401  what the file holds
    name, config = _named(spec)
    if name is None:
        return Training()
    key = name.lower()
    if key == "lossscaleoptimizer":
        return _optimizer(config.get("inner_optimizer"), notes)
    if key not in _OPTIMIZERS:
        notes.append(f"The optimizer {name:.80} is not tried; the usual ones are.")
        return Training()
    rate = config.get("learning_rate", config.get("lr", _DEFAULT_RATES.get(key, 0.001)))
    rate, warmup = _scheduled(rate, notes)
    momentum = _number(config.get("momentum")) if key == "sgd" else None
    chosen = _OPTIMIZERS[key]
    if momentum:
        chosen = OptimizerName.NESTEROV if config.get("nesterov") is True else OptimizerName.MOMENTUM
    return Training(
        optimizer=chosen,
        learning_rate=_number(rate) or None,
        momentum=momentum or None,
        weight_decay=_number(config.get("weight_decay")) or None,
        clipping=_clipping(config, notes),
        warmup=warmup,
    )


def _scheduled(rate: Any, notes: list[str]) -> tuple[Any, int | None]:  # noqa: ANN401  what the file holds
    """Return the rate of a schedule and over how many steps it rises to that; a falling one's is that of its start.

    `PolynomialDecay` from rate / n to rate, in n - 1 steps, is the linear rise over n steps.
    """
    if not isinstance(rate, dict):
        return rate, None
    name, schedule = _named(rate)
    first, last, steps = (
        _number(schedule.get(key)) for key in ("initial_learning_rate", "end_learning_rate", "decay_steps")
    )
    straight = schedule.get("power", 1) == 1 and schedule.get("cycle") is not True
    if name == "PolynomialDecay" and straight and first < last and steps:
        return last, int(steps) + 1
    notes.append("The learning rate follows a schedule; it is examined at its start.")
    return schedule.get("initial_learning_rate"), None


def _clipping(config: dict[str, Any], notes: list[str]) -> Clipping | None:
    for key in ("global_clipnorm", "clipnorm", "clipvalue"):
        limit = _number(config.get(key))
        if limit:
            if key == "clipnorm":
                notes.append("clipnorm bounds each weight's gradient by itself; it is examined as a bound of them all.")
            return Clipping(kind="value" if key == "clipvalue" else "norm", limit=limit)
    return None


def _loss(spec: Any, notes: list[str]) -> LossName | None:  # noqa: ANN401  what the file holds
    several = isinstance(spec, list) or (isinstance(spec, dict) and "class_name" not in spec)
    if several:
        named = list(spec.values()) if isinstance(spec, dict) else spec
        spec = next((each for each in named if each is not None), None)
        if len(named) > 1:
            notes.append("The file has a loss per output; the first is examined.")
    name, config = _named(spec)
    if name is None:
        return None
    key = name.lower().replace("_", "")
    if key in _ENTROPIES:
        return _ENTROPIES[key][config.get("from_logits") is True]
    if key not in _LOSSES:
        notes.append(f"The loss {name:.80} is not known here; one is chosen by the output and the targets.")
    return _LOSSES.get(key)


def _named(spec: Any) -> tuple[str | None, dict[str, Any]]:  # noqa: ANN401  what the file holds
    """Return the class name and the config of an optimizer or a loss."""
    if isinstance(spec, str):
        return spec, {}
    if isinstance(spec, dict) and isinstance(spec.get("class_name"), str):
        config = spec.get("config")
        if isinstance(config, str):  # a bare function by name
            return config, {}
        return spec["class_name"], config if isinstance(config, dict) else {}
    return None, {}


def _number(value: Any) -> float:  # noqa: ANN401  what the file holds
    """Return a number that can be taken over; 0 otherwise."""
    usable = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and 0 < value <= 1e6  # noqa: PLR2004
    return float(value) if usable else 0.0
