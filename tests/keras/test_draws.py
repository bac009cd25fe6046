"""Our draws of Keras's initializers beside Keras's own: two samples of one distribution, in our layout."""

import json
from math import sqrt

import keras
import numpy as np
import pytest
import torch
from keras import initializers
from keras.src.initializers.random_initializers import compute_fans
from numpy.typing import NDArray
from scipy import stats

from service.contract.problem import Invalid
from service.keras.initializers import law
from worker.load.drawing import keras_law
from worker.network.graph import stream
from worker.network.laws import keras_fans

DENSE, CONV = (250, 400), (5, 5, 40, 60)
"""Kernels (in, out) and (height, width, in, out), as Keras lays them."""
OURS = {DENSE: (1, 0), CONV: (3, 2, 0, 1)}
"""What makes (out, in) and (out, in, height, width) of them."""

MADE = {
    "zeros": initializers.Zeros(),
    "ones": initializers.Ones(),
    "constant": initializers.Constant(-0.3),
    "random normal": initializers.RandomNormal(0.1, 0.2, seed=0),
    "random uniform": initializers.RandomUniform(-0.1, 0.4, seed=0),
    "truncated normal": initializers.TruncatedNormal(0.1, 0.2, seed=0),
    "glorot normal": initializers.GlorotNormal(seed=0),
    "glorot uniform": initializers.GlorotUniform(seed=0),
    "he normal": initializers.HeNormal(seed=0),
    "he uniform": initializers.HeUniform(seed=0),
    "lecun normal": initializers.LecunNormal(seed=0),
    "lecun uniform": initializers.LecunUniform(seed=0),
    "fan out": initializers.VarianceScaling(3.0, "fan_out", seed=0),
    "not truncated": initializers.VarianceScaling(0.5, "fan_avg", "untruncated_normal", seed=0),
    "uniform": initializers.VarianceScaling(2.0, "fan_in", "uniform", seed=0),
    "axes": initializers.VarianceScaling(2.0, "fan_in", input_axes=[-1], output_axes=[0], seed=0),
    "orthogonal": initializers.Orthogonal(1.3, seed=0),
}


def ours(initializer: keras.Initializer, shape: tuple[int, ...]) -> torch.Tensor:
    """Return our draw, in our layout, of what Keras writes of an initializer."""
    spec = json.loads(json.dumps(keras.saving.serialize_keras_object(initializer)))
    return keras_law(law(spec, ""), shape, OURS.get(shape))(stream(0, "kernel"))


def theirs(initializer: keras.Initializer, shape: tuple[int, ...]) -> torch.Tensor:
    return initializer(shape).detach().permute(OURS[shape])


def flat(value: torch.Tensor) -> NDArray[np.float64]:
    return value.double().flatten().numpy()


@pytest.mark.parametrize("shape", [DENSE, CONV], ids=["dense", "conv"])
@pytest.mark.parametrize("name", MADE)
def test_draws_are_distributed_as_kerass(name: str, shape: tuple[int, ...]) -> None:
    """Kolmogorov's and Smirnov's test of two samples, and mean and variance within five standard errors."""
    drawn, real = ours(MADE[name], shape), theirs(MADE[name], shape)
    assert drawn.shape == real.shape
    here, there = flat(drawn), flat(real)
    if there.std() == 0:
        np.testing.assert_array_equal(here, there)
        return
    assert stats.ks_2samp(here, there).pvalue > 1e-3
    assert here.mean() == pytest.approx(there.mean(), abs=5 * there.std() * sqrt(2 / there.size))
    assert here.var() == pytest.approx(there.var(), rel=5 * sqrt(2) * sqrt(2 / there.size))


@pytest.mark.parametrize("shape", [(30, 30), (20, 70), (70, 20), (3, 3, 4, 9), (3, 3, 2, 90)])
def test_orthogonal_kernels_are_orthonormal_where_kerass_are(shape: tuple[int, ...]) -> None:
    """Keras lays a kernel out as a matrix of its last axis by all others."""
    initializer = initializers.Orthogonal(1.5, seed=0)
    drawn = keras_law(law("orthogonal", ""), shape)(stream(0, "kernel")).flatten(0, -2)
    real = initializer(shape).detach().flatten(0, -2) / 1.5
    for matrix in (drawn, real):
        small = matrix.T @ matrix if len(matrix) >= matrix.shape[1] else matrix @ matrix.T
        torch.testing.assert_close(small, torch.eye(len(small)), rtol=0, atol=1e-5)


def test_the_identity_is_kerass() -> None:
    drawn = keras_law(law({"class_name": "Identity", "config": {"gain": -2}}, ""), (3, 5))(stream(0, "kernel"))
    assert torch.equal(drawn, initializers.Identity(-2.0)((3, 5)).detach())


@pytest.mark.parametrize("shape", [(), (7,), (7, 5), (3, 4, 5), (3, 3, 4, 5), (2, 3, 3, 4, 5)])
def test_fans_are_kerass(shape: tuple[int, ...]) -> None:
    assert keras_fans(shape) == compute_fans(shape)


def test_fans_along_axes_are_kerass() -> None:
    assert keras_fans((2, 3, 5, 7), [0, -1], [1]) == compute_fans((2, 3, 5, 7), [0, -1], [1])
    assert keras_fans((2, 3, 5, 7), [0], None) == compute_fans((2, 3, 5, 7), [0], None)


def test_the_comparison_tells_a_truncated_law_from_a_normal_one() -> None:
    """Of the same variance: what the tests above would not let pass."""
    real = flat(theirs(initializers.HeNormal(seed=0), DENSE))
    other = flat(ours(initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal"), DENSE))
    assert stats.ks_2samp(other, real).pvalue < 1e-3


def test_what_keras_cannot_draw_is_refused_at_its_field() -> None:
    for name, shape in (("identity", (3, 3, 4, 5)), ("orthogonal", (5,))):
        with pytest.raises(Invalid) as caught:
            keras_law(law(name, "/a"), shape, at="/config/kernel_initializer")
        assert caught.value.pointer == "/config/kernel_initializer"
        with pytest.raises(ValueError, match=r"dimensional|2D"):
            initializers.get(name)(shape)
