"""A treated Keras file loads again in Keras, holds what the treatment made, and trains a step."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from service.contract.options import Options
from service.contract.words import Depth, LossName, OptimizerName, Verdict
from service.descriptions import parse
from service.keras import Description
from tests.probe.subjects import normal, with_target
from worker.budget import Deadline
from worker.examine import examine
from worker.load.keras_model import lower
from worker.network.graph import Graph
from worker.optimizers import Optimizer
from worker.patch import Patch, Unsaid, patch
from worker.patch.keras import Keras
from worker.probe.evidence import Evidence
from worker.probe.training import Ask
from worker.subject import Settings, Subject
from worker.treatments import Change, Inapplicable, treatments
from worker.trial import measured

Document = dict[str, Any]


def sequential(shape: tuple[int, ...], *held: keras.Layer) -> keras.Model:
    return keras.Sequential([keras.Input(shape, name="x"), *held])


def residual() -> keras.Model:
    given = keras.Input((16,), name="x")
    value = layers.Dense(8)(given)
    for _ in range(3):
        value = layers.Add()([value, layers.Dense(8)(layers.Dense(8, activation="relu")(value))])
    return keras.Model(given, layers.Dense(3)(value))


def twins() -> keras.Model:
    """Return a model of two inputs through one layer."""
    left, right = keras.Input((6,), name="left"), keras.Input((6,), name="right")
    tower = layers.Dense(8, activation="sigmoid", name="tower")
    return keras.Model([left, right], layers.Dense(3)(layers.Concatenate()([tower(left), tower(right)])))


def attentive() -> keras.Model:
    """Return a transformer's layer with its norms behind the sums."""
    given = keras.Input((5, 6), name="x")
    value = layers.LayerNormalization()(layers.Add()([given, layers.MultiHeadAttention(2, 3)(given, given)]))
    fed = layers.Dense(6)(layers.Dense(12, activation="gelu")(value))
    value = layers.LayerNormalization()(layers.Add()([value, layers.Dropout(0.5)(fed)]))
    return keras.Model(given, layers.Dense(3)(layers.Flatten()(value)))


def compiled(model: keras.Model, **more: Any) -> keras.Model:  # noqa: ANN401
    model.compile(**{"optimizer": keras.optimizers.Adam(1e-6), "loss": "mse", **more})
    return model


