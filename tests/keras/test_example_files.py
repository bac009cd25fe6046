"""The examples of Keras JSON are Keras's: it loads them, and they compute here what they compute there."""

from pathlib import Path

import keras
import pytest

from tests.keras.real import same

EXAMPLES = Path(__file__).parents[2] / "examples" / "keras"


@pytest.mark.parametrize("name", ["sequential", "functional"])
def test_an_example_is_a_model_of_keras(name: str) -> None:
    text = (EXAMPLES / f"{name}.json").read_text(encoding="utf-8")
    same(keras.models.model_from_json(text), text=text)
