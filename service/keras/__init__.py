"""Keras JSON: what `model.to_json()` prints, of Keras 3 and of tf.keras 2, Sequential and Functional.

`parse(document)` gives a `Description` whose shapes fit and whose size is under the limits; nothing is built.  A new
layer is a class in `layers/` and a function of the same name in `worker/load/keras/`.
"""

from service.keras.reading import Description, parse

__all__ = ["Description", "parse"]
