"""Whole models as people write them: each has Keras's outputs and gradients under Keras's weights."""

import pytest

from tests.keras import zoo_of_images, zoo_of_time  # noqa: F401  they put their models into the zoo
from tests.keras.real import same
from tests.keras.zoo import ZOO


@pytest.mark.parametrize("name", ZOO)
def test_a_models_outputs_and_gradients_are_kerass(name: str) -> None:
    same(ZOO[name]())
