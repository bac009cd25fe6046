"""A whole file: its model, how it is compiled, and its limits."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from service.contract.architecture.document import MOST_WEIGHTS
from service.contract.problem import Invalid, TooComplex
from service.keras.base import Call, Form, KerasLayer, Ref
from service.keras.calls import Step
from service.keras.compiling import Training, training
from service.keras.inputs import Input
from service.keras.models import MOST_CALLS, Model, model
from service.keras.older import renewed


@dataclass(frozen=True)
class Description:
    """A Keras model that can be built, and how it will be trained."""

    model: Model
    training: Training
    notes: tuple[str, ...] = ()

    def call(self) -> Call[Form]:
        """Return the model's call with its own inputs."""
        return Call({"inputs": [given.form for given in self.model.given]}, Form)

    def classes(self, given: Input) -> int | None:
        """Return the rows of the table in which an input's tokens are looked up; None where it is not."""
        return min(_tables(self.model, Ref(given.name, 0, 0)), default=None)

    def weights(self) -> int:
        """Return how many trained numbers the network holds."""
        return self.model.held(self.call())


def parse(document: dict[str, Any]) -> Description:
    """Return what a Keras JSON document describes; Trouble, with a JSON pointer, where it cannot be built."""
    document = renewed(document)
    top = model(document, "")
    if (count := _calls(top, {})) > MOST_CALLS:
        detail = f"There are {count} calls of layers, those within nested models included; the limit is {MOST_CALLS}."
        raise TooComplex(detail, pointer="/config/layers")
    found, notes = training(document.get("compile_config"))
    description = Description(top, found, tuple(dict.fromkeys((*notes, *_notes(document), *_said(top)))))
    top.outputs(description.call(), "")
    if (held := description.weights()) > MOST_WEIGHTS:
        detail = f"The network holds {held} weights; the limit is {MOST_WEIGHTS}."
        raise TooComplex(detail, pointer="/config/layers")
    if not top.steps:
        detail = "The model has no layers but its inputs."
        raise Invalid(detail, pointer="/config/layers")
    return description


def _calls(layer: KerasLayer, known: dict[int, int]) -> int:
    """Return how many calls of layers a layer comes to."""
    if not isinstance(layer, Model):
        return 1 + sum(_calls(inner, known) for _, inner in layer.inner())
    if id(layer) not in known:
        known[id(layer)] = sum(_calls(step.layer, known) for step in layer.steps)
    return known[id(layer)]


def _tables(within: Model, ref: Ref) -> Iterator[int]:
    for step in within.steps:
        if ref not in step.call.leaves:
            continue
        yield from _rows(step, ref)


def _rows(step: Step, ref: Ref) -> Iterator[int]:
    """Yield the rows of a step's table, or of those inside it that the tensor reaches first."""
    if step.layer.kind in {"Embedding", "ReversibleEmbedding"}:
        yield step.layer.input_dim  # type: ignore[attr-defined]
    elif isinstance(step.layer, Model):
        inside = step.layer.given[step.call.leaves.index(ref)]
        yield from _tables(step.layer, Ref(inside.name, 0, 0))


def _said(layer: KerasLayer) -> Iterator[str]:
    """Yield what a layer, and those inside it, say of themselves."""
    yield from layer.notes()
    for _, inner in layer.inner():
        yield from _said(inner)


def _notes(value: Any) -> Iterator[str]:  # noqa: ANN401  what the file holds
    """Yield what the examination leaves out of a document."""
    if isinstance(value, list):
        for each in value:
            yield from _notes(each)
    if not isinstance(value, dict):
        return
    for key, each in value.items():
        if key.endswith("_constraint") and each is not None:
            yield "Constraints on weights are not applied in the training trial."
        elif key == "activity_regularizer" and each is not None:
            yield "Penalties on activities are not added in the training trial."
        elif key == "dtype" and "mixed" in str(each):
            yield "The file asks for mixed precision; it is examined in float32."
        yield from _notes(each)
