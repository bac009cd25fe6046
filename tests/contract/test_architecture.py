"""The description of a network: what it accepts, what it counts, and how it says no."""

import json
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.contract import architecture as package
from service.contract.architecture import Architecture, LayerBase, parse
from service.contract.architecture.container import Layer
from service.contract.problem import Invalid, TooComplex, TooLarge, Trouble, UnreadableModel

KINDS: tuple[type[LayerBase], ...] = get_args(get_args(Layer)[0])
DENSE = {"kind": "dense", "units": 4}


def described(layers: list[Any], shape: tuple[int, ...] = (8,), **more: Any) -> bytes:  # noqa: ANN401  whatever a file may hold
    """Return a file with these layers."""
    given = {"shape": list(shape), **more.pop("input", {})}
    return json.dumps({"gradgate": "1", "input": given, "layers": layers, **more}).encode()


def refused(layers: list[Any], shape: tuple[int, ...] = (8,), **more: Any) -> Trouble:  # noqa: ANN401  whatever a file may hold
    """Return what the file is refused with."""
    with pytest.raises(Trouble) as caught:
        parse(described(layers, shape, **more))
    return caught.value


def descendants(kind: type[LayerBase]) -> set[type[LayerBase]]:
    """Return every class below `kind` that a file can name."""
    children = {each for child in kind.__subclasses__() for each in {child, *descendants(child)}}
    return {child for child in children if "kind" in child.model_fields}


def test_every_layer_class_is_in_the_closed_list() -> None:
    assert descendants(LayerBase) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_layer_has_an_example_that_validates(kind: type[LayerBase]) -> None:
    examples = kind.model_config["json_schema_extra"]["examples"]
    assert [kind.model_validate(example).model_dump(exclude_unset=True)["kind"] for example in examples]


def test_the_documents_example_is_checked() -> None:
    example = Architecture.model_config["json_schema_extra"]["examples"][0]
    assert parse(json.dumps(example).encode()).output_shape() == (10,)


def test_the_json_schema_lists_every_kind() -> None:
    schema = json.dumps(Architecture.model_json_schema())
    assert all(f'"{word}"' in schema for word in ("dense", "transformer_block", "repeat", "he_normal"))


@pytest.mark.parametrize(
    ("size", "layer", "expected"),
    [
        (32, {"kernel": 3, "padding": "same"}, 32),
        (32, {"kernel": 3}, 30),
        (32, {"kernel": 3, "stride": 2, "padding": 1}, 16),
        (33, {"kernel": 4, "stride": 2, "padding": "same"}, 17),
        (32, {"kernel": 3, "dilation": 3}, 26),
    ],
)
def test_convolutions_shrink_as_dumoulin_and_visin_say(size: int, layer: dict[str, Any], expected: int) -> None:
    text = described([{"kind": "conv2d", "filters": 5, **layer}], (3, size, size))
    assert parse(text).output_shape() == (5, expected, expected)


def test_resnet_18_has_the_published_number_of_weights() -> None:
    """torchvision's resnet18 has 11,689,512; its normalizations hold 9,600 of them."""

    def conv(filters: int, kernel: int, stride: int = 1) -> dict[str, Any]:
        return {
            "kind": "conv2d",
            "filters": filters,
            "kernel": kernel,
            "stride": stride,
            "padding": kernel // 2,
            "bias": False,
        }

    def block(filters: int, stride: int) -> dict[str, Any]:
        norm = {"kind": "batch_norm"}
        return {"kind": "residual", "layers": [conv(filters, 3, stride), norm, conv(filters, 3), norm]}

    blocks = [
        block(width, 2 if first and width > 64 else 1) for width in (64, 128, 256, 512) for first in (True, False)
    ]
    layers = [
        conv(64, 7, 2),
        {"kind": "batch_norm"},
        {"kind": "max_pool2d", "kernel": 3, "stride": 2, "padding": 1},
        *blocks,
        {"kind": "global_avg_pool"},
        {"kind": "dense", "units": 1000},
    ]
    norms_of_projections = 2 * (128 + 256 + 512)
    assert parse(described(layers, (3, 224, 224))).weights() == 11_689_512 - norms_of_projections


