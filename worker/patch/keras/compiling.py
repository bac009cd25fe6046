"""How a Keras model is trained: `compile_config`."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from service.contract.words import OptimizerName
from service.keras.compiling import training
from worker.patch.dialect import without_field
from worker.patch.edits import Edit, Put
from worker.patch.keras.stating import Json, written
from worker.patch.keras.wiring import is_older
from worker.patch.places import NoWay

_CLASSES: Final = {
    OptimizerName.SGD: ("SGD", {}),
    OptimizerName.MOMENTUM: ("SGD", {"momentum": 0.9}),
    OptimizerName.NESTEROV: ("SGD", {"momentum": 0.9, "nesterov": True}),
    OptimizerName.ADAM: ("Adam", {}),
    OptimizerName.NADAM: ("Nadam", {}),
    OptimizerName.ADAMW: ("AdamW", {}),
    OptimizerName.RMSPROP: ("RMSprop", {}),
    OptimizerName.ADAGRAD: ("Adagrad", {}),
}
_RATES: Final = {"SGD": 0.01}
"""Rates that are not 0.001 where a file names none."""
_KEPT: Final = ("learning_rate", "weight_decay", "clipnorm", "global_clipnorm", "clipvalue")
_FIELDS: Final = {"optimizer", "learning_rate", "momentum", "weight_decay", "clipping", "loss", "warmup"}
_LOSSES: Final = {"mse": "mean_squared_error", "mae": "mean_absolute_error", "huber": "huber"}
_LOGITS: Final = {"cross_entropy": "SparseCategoricalCrossentropy", "bce_with_logits": "BinaryCrossentropy"}
_DENSE_TARGETS: Final = frozenset({"categorical_crossentropy", "CategoricalCrossentropy"})


def compiled(document: Json, changed: Mapping[str, Any]) -> Iterator[Edit]:
    """Yield the edits of a model's training; NoWay where Keras has no field for a setting."""
    given = document.get("compile_config") or {}
    if unsaid := sorted(changed.keys() - _FIELDS):
        raise NoWay(without_field(unsaid[0]))
    news: Json = {}
    if changed.keys() - {"loss"}:
        news["optimizer"] = _optimizer(document, given.get("optimizer"), changed)
    if "loss" in changed:
        news["loss"] = _loss(given.get("loss"), changed["loss"], older=is_older(document))
    if not given and news:
        yield Put(("compile_config",), news)
        return
    for name, value in news.items():
        yield Put(("compile_config", name), value)


def _optimizer(document: Json, given: Any, changed: Mapping[str, Any]) -> Json:  # noqa: ANN401  JSON
    known, _ = training(document.get("compile_config"))
    wanted = changed.get("optimizer") or known.optimizer or _unnamed(given)
    kind, fields = _CLASSES[OptimizerName(wanted)]
    config = dict(given["config"]) if isinstance(given, dict) and isinstance(given.get("config"), dict) else {}
    same = wanted == known.optimizer and isinstance(given, dict)
    config = config if same else {key: config[key] for key in _KEPT if config.get(key) is not None} | fields
    config |= {key: changed[key] for key in ("learning_rate", "momentum", "weight_decay") if key in changed}
    if changed.get("warmup"):
        rate = config.get("learning_rate", _RATES.get(kind, 0.001))
        config["learning_rate"] = _rising(rate, changed["warmup"], older=is_older(document))
    if "clipping" in changed:
        config |= _clipping(changed["clipping"])
    return {**given, "config": config} if same else written("optimizers", kind, config, is_older(document))


def _rising(rate: Any, steps: int, *, older: bool) -> Json:  # noqa: ANN401  JSON
    """Return a learning rate that rises by equal parts, over so many steps."""
    if not isinstance(rate, int | float) or steps < 2:  # noqa: PLR2004  one step rises at once
        message = "The file's learning rate follows a schedule of its own."
        raise NoWay(message)
    fields = {"initial_learning_rate": rate / steps, "end_learning_rate": rate, "decay_steps": steps - 1}
    schedule = {**fields, "power": 1.0, "cycle": False, "name": "warm_up"}
    return written("optimizers.schedules", "PolynomialDecay", schedule, older)


def _unnamed(given: Any) -> OptimizerName:  # noqa: ANN401  JSON
    """Return the optimizer that is put down where there is none; NoWay where there is one that is not known."""
    if given is not None:
        message = "The file's optimizer is not known here."
        raise NoWay(message)
    return OptimizerName.ADAM


def remark(document: Json, changed: Mapping[str, Any]) -> str:
    """Say what the edits of a model's training add beside what was changed."""
    needed = changed.keys() - {"loss", "optimizer"} and "optimizer" not in changed
    if not needed or (document.get("compile_config") or {}).get("optimizer") is not None:
        return ""
    return "The file names no optimizer, in which Keras keeps clipping and rate: the patch adds Adam as Keras makes it."


def _clipping(clipping: Any) -> Json:  # noqa: ANN401  JSON
    """Return Keras's three fields, of which one holds the limit; the norm is that of the whole gradient."""
    fields = {"norm": "global_clipnorm", "value": "clipvalue"}
    if clipping and clipping["kind"] not in fields:
        kind = clipping["kind"]
        message = f"Keras's optimizers clip by a norm or a value; clipping of the kind {kind} is the training code's."
        raise NoWay(message)
    none: Json = dict.fromkeys(("clipnorm", "global_clipnorm", "clipvalue"))
    return none | ({fields[clipping["kind"]]: clipping["limit"]} if clipping else {})


def _loss(given: Any, wanted: str, *, older: bool) -> Any:  # noqa: ANN401  JSON
    if isinstance(given, list) or (isinstance(given, dict) and "class_name" not in given):
        message = "The file has a loss per output."
        raise NoWay(message)
    if wanted in _LOSSES:
        return _LOSSES[wanted]
    if wanted not in _LOGITS:
        message = f"Keras has no loss that is {wanted}."
        raise NoWay(message)
    name = given["class_name"] if isinstance(given, dict) else given
    kind = "CategoricalCrossentropy" if wanted == "cross_entropy" and name in _DENSE_TARGETS else _LOGITS[wanted]
    return written("losses", kind, {"from_logits": True}, older)
