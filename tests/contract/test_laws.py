"""The laws of a file's `init`: their names, their numbers, and what they refuse."""

import json
from typing import Any

import pytest

from service.contract.architecture import parse
from service.contract.architecture.laws import AnyLaw, Init, VarianceScaling
from service.contract.problem import Invalid


def with_init(init: Any, layer: dict[str, Any] | None = None, shape: tuple[int, ...] = (8,)) -> bytes:  # noqa: ANN401  JSON
    """Return a file with one layer of these laws."""
    layer = {**(layer or {"kind": "dense", "units": 4}), "init": init}
    return json.dumps({"gradgate": "1", "input": {"shape": list(shape)}, "layers": [layer]}).encode()


def read(init: Any) -> Init:  # noqa: ANN401  JSON
    """Return the laws of the layer."""
    laws: Init = parse(with_init(init)).layers[0].init  # type: ignore[union-attr]
    return laws


@pytest.mark.parametrize("form", ["normal", "truncated", "uniform"])
@pytest.mark.parametrize(("alias", "name"), [("glorot", "xavier"), ("kaiming", "he")])
def test_a_law_has_two_names(alias: str, name: str, form: str) -> None:
    assert read(f"{alias}_{form}") == read({"kernel": {"law": f"{name}_{form}"}})


@pytest.mark.parametrize(
    ("law", "scale", "mode", "form"),
    [
        ("he_normal", 2, "fan_in", "normal"),
        ({"law": "he_truncated", "gain": 3}, 18, "fan_in", "truncated_normal"),
        ({"law": "lecun_uniform", "mode": "fan_avg"}, 1, "fan_avg", "uniform"),
        ({"law": "xavier_normal", "mode": "fan_avg"}, 1, "fan_avg", "normal"),
    ],
)
def test_a_law_by_author_is_a_scaled_variance(law: Any, scale: float, mode: str, form: str) -> None:  # noqa: ANN401  JSON
    general = {"law": "variance_scaling", "scale": scale, "mode": mode, "distribution": form}
    found: AnyLaw = read(law).kernel
    assert found.general == VarianceScaling.model_validate(general)  # type: ignore[union-attr]


def test_unnamed_laws_follow_the_kernels() -> None:
    def rest(init: Any) -> tuple[str, str]:  # noqa: ANN401  JSON
        return read(init).bias_law.law, read(init).recurrent_law.law

    assert rest("torch_default") == ("torch_default", "torch_default")
    assert rest("he_normal") == ("zeros", "torch_default")
    assert rest("keras_default") == ("zeros", "keras_default")
    assert rest({"kernel": "he_normal", "bias": "ones", "recurrent": "orthogonal"}) == ("ones", "orthogonal")


@pytest.mark.parametrize(
    ("init", "pointer", "words"),
    [
        ("he", "", "There is no law 'he'"),
        ({"law": "xavier_normal", "mode": "fan_in"}, "", "goes with fan_avg"),
        ({"law": "he_normal", "mode": "fan"}, "/mode", "'fan_in', 'fan_out' or 'fan_avg'"),
        ({"law": "he_normal", "gain": 0}, "/gain", "greater than 0"),
        ({"law": "he_normal", "std": 1}, "/std", "not known"),
        ({"law": "sparse"}, "", "'sparsity' is missing"),
        ({"law": "sparse", "sparsity": 1}, "/sparsity", "less than 1"),
        ({"law": "orthogonal", "gain": -1}, "/gain", "greater than 0"),
        ({"law": "identity", "gain": 1e9}, "/gain", "less than or equal to"),
        ({"law": "variance_scaling", "scale": 1e20}, "/scale", "less than or equal to"),
        ({"kernel": "ones", "bias": "orthogonal"}, "", "a bias is a vector"),
        ({"kernel": "ones", "recurrent": "delta_orthogonal"}, "", "a recurrent kernel is a matrix"),
        ("delta_orthogonal", "/kernel", "convolution kernels"),
    ],
)
def test_a_law_that_cannot_be_is_refused_where_it_stands(init: Any, pointer: str, words: str) -> None:  # noqa: ANN401  JSON
    with pytest.raises(Invalid, match=words) as caught:
        parse(with_init(init))
    pointed = caught.value.pointer or ""
    assert pointed.startswith("/layers/0/init")
    assert pointed.endswith(pointer)


@pytest.mark.parametrize(
    ("law", "layer", "words"),
    [
        ("delta_orthogonal", {"filters": 2}, r"no fewer outputs than inputs; this weight is \[2, 3, 3, 3\]"),
        ("delta_orthogonal", {"kind": "conv2d_transpose", "filters": 2}, r"this weight is \[2, 3, 3, 3\]"),
        ({"law": "sparse", "sparsity": 0.5}, {"filters": 4}, r"sparse draws matrices; this weight is \[4, 3, 3, 3\]"),
    ],
)
def test_a_law_that_does_not_suit_the_kernel_is_refused_before_anything_is_queued(
    law: Any,  # noqa: ANN401  JSON
    layer: dict[str, Any],
    words: str,
) -> None:
    with pytest.raises(Invalid, match=words) as caught:
        parse(with_init(law, {"kind": "conv2d", "kernel": 3, **layer}, (3, 8, 8)))
    assert caught.value.pointer == "/layers/0/init/kernel"
