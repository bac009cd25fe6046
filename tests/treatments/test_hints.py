"""Every code hint runs as it stands on a caller's own network, does something to it, and the network still learns."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import keras
import numpy as np
import pytest
import torch
from keras import layers
from torch import nn

from tests.treatments.test_changes import SUBJECTS, made
from worker.treatments import Change, treatments

MOST_LINES = 6
SHORT = 120
BLANKS: Mapping[str, str] = {
    "torch": "torch.optim.AdamW(model.parameters(), lr=0.001, weight_decay=0.01)",
    "keras": "keras.optimizers.AdamW(learning_rate=0.001, weight_decay=0.01)",
    "decay": "0.0001",
    "rate": "0.2",
    "gain": "1.3",
    "bias": "2.5",
    "function": "log",
    "low": "-0.5",
    "high": "0.5",
    "scale": "1024.0",
    "mean": "0.5",
    "std": "2.0",
    "prior": "torch.bincount(y, minlength=last.bias.numel()).add(0.5).div(len(y)).log()",
    "keras_prior": "[-1.2, -1.0, -1.1]",
}
"""What fills the blanks of treatments that have something to change in none of the subjects here."""


class Recurrent(nn.Module):
    """An LSTM, a GRU and a plain recurrence, and a head on their last step."""

    def __init__(self) -> None:
        """Draw the weights."""
        super().__init__()
        self.lstm = nn.LSTM(8, 16, batch_first=True)
        self.gru = nn.GRU(16, 16, batch_first=True)
        self.rnn = nn.RNN(16, 16, batch_first=True)
        self.head = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        values, _ = self.lstm(x)
        values, _ = self.gru(values)
        values, _ = self.rnn(values)
        return self.head(values[:, -1])  # type: ignore[no-any-return]


def plain() -> nn.Module:
    norms = [nn.Linear(16, 16), nn.BatchNorm1d(16), nn.Sigmoid(), nn.Linear(16, 16), nn.LayerNorm(16), nn.ReLU()]
    return nn.Sequential(
        nn.Linear(8, 16), nn.ReLU(), nn.Dropout(), *norms, nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3)
    )


def images() -> nn.Module:
    convolutions = [nn.Conv2d(2, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.Sigmoid()]
    return nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(128, 3))


def attentive() -> nn.Module:
    block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    return nn.Sequential(block, nn.Flatten(), nn.Linear(40, 3))


def sequential(shape: tuple[int, ...], *held: keras.Layer) -> keras.Model:
    return keras.Sequential([keras.Input(shape, name="x"), *held])


def attending() -> keras.Model:
    given = keras.Input((5, 8), name="x")
    value = layers.LayerNormalization()(layers.Add()([given, layers.MultiHeadAttention(2, 4)(given, given)]))
    return keras.Model(given, layers.Dense(3)(layers.Flatten()(value)))


TORCH: Mapping[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "plain": (plain, (8,)),
    "images": (images, (2, 8, 8)),
    "recurrent": (Recurrent, (6, 8)),
    "attentive": (attentive, (5, 8)),
    "constant": (lambda: nn.Sequential(nn.Linear(8, 1), nn.LayerNorm(1), nn.Linear(1, 3)), (8,)),
}
KERAS: Mapping[str, Callable[[], keras.Model]] = {
    "plain": lambda: sequential(
        (8,),
        layers.Dense(16, "relu"),
        layers.Dropout(0.5),
        layers.Dense(16),
        layers.BatchNormalization(),
        layers.Activation("sigmoid"),
        layers.Dense(16),
        layers.LayerNormalization(),
        layers.ReLU(),
        layers.Dense(16, "tanh"),
        layers.Dense(3),
    ),
    "images": lambda: sequential(
        (8, 8, 2),
        layers.Conv2D(8, 3, activation="relu"),
        layers.BatchNormalization(),
        layers.Flatten(),
        layers.Dense(3),
    ),
    "recurrent": lambda: sequential(
        (6, 8),
        layers.LSTM(16, return_sequences=True),
        layers.GRU(16, return_sequences=True),
        layers.SimpleRNN(16),
        layers.Dense(3),
    ),
    "attentive": attending,
    "constant": lambda: sequential((8,), layers.Dense(1), layers.LayerNormalization(), layers.Dense(3)),
}


@pytest.fixture(autouse=True)
def alike() -> Iterator[None]:
    """Draw the same in each test, on one thread."""
    keras.utils.set_random_seed(0)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def changes(name: str) -> tuple[Change, ...]:
    """Return what a treatment makes of the subjects in which it has something to change."""
    tried = [treatments[name].apply(*made(each)) for each in SUBJECTS]
    return tuple(change for change in tried if isinstance(change, Change))


def filled(name: str, framework: str) -> str:
    """Return a hint with the values of a real change in its blanks; "" where there is none."""
    found = changes(name)
    return treatments[name].hints.filled(found[0].values if found else BLANKS).get(framework, "")


@pytest.mark.parametrize("name", list(treatments))
def test_a_treatment_has_hints_of_few_lines_for_both_frameworks(name: str) -> None:
    for framework in ("torch", "keras"):
        lines = filled(name, framework).splitlines()
        assert 0 < len(lines) <= MOST_LINES, framework
        assert all(len(line) <= SHORT for line in lines), framework


@pytest.mark.parametrize("name", list(treatments))
def test_a_change_fills_all_blanks_of_its_hints(name: str) -> None:
    for change in changes(name):
        for text in treatments[name].hints.filled(change.values).values():
            assert not re.search(r"\$\w", text), text


@pytest.mark.parametrize("name", list(treatments))
def test_a_torch_hint_runs_and_the_network_learns(name: str) -> None:
    hint, touched = filled(name, "torch"), list[str]()
    for kind, (build, shape) in TORCH.items():
        model = build()
        scope = {
            "torch": torch,
            "nn": nn,
            "model": model,
            "optimizer": torch.optim.SGD(model.parameters(), lr=0.01),
            "loss_fn": nn.CrossEntropyLoss(),
            "x": torch.randn(32, *shape),
            "y": torch.arange(32) % 3,
        }
        before = of_torch(scope)
        exec(hint, scope)  # noqa: S102
        touched += [kind] * (of_torch(scope) != before)
        loss = scope["loss_fn"](scope["model"](scope["x"]), scope["y"])
        scope["optimizer"].zero_grad()
        loss.backward()
        scope["optimizer"].step()
        assert loss.isfinite()
        assert any(each.grad is not None and each.grad.any() for each in scope["model"].parameters())
    assert touched or not hint


def of_torch(scope: Mapping[str, Any]) -> str:
    """Return all that a hint may have changed, as text."""
    optimizer = scope["optimizer"]
    groups = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    weights = {name: value.tolist() for name, value in scope["model"].state_dict().items()}
    hooks = [len(each._forward_pre_hooks) + len(each._forward_hooks) for each in scope["model"].modules()]  # noqa: SLF001
    told = (type(optimizer), groups, scope["model"], weights, hooks, scope["loss_fn"], scope["x"], scope["y"])
    return repr(told)


@pytest.mark.parametrize("name", list(treatments))
def test_a_keras_hint_runs_and_the_network_learns(name: str) -> None:
    hint, touched = filled(name, "keras"), list[str]()
    for kind, build in KERAS.items():
        model = build()
        model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
        shape = model.input_shape[1:]
        x = np.random.default_rng(0).normal(size=(32, *shape)).astype("float32")
        scope = {"keras": keras, "model": model, "x": x, "y": keras.utils.to_categorical(np.arange(32) % 3)}
        before = of_keras(scope)
        exec(hint, scope)  # noqa: S102
        touched += [kind] * (of_keras(scope) != before)
        again = scope["model"]
        if not again.compiled:
            again.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
        indices = "Sparse" in type(again.loss).__name__
        assert np.isfinite(again.train_on_batch(scope["x"], scope["y"].argmax(1) if indices else scope["y"]))
    assert touched or not hint


def of_keras(scope: Mapping[str, Any]) -> str:
    """Return all that a hint may have changed, as text."""
    model = scope["model"]
    optimizer = keras.optimizers.serialize(model.optimizer) if model.compiled else None
    loss = repr(getattr(model, "loss", None))
    weights = [value.tolist() for value in model.get_weights()]
    added = [float(each.detach()) for each in model.losses]
    held = [model.to_json(), optimizer, loss, weights, added, scope["x"].tolist(), sorted(scope)]
    return json.dumps(held, default=repr)