@pytest.mark.parametrize(
    ("layers", "pointer"),
    [
        ([DENSE, {"kind": "dense", "units": 0}], "/layers/1/units"),
        ([DENSE, {"kind": "dense", "units": 65_537}], "/layers/1/units"),
        ([{"kind": "dense"}], "/layers/0/units"),
        ([{**DENSE, "unit": 3}], "/layers/0/unit"),
        ([{**DENSE, "units": "4"}], "/layers/0/units"),
        ([{**DENSE, "units": True}], "/layers/0/units"),
        ([{**DENSE, "units": 4.0}], "/layers/0/units"),
        ([{**DENSE, "bias": 1}], "/layers/0/bias"),
        ([{"kind": "denze"}], "/layers/0/kind"),
        ([{"units": 3}], "/layers/0/kind"),
        ([{**DENSE, "init": "he"}], "/layers/0/init"),
        ([{**DENSE, "init": {"kernel": {"law": "normal", "std": -1}}}], "/layers/0/init/kernel/std"),
        ([{**DENSE, "init": {"kernel": {"law": "uniform", "low": 1, "high": 0}}}], "/layers/0/init/kernel"),
        ([{"kind": "residual", "layers": [{"kind": "dropout", "rate": 1}]}], "/layers/0/layers/0/rate"),
        ([{"kind": "conv2d", "filters": 3, "kernel": 3}], "/layers/0"),
        ([{"kind": "reshape", "shape": [3, 3]}], "/layers/0/shape"),
        ([{"kind": "residual", "layers": [{"kind": "reshape", "shape": [2, 4]}]}], "/layers/0"),
        ([{"kind": "repeat", "times": 2, "layers": [{"kind": "lstm", "units": 2}]}], "/layers/0/layers/0"),
        ([{**DENSE, "name": "a"}, {**DENSE, "name": "a"}], "/layers/1/name"),
        ([{**DENSE, "name": "a/b"}], "/layers/0/name"),
        ([{"kind": "embedding", "classes": 5, "dim": 2}], "/layers/0"),
        ([], "/layers"),
    ],
)
def test_a_refusal_points_at_the_value_at_fault(layers: list[Any], pointer: str) -> None:
    trouble = refused(layers)
    assert isinstance(trouble, Invalid)
    assert trouble.pointer == pointer


def test_a_refusal_says_what_came_and_what_is_wanted() -> None:
    trouble = refused([{"kind": "dense", "units": 3}], (3, 8, 8))
    assert "[3, 8, 8]" in trouble.detail
    assert "(features)" in trouble.detail


def test_tokens_need_a_table_that_is_long_enough() -> None:
    table = {"kind": "embedding", "classes": 5, "dim": 2}
    tokens = {"dtype": "int64", "classes": 6}
    assert refused([table], (7,), input=tokens).pointer == "/input/classes"
    assert refused([DENSE], (7,), input={"dtype": "int64"}).pointer == "/layers/0"
    assert parse(described([table], (7,), input={"dtype": "int64"})).classes("input") == 5
    assert refused([table, table], (7,), input={"dtype": "int64"}).pointer == "/layers/1"


def test_weights_are_counted_before_anything_is_allocated() -> None:
    wide = {"kind": "dense", "units": 65_536}
    trouble = refused([wide, wide])
    assert isinstance(trouble, TooComplex)
    assert trouble.pointer == "/layers/1"
    assert "200000000" in trouble.detail


def test_repetitions_within_repetitions_are_counted_not_walked() -> None:
    layer: dict[str, Any] = {"kind": "relu"}
    for _ in range(10):
        layer = {"kind": "repeat", "times": 1000, "layers": [layer]}
    assert isinstance(refused([layer]), TooComplex)


def test_layers_nest_sixteen_deep_at_most() -> None:
    layer: dict[str, Any] = {"kind": "relu"}
    for _ in range(15):
        layer = {"kind": "residual", "layers": [layer]}
    assert parse(described([layer])).output_shape() == (8,)
    assert isinstance(refused([{"kind": "residual", "layers": [layer]}]), TooComplex)