MODELS: Mapping[str, Callable[[], keras.Model]] = {
    "sequential": lambda: compiled(
        sequential((16,), *[layers.Dense(12, activation="sigmoid") for _ in range(3)], layers.Dense(4))
    ),
    "rectified": lambda: sequential((16,), *[layers.Dense(12, activation="relu") for _ in range(2)], layers.Dense(4)),
    "activation layers": lambda: sequential(
        (16,), layers.Dense(12), layers.Activation("sigmoid"), layers.Dense(12), layers.ReLU(), layers.Dense(4)
    ),
    "images": lambda: sequential(
        (8, 8, 2),
        layers.Conv2D(6, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(6, 3),
        layers.ReLU(),
        layers.Flatten(),
        layers.Dense(3),
    ),
    "sequence": lambda: sequential(
        (6, 5), layers.LSTM(6, recurrent_initializer="he_normal"), layers.Dense(8, activation="relu"), layers.Dense(3)
    ),
    "plain recurrence": lambda: sequential((6, 5), layers.SimpleRNN(6), layers.Dense(3)),
    "gates": lambda: sequential((6, 5), layers.GRU(6), layers.Dense(3)),
    "functional": lambda: compiled(residual(), optimizer=keras.optimizers.SGD(1e-6)),
    "shared": lambda: compiled(twins()),
    "attentive": attentive,
    "normalized": lambda: sequential(
        (8, 8, 2),
        layers.Conv2D(6, 3),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Flatten(),
        layers.Dense(8, activation="tanh"),
        layers.Dropout(0.7),
        layers.BatchNormalization(),
        layers.Dense(3),
    ),
}
UNSAID: Mapping[str, str] = {
    "clip-agc": "clip by a norm or a value",
    "clip-zscore": "clip by a norm or a value",
    "delta-orthogonal-init": "no initializer",
    "weight-sharing": "gives way to weights of another layer",
    "bfloat16": "no field for the number format",
    "loss-scaling": "no field for a scale of the loss",
    "log-prior-bias": "numbers of its own",
    "long-memory": "numbers of its own",
    "guard-operator": "Keras has no layer",
    "pre-norm": "no way to say this change exactly",
}
"""What Keras's files cannot say of a treatment."""
COMPILED = {"sequential", "functional", "shared"}


@cache
def made(name: str) -> tuple[str, Graph, Subject, Evidence]:
    """Return a model's JSON, its network, a subject of it on inputs far from unit scale, and what was measured."""
    text = MODELS[name]().to_json()
    described = parse(text.encode())
    assert isinstance(described, Description)
    graph = lower(described, seed=0)
    inputs = {each.name: 3 + 10 * normal(32, *[int(size) for size in each.shape[1:]]) for each in graph.inputs}
    training = described.training
    subject = with_target(
        graph, inputs, settings=Settings(optimizer=training.optimizer, learning_rate=training.learning_rate)
    )
    return text, graph, subject, measured(subject, Ask(10), Deadline.after(1e9))


def patched(name: str, *chosen: str) -> Patch | Unsaid | None:
    """Return the patch of treatments, one behind the other; None where one has nothing to change."""
    text, graph, subject, evidence = made(name)
    before = subject
    for each in chosen:
        change = treatments[each].apply(subject, evidence)
        if isinstance(change, Inapplicable):
            return None
        subject = change.subject
    return patch(json.loads(text), Keras(), graph, before, subject)


def loaded(name: str, *chosen: str) -> keras.Model:
    """Return the treated model as Keras reads it, after a step of training."""
    found = patched(name, *chosen)
    assert isinstance(found, Patch), found
    model = keras.models.model_from_json(json.dumps(found.document))
    _, _, subject, _ = made(name)
    if not model.compiled or not model.loss:
        model.compile(optimizer=model.optimizer if model.compiled else "sgd", loss="mse")
    batch = [value.numpy() for value in subject.batch.inputs.values()]
    history = model.fit(batch if len(batch) > 1 else batch[0], subject.target.numpy(), batch_size=32, verbose=0)
    assert np.isfinite(history.history["loss"][0])
    return model


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("treatment", list(treatments))
def test_a_treated_file_loads_in_keras_and_trains(treatment: str, name: str) -> None:
    found = patched(name, treatment)
    if found is None or (isinstance(found, Unsaid) and _is_right(treatment, name, found.reason)):
        return
    model = loaded(name, treatment)
    assert isinstance(found, Patch)
    if treatment == "clip-norm":
        assert isinstance(model.optimizer, keras.optimizers.SGD if name == "functional" else keras.optimizers.Adam)
        assert ("adds Adam" in found.note) is (name not in COMPILED)


def _is_right(treatment: str, name: str, reason: str) -> bool:
    """Whether a reason is one that stands for this treatment, or for all that an attention cannot say."""
    return UNSAID.get(treatment, "?") in reason or (name == "attentive" and "MultiHeadAttention" in reason)


def kinds(model: keras.Model) -> list[str]:
    return [type(layer).__name__ for layer in model.layers]


def test_a_norm_stands_between_a_layer_and_its_activation() -> None:
    norms = loaded("rectified", "layer-norm")
    assert kinds(norms) == [*["Dense", "LayerNormalization", "Activation"] * 2, "Dense"]
    assert [layer.activation.__name__ for layer in norms.layers if hasattr(layer, "activation")] == [
        *["linear", "relu"] * 2,
        "linear",
    ]
    batch = loaded("images", "batch-norm")
    head = ["Conv2D", "BatchNormalization", "Activation", "MaxPooling2D", "Conv2D", "BatchNormalization", "ReLU"]
    assert kinds(batch)[: len(head)] == head


def test_an_activation_is_exchanged_where_it_stands() -> None:
    assert [layer.activation.__name__ for layer in loaded("sequential", "tanh").layers] == [*["tanh"] * 3, "linear"]
    inside = loaded("activation layers", "selu")
    assert kinds(inside) == ["Dense", "Activation", "Dense", "Activation", "Dense"]
    leaky = loaded("rectified", "leaky-relu")
    assert kinds(leaky) == [*["Dense", "LeakyReLU"] * 2, "Dense"]
    assert leaky.layers[1].negative_slope == pytest.approx(0.1)


def test_weights_are_drawn_by_the_law_of_the_treatment() -> None:
    model = loaded("rectified", "critical-init")
    initializer = model.layers[1].kernel_initializer
    assert isinstance(initializer, keras.initializers.VarianceScaling)
    assert (initializer.scale, initializer.mode, initializer.distribution) == (2.0, "fan_in", "untruncated_normal")


def test_readers_of_a_shared_layer_read_what_stands_behind_it() -> None:
    model = loaded("shared", "layer-norm")
    assert kinds(model).count("LayerNormalization") == 2
    assert kinds(model).count("Dense") == 2


def test_settings_stand_where_keras_reads_them() -> None:
    clipped = loaded("sequential", "clip-norm").optimizer
    assert isinstance(clipped, keras.optimizers.Adam)
    assert clipped.global_clipnorm > 0
    assert float(clipped.learning_rate) == pytest.approx(1e-6)


@pytest.mark.parametrize("name", ["sequential", "rectified"])
def test_a_warm_up_is_a_schedule_that_rises_as_the_trial_did(name: str) -> None:
    text, graph, subject, _ = made(name)
    settings = replace(subject.settings, warmup=20)
    found = patch(json.loads(text), Keras(), graph, subject, subject.replace(settings=settings))
    assert isinstance(found, Patch), found
    optimizer = keras.models.model_from_json(json.dumps(found.document)).optimizer
    rate = subject.settings.learning_rate or 0.001
    tried = Optimizer(OptimizerName.ADAM, rate, warmup=20)
    schedule = optimizer._learning_rate  # noqa: SLF001  Keras tells only the value of the step that it is at
    for step in range(30):
        assert float(schedule(step)) == pytest.approx(tried.rate(step), rel=1e-5)


def test_a_penalty_is_what_keras_adds_to_the_loss() -> None:
    model = loaded("rectified", "l2")
    squares = sum(float((layer.kernel.numpy() ** 2).sum()) for layer in model.layers)
    _, _, subject, evidence = made("rectified")
    change = treatments["l2"].apply(subject, evidence)
    assert isinstance(change, Change)
    added = sum(float(each.detach()) for each in model.losses)
    assert added == pytest.approx(float(change.values["strength"]) * squares, rel=1e-4)


def test_a_skip_in_a_sequential_model_makes_it_functional() -> None:
    model = loaded("rectified", "add-skips")
    assert type(model).__name__ == "Functional"
    assert kinds(model).count("Add") == 1


KINDS = [("sgd", "SGD"), ("adam", "Adam"), ("nesterov", "SGD"), ("adamw", "AdamW")]


@pytest.mark.parametrize("name", ["functional", "rectified"])
@pytest.mark.parametrize(("optimizer", "kind"), KINDS)
def test_another_optimizer_at_another_rate_is_one_that_keras_makes(optimizer: str, kind: str, name: str) -> None:
    text, graph, subject, _ = made(name)
    settings = replace(subject.settings, optimizer=OptimizerName(optimizer), learning_rate=0.03)
    found = patch(json.loads(text), Keras(), graph, subject, subject.replace(settings=settings))
    assert isinstance(found, Patch), found
    given = keras.models.model_from_json(json.dumps(found.document)).optimizer
    assert type(given).__name__ == kind
    assert float(given.learning_rate) == pytest.approx(0.03)
    assert getattr(given, "nesterov", False) is (optimizer == "nesterov")


def test_logits_are_compared_by_a_loss_that_takes_logits() -> None:
    model = sequential((16,), layers.Dense(8, activation="relu"), layers.Dense(3, activation="softmax"))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    text = compiled(model, loss=loss).to_json()
    graph = lower(parse(text.encode()), seed=0)  # type: ignore[arg-type]
    subject = with_target(graph, {"x": normal(64, 16)}, loss=LossName.CROSS_ENTROPY).replace(declared_loss=True)
    change = treatments["fix-loss"].apply(subject, measured(subject, Ask(10), Deadline.after(1e9)))
    assert isinstance(change, Change)
    found = patch(json.loads(text), Keras(), graph, subject, change.subject)
    assert isinstance(found, Patch), found
    again = keras.models.model_from_json(json.dumps(found.document))
    assert again.layers[-1].activation.__name__ == "linear"
    assert again.loss.from_logits


@pytest.mark.parametrize("name", ["functional", "shared"])
def test_a_norm_and_another_activation_are_wired_together(name: str) -> None:
    model = loaded(name, "layer-norm", "selu")
    assert {layer.activation.__name__ for layer in model.layers if isinstance(layer, layers.Activation)} == {"selu"}
    assert "LayerNormalization" in kinds(model)


def test_two_treatments_have_one_patch() -> None:
    model = loaded("sequential", "layer-norm", "relu", "clip-norm")
    assert kinds(model) == [*["Dense", "LayerNormalization", "Activation"] * 3, "Dense"]
    assert model.layers[2].activation.__name__ == "relu"
    assert model.optimizer.global_clipnorm > 0


OLDER: Document = {
    "class_name": "Functional",
    "config": {
        "name": "model",
        "layers": [
            {
                "class_name": "InputLayer",
                "config": {"batch_input_shape": [None, 8], "dtype": "float32", "sparse": False, "name": "x"},
                "name": "x",
                "inbound_nodes": [],
            },
            {
                "class_name": "Dense",
                "config": {"name": "a", "trainable": True, "units": 8, "activation": "relu", "use_bias": True},
                "name": "a",
                "inbound_nodes": [[["x", 0, 0, {}]]],
            },
            {
                "class_name": "Dense",
                "config": {"name": "b", "trainable": True, "units": 2, "activation": "linear", "use_bias": True},
                "name": "b",
                "inbound_nodes": [[["a", 0, 0, {}]]],
            },
        ],
        "input_layers": [["x", 0, 0]],
        "output_layers": [["b", 0, 0]],
    },
    "keras_version": "2.15.0",
    "backend": "tensorflow",
}


@pytest.mark.parametrize("treatment", ["layer-norm", "selu", "leaky-relu", "critical-init", "standardize-input"])
def test_a_file_of_tf_keras_2_is_patched_in_its_own_words(treatment: str) -> None:
    graph = lower(parse(json.dumps(OLDER).encode()), seed=0)  # type: ignore[arg-type]
    subject = with_target(graph, {"x": 3 + 10 * normal(32, 8)})
    change = treatments[treatment].apply(subject, measured(subject, Ask(10), Deadline.after(1e9)))
    assert isinstance(change, Change)
    found = patch(OLDER, Keras(), graph, subject, change.subject)
    assert isinstance(found, Patch), found
    assert '"module"' not in json.dumps(found.document)
    for layer in found.document["config"]["layers"]:
        assert all(isinstance(each, list) for each in layer["inbound_nodes"])


def test_a_keras_upload_comes_back_treated_and_passes(tmp_path: Path) -> None:
    model = compiled(
        sequential((16,), *[layers.Dense(32, activation="sigmoid") for _ in range(8)], layers.Dense(4)),
        optimizer="adam",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    path, treated = tmp_path / "model.json", tmp_path / "treated.json"
    path.write_text(model.to_json(), "utf-8")
    options = Options(depth=Depth.QUICK, seeds=1, time_limit_s=600)
    report = examine(path, None, options, treated=treated)
    assert report.model.format == "keras"
    assert report.prescription is not None
    assert report.prescription.treated_model
    again = keras.models.model_from_json(treated.read_text("utf-8"))
    assert len(again.layers) >= len(model.layers)
    assert isinstance(again.optimizer, keras.optimizers.Adam)
    for remedy in report.remedies:
        assert not remedy.changes or remedy.patch or remedy.patch_note, remedy.id
    assert examine(treated, None, options).verdict is Verdict.PASS
