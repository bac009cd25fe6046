"""What the service reads of Keras, the worker can build."""

from service.keras.layers import layers
from worker.load.keras import lowerings


def test_every_layer_of_keras_has_its_lowering_and_no_other_has() -> None:
    assert list(layers) == list(lowerings)
    assert len(layers) > 100
