"""What the service reads of Keras, the worker can build."""

import json

import pytest

from service.contract.problem import Invalid
from service.descriptions import parse
from service.keras.layers import layers
from worker.load.keras import lowerings
from worker.load.keras_model import lower


def test_every_layer_of_keras_has_its_lowering_and_no_other_has() -> None:
    assert list(layers) == list(lowerings)
    assert len(layers) > 100


def named(kind: str, name: str, **config: object) -> dict[str, object]:
    """Return a layer as Keras writes it."""
    return {"class_name": kind, "config": {"name": name, **config}}


ENTRY = named("InputLayer", "input", batch_shape=[None, 8])
INNER = named("Sequential", "a", layers=[ENTRY, named("Dense", "b", units=8)])


@pytest.mark.parametrize(
    "layers",
    [
        [INNER, named("Dense", "a/b", units=8)],
        [named("Dense", "a", units=8, activation="relu"), named("ReLU", "a.activation")],
    ],
)
def test_layers_whose_parts_would_share_a_name_are_refused(layers: list[object]) -> None:
    """The first pair's weights would be one, as both are named a/b.kernel."""
    document = named("Sequential", "model", layers=[ENTRY, *layers])
    with pytest.raises(Invalid, match="give the layer another name") as caught:
        lower(parse(json.dumps(document).encode()), seed=0)
    assert caught.value.pointer == "/config/layers/2"