def test_a_shape_over_the_limit_is_refused() -> None:
    trouble = refused([{"kind": "relu"}], (65_536, 65_536))
    assert isinstance(trouble, TooComplex)
    assert trouble.pointer == "/input/shape"
    assert isinstance(refused([{"kind": "self_attention", "heads": 2}], (60_000, 2)), TooComplex)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b"", UnreadableModel),
        (b"{", UnreadableModel),
        (b"\xff\xfe{}", UnreadableModel),
        (b"[" * 100_000, TooComplex),
        (b"[" * 100 + b"]" * 100, TooComplex),
        (b'{"gradgate": "1", "gradgate": "1"}', Invalid),
        (b'{"gradgate": NaN}', Invalid),
        (b'{"gradgate": -Infinity}', Invalid),
        (b'{"gradgate": 1e999}', Invalid),
        (b'{"gradgate": ' + b"9" * 5000 + b"}", Invalid),
        (b"[]", Invalid),
        (b"3", Invalid),
        (b"{}", Invalid),
        (b'{"gradgate": "2"}', Invalid),
        (b'{"gradgate": "1", "nodes": []}', Invalid),
        (b" " * (5 * 2**20), TooLarge),
    ],
)
def test_what_is_no_description_is_refused_by_name(text: bytes, kind: type[Trouble]) -> None:
    with pytest.raises(kind):
        parse(text)


def found(document: Any, pointer: str) -> bool:  # noqa: ANN401  whatever a file may hold
    """Whether a JSON pointer leads to a value, or to a field that is missing in an object."""
    steps = pointer.split("/")[1:]
    for step in steps[:-1]:
        document = document[int(step)] if isinstance(document, list) else document[step]
    return isinstance(document, dict) or (steps[-1:] != [] and int(steps[-1]) < len(document))


LEAVES = st.sampled_from(
    [None, True, 0, 1, 2, 3, -1, 10**9, 0.5, "", "same", "he_normal", [], [1, 2], {}, {"law": "ones"}]
)
JSON = LEAVES | st.lists(LEAVES, max_size=3) | st.lists(st.just({"kind": "dense", "units": 3}), max_size=2)
WORDS = st.sampled_from(["dense", "conv2d", "residual", "repeat", "lstm", "max_pool2d", "reshape", "group_norm"])
FIELDS = st.sampled_from(["units", "filters", "kernel", "layers", "times", "init", "padding", "shape", "groups"])


@settings(deadline=None)
@given(
    st.lists(st.builds(lambda kind, rest: {**rest, "kind": kind}, WORDS, st.dictionaries(FIELDS, JSON)), max_size=3),
    st.lists(st.integers(1, 9), min_size=1, max_size=3),
)
def test_any_json_is_an_architecture_or_a_trouble(layers: list[Any], shape: list[int]) -> None:
    text = described(layers, tuple(shape))
    try:
        assert parse(text).weights() >= 0
    except Trouble as trouble:
        assert trouble.pointer is not None  # noqa: PT017  the claim is that nothing else is raised
        assert found(json.loads(text), trouble.pointer)  # noqa: PT017


def test_a_refusal_names_the_kinds_that_there_are() -> None:
    trouble = refused([{"kind": "denze"}])
    assert "no kind 'denze'" in trouble.detail
    assert "'dense'" in trouble.detail


def test_glorot_and_kaiming_are_xavier_and_he() -> None:
    first, second = (
        parse(described([{**DENSE, "init": name}])).layers[0].init.kernel.law
        for name in ("glorot_normal", "kaiming_uniform")
    )
    assert (first, second) == ("xavier_normal", "he_uniform")


def test_a_named_kernel_law_leaves_the_bias_zero_and_pytorchs_does_not() -> None:
    named = package.Init.model_validate({"kernel": "he_normal"})
    default = package.Init()
    assert (named.bias_law.law, default.bias_law.law) == ("zeros", "torch_default")
