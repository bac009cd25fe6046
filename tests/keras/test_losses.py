"""`compile_config`: losses and optimizers are Keras's own."""

import json
from typing import Any

import keras
import numpy as np
import pytest
import torch

from service.contract.words import LossName, OptimizerName
from service.keras.compiling import training
from tests.keras.real import described
from worker.loss import Loss


def compiled(optimizer: Any, loss: Any) -> tuple[Any, tuple[str, ...]]:  # noqa: ANN401  what compile() takes
    """Return what we read of a model that is compiled so."""
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])
    model.compile(optimizer=optimizer, loss=loss)
    found = described(model)
    return found.training, found.notes


@pytest.mark.parametrize("logits", [False, True])
def test_the_cross_entropy_of_a_file_is_kerass(logits: bool) -> None:  # noqa: FBT001  a parameter
    found, _ = compiled("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=logits))
    generator = np.random.default_rng(0)
    output = generator.standard_normal((6, 3)) if logits else generator.uniform(0, 2, (6, 3))
    target = generator.integers(0, 3, 6)
    expected = keras.losses.SparseCategoricalCrossentropy(from_logits=logits)(target, output)
    ours = Loss(found.loss)(torch.tensor(output), torch.tensor(target))
    assert float(ours) == pytest.approx(float(expected), rel=1e-5)
    shares = np.eye(3)[target] * 0.9 + 0.1 / 3
    smooth = keras.losses.CategoricalCrossentropy(from_logits=logits)(shares, output)
    assert float(Loss(found.loss)(torch.tensor(output), torch.tensor(shares))) == pytest.approx(float(smooth), rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        ("binary_crossentropy", LossName.BCE),
        (keras.losses.BinaryCrossentropy(from_logits=True), LossName.BCE_WITH_LOGITS),
        ("mse", LossName.MSE),
        ("mean_squared_error", LossName.MSE),
        ("mae", LossName.MAE),
        (keras.losses.Huber(), LossName.HUBER),
        ("kl_divergence", None),
        (None, None),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_losses_go_by_their_names(loss: Any, name: LossName | None) -> None:  # noqa: ANN401  what compile() takes
    found, notes = compiled("sgd", loss)
    assert found.loss is name
    assert any("kl_divergence" in note for note in notes) == (loss == "kl_divergence")


@pytest.mark.parametrize(
    ("optimizer", "name", "more"),
    [
        ("sgd", OptimizerName.SGD, {"learning_rate": 0.01}),
        (keras.optimizers.SGD(0.1, momentum=0.9), OptimizerName.MOMENTUM, {"learning_rate": 0.1, "momentum": 0.9}),
        (keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True), OptimizerName.NESTEROV, {"momentum": 0.9}),
        (keras.optimizers.Adam(0.002), OptimizerName.ADAM, {"learning_rate": 0.002}),
        (keras.optimizers.AdamW(weight_decay=0.01), OptimizerName.ADAMW, {"weight_decay": 0.01}),
        (keras.optimizers.Nadam(), OptimizerName.NADAM, {"learning_rate": 0.001}),
        (keras.optimizers.RMSprop(), OptimizerName.RMSPROP, {"learning_rate": 0.001}),
        (keras.optimizers.Adagrad(), OptimizerName.ADAGRAD, {"learning_rate": 0.001}),
        (keras.optimizers.Lion(), None, {"learning_rate": None}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_optimizers_go_by_their_classes(
    optimizer: object, name: OptimizerName | None, more: dict[str, float | None]
) -> None:
    found, notes = compiled(optimizer, "mse")
    assert found.optimizer is name
    for key, value in more.items():
        assert getattr(found, key) == (value if value is None else pytest.approx(value))
    assert any("Lion" in note for note in notes) == (name is None)


def test_clipping_and_schedules_are_read() -> None:
    found, notes = compiled(keras.optimizers.Adam(global_clipnorm=0.5), "mse")
    assert (found.clipping.kind, found.clipping.limit) == ("norm", 0.5)
    found, _ = compiled(keras.optimizers.Adam(clipvalue=0.25), "mse")
    assert (found.clipping.kind, found.clipping.limit) == ("value", 0.25)
    found, notes = compiled(keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.03, 10, 0.9)), "mse")
    assert found.learning_rate == pytest.approx(0.03)
    assert any("schedule" in note for note in notes)


@pytest.mark.parametrize("config", [None, {}, [], 3, {"optimizer": 3, "loss": [[]]}, {"optimizer": {"class_name": 3}}])
def test_whatever_stands_in_compile_config_is_survived(config: Any) -> None:  # noqa: ANN401  what a file can hold
    assert training(json.loads(json.dumps(config)))[0].optimizer is None
