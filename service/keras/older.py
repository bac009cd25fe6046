"""What tf.keras 2 wrote with another meaning, in the words of Keras 3."""

from typing import Any, Final

HARD_SIGMOID: Final = {"class_name": "hard_sigmoid", "config": {"slope": 0.2}}
"""tf.keras 2's: clip(0.2 x + 0.5, 0, 1); since Keras 3 the slope is 1/6."""
SETTLED: Final = "settled"
"""The argument of a call that stays in evaluation while the model trains: tf.keras 2's `training=False`.

In Keras 3, the mode of the whole model stands above what a call inside it says.
"""
_ACTIVATIONS: Final = frozenset({"activation", "recurrent_activation"})


def renewed(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document of Keras 3 that means the same; places stay where they are."""
    version = document.get("keras_version")
    if not isinstance(version, str) or version[:1] not in {"1", "2"}:
        return document
    return {key: _renewed(value, key) for key, value in document.items()}


def _renewed(value: Any, key: str) -> Any:  # noqa: ANN401  what the file holds
    if key in _ACTIVATIONS and value == "hard_sigmoid":
        return HARD_SIGMOID
    if key == "inbound_nodes" and isinstance(value, dict) and value.get("training") is False:
        return {**value, SETTLED: True}
    if isinstance(value, dict):
        return {name: _renewed(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_renewed(each, key) for each in value]
    return value
