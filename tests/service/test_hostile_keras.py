"""Keras JSON by people who mean harm, or slip: each ends in a problem that says what and where."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.contract.problem import Invalid, TooComplex, Trouble, UnsupportedModel
from service.descriptions import parse

Json = dict[str, Any]
LONG = "x" * (4 * 2**20 - 2000)
FILES = [json.loads(path.read_text()) for path in sorted(Path("examples/keras").glob("*.json"))]


def layer(kind: Any, **config: Any) -> Json:  # noqa: ANN401  whatever a file may hold
    """Return a layer as Keras 3 writes it."""
    return {"module": "keras.layers", "class_name": kind, "config": config, "registered_name": None}


def entry(shape: Any = (8,)) -> Json:  # noqa: ANN401  whatever a file may hold
    """Return an input."""
    return layer("InputLayer", name="input", batch_shape=[None, *shape], dtype="float32")


def sequential(*layers: Any, **more: Any) -> Json:  # noqa: ANN401  whatever a file may hold
    """Return a Sequential behind an input of eight numbers."""
    return {"class_name": "Sequential", "config": {"name": "model", "layers": [entry(), *layers]}, **more}


def tensor(name: str, call: int = 0) -> Json:
    """Return the output of a call."""
    config = {"shape": [None, 8], "dtype": "float32", "keras_history": [name, call, 0]}
    return {"class_name": "__keras_tensor__", "config": config}


def node(spec: Json, *calls: Any) -> Json:  # noqa: ANN401  whatever a file may hold
    """Return a layer that is called with these values."""
    made = [{"args": [call], "kwargs": {}} for call in calls]
    return {**spec, "name": spec["config"].get("name"), "inbound_nodes": made}


def functional(*layers: Json, output: Any = "d", call: int = 0, **more: Any) -> Json:  # noqa: ANN401  as above
    """Return a Functional behind an input of eight numbers."""
    ends = {"input_layers": [["input", 0, 0]], "output_layers": [[output, call, 0]]}
    return {"class_name": "Functional", "config": {"name": "f", "layers": [node(entry()), *layers], **ends, **more}}


def nested(times: int) -> Json:
    """Return models within models."""
    inside = DENSE
    for depth in range(times):
        inside = {"class_name": "Sequential", "config": {"name": f"s{depth}", "layers": [entry(), inside]}}
    return inside


def doubled(times: int) -> Json:
    """Return models that are called twice, within models that are."""
    inside = DENSE
    for _ in range(times):
        called = {**inside, "config": {**inside["config"], "name": "d"}}
        inside = functional(node(called, tensor("input"), tensor("d", 0)), call=1)
    return inside


DENSE = layer("Dense", name="d", units=8)
WORD = {"class_name": "RandomNormal", "config": {"stddev": "a"}}
CIRCLE = [
    node(layer("Add", name="a"), [tensor("input"), tensor("b")]),
    node(layer("Add", name="b"), [tensor("input"), tensor("a")]),
]

ATTACKS: dict[str, tuple[Json, type[Trouble], str | None, str]] = {
    "a list for a class": ({"class_name": ["Sequential"], "config": {}}, Invalid, "", "class_name"),
    "no config": ({"class_name": "Sequential", "config": None}, Invalid, "/config", "not an object"),
    "no layers": ({"class_name": "Sequential", "config": {"layers": []}}, Invalid, "/config/layers", "no input shape"),
    "a layer that is none": (sequential(None), Invalid, "/config/layers/1", "class_name"),
    "a layer of a list": (sequential(layer(["Dense"])), Invalid, "/config/layers/1", "class_name"),
    "a layer without config": (
        sequential({"class_name": "Dense", "config": None}), Invalid, "/config/layers/1/config", "not an object",
    ),
    "a build that is a list": (
        {"class_name": "Sequential", "config": {"layers": [DENSE]}, "build_config": {"shapes_dict": [1]}},
        Invalid, "/config/layers", "no input shape",
    ),
    "a name of four MiB": (
        sequential(layer("Dense", name=LONG, units=8)), Invalid, "/config/layers/1/config/name", "200",
    ),
    "a class of four MiB": (sequential(layer(LONG)), UnsupportedModel, "/config/layers/1/class_name", "not examined"),
    "a key of four MiB": (
        sequential(layer("Dense", name="d", units=8, **{LONG: 1})),
        UnsupportedModel, "/config/layers/1/config", "known",
    ),
    "a field that is misspelt": (
        sequential(layer("Dense", name="d", unitz=8)),
        UnsupportedModel, "/config/layers/1/config/unitz", "did you mean 'units'",
    ),
    "a class that is misspelt": (
        sequential(layer("Desne", name="d", units=8)),
        UnsupportedModel, "/config/layers/1/class_name", "did you mean 'Dense'",
    ),
    "a field without its value": (
        sequential(layer("Dense", name="d")), Invalid, "/config/layers/1/config/units", "'units' is missing",
    ),
    "a size beyond any": (
        sequential(layer("Dense", name="d", units=10**17)), Invalid, "/config/layers/1/config/units", "1000000",
    ),
    "an initializer that is a list": (
        sequential(layer("Dense", name="d", units=8, kernel_initializer=[1])),
        Invalid, "/config/layers/1/config/kernel_initializer", "a list of 1",
    ),
    "a deviation that is a word": (
        sequential(layer("Dense", name="d", units=8, kernel_initializer=WORD)),
        Invalid, "/config/layers/1/config/kernel_initializer/config/stddev", "number",
    ),
    "a program": (
        sequential(layer("Lambda", name="l", function="import os")),
        UnsupportedModel, "/config/layers/1/class_name", "never run",
    ),
    "ten thousand layers": (sequential(*[DENSE] * 9000), TooComplex, "/config/layers", "5000"),
    "two layers of one name": (sequential(DENSE, DENSE), Invalid, "/config/layers/2/config/name", "'d'"),
    "models eighteen deep": (sequential(nested(17)), TooComplex, None, "16"),
    "models sixty-four deep": (sequential(nested(64)), TooComplex, None, "64"),
    "four thousand million weights": (
        sequential(layer("Dense", name="a", units=65_536), layer("Dense", name="b", units=65_536)),
        TooComplex, "/config/layers", "4295622656",
    ),
    "an input of 10^14 numbers": (
        {"class_name": "Sequential", "config": {"layers": [entry([10**7, 10**7]), DENSE]}},
        TooComplex, "/config/layers/0/config", "100000000000000",
    ),
    "an input of nine thousand axes": (
        {"class_name": "Sequential", "config": {"layers": [entry([1] * 9000), DENSE]}},
        TooComplex, "/config/layers/0/config", "9000",
    ),
    "a layer that reads itself": (
        functional(node(DENSE, tensor("d"))), Invalid, "/config/layers/1/inbound_nodes/0", "circle",
    ),
    "layers in a circle": (functional(*CIRCLE, output="b"), Invalid, "/config/layers/1/inbound_nodes/0", "circle"),
    "a layer that reads what is not there": (
        functional(node(DENSE, tensor("e"))), Invalid, "/config/layers/1/inbound_nodes/0", "'e'",
    ),
    "ten thousand calls": (functional(node(DENSE, *[tensor("input")] * 6000)), TooComplex, "/config/layers/1", "5000"),
    "a hundred thousand calls": (
        functional({**node(DENSE), "inbound_nodes": [{}] * 10**5}),
        TooComplex, "/config/layers/1/inbound_nodes", "10000",
    ),
    "calls that are none": (
        functional({**node(DENSE), "inbound_nodes": [1]}), Invalid, "/config/layers/1/inbound_nodes/0", "args",
    ),
    "models called twice in models called twice": (doubled(15), TooComplex, "/config/layers", "32768 calls"),
    "nine thousand outputs": (
        functional(node(DENSE, tensor("input")), output_layers=[["d", 0, 0]] * 9000),
        Invalid, "/config/output_layers", "64",
    ),
    "an input twice": (
        functional(node(DENSE, tensor("input")), input_layers=[["input", 0, 0]] * 2),
        Invalid, "/config/input_layers", "twice",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_ends_in_a_problem_that_says_what_and_where(name: str) -> None:
    document, kind, pointer, said = ATTACKS[name]
    with pytest.raises(Trouble) as caught:
        parse(json.dumps(document).encode())
    problem = caught.value.problem()
    assert type(caught.value) is kind, problem.detail
    assert said in problem.detail
    assert pointer is None or problem.pointer == pointer
    assert len(problem.model_dump_json()) < 5000


def everywhere(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:  # noqa: ANN401  any JSON
    """Return the places of everything in a document."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, inner in inside for place in everywhere(inner, (*at, key)))]


PLACES = [(index, place) for index, document in enumerate(FILES) for place in everywhere(document) if place]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "relu", "Dense", "Sequential", "input", "zeros", "adam", "__keras_tensor__"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["class_name", "config", "name", "layers", "axis"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.sampled_from(PLACES), VALUES)
def test_a_file_with_any_other_value_in_a_place_is_read_or_refused(at: tuple[int, tuple[Any, ...]], value: Any) -> None:  # noqa: ANN401  any JSON
    index, place = at
    document = copy.deepcopy(FILES[index])
    holder: Any = document
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    try:
        assert parse(json.dumps(document).encode()).weights() >= 0
    except Trouble as trouble:
        assert trouble.pointer is not None  # noqa: PT017  the claim is that nothing else is raised
