"""Descriptions by people who mean harm, or slip: each ends in a problem that says what and where, at once."""

import codecs
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.contract.architecture import parse
from service.contract.problem import Trouble
from tests.contract.attacks import ATTACKS, DENSE, NUMBER, RELU, chain, graph, nested, residual, written


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_ends_in_a_problem_that_says_what_and_where(name: str) -> None:
    text, kind, pointer, said = ATTACKS[name]
    with pytest.raises(Trouble) as caught:
        parse(text)
    problem = caught.value.problem()
    assert type(caught.value) is kind, problem.detail
    assert said in problem.detail
    assert pointer is None or problem.pointer == pointer
    assert len(problem.model_dump_json()) < 4000


@pytest.mark.parametrize(
    "text",
    [
        codecs.BOM_UTF8 + chain(DENSE),
        b" " * (4 * 2**20 - 200) + chain(DENSE),
        chain(*[RELU] * 2000),
        chain(nested(15, residual)),
        written(NUMBER % "-0.0"),
        written(NUMBER % ("0." + "3" * 4_000_000)),
        graph(*[{**RELU, "name": f"n{k}"} for k in range(2000)]),
    ],
    ids=["BOM", "spaces", "most layers", "deepest", "minus zero", "many decimals", "most nodes"],
)
def test_what_is_only_odd_is_read(text: bytes) -> None:
    assert parse(text).weights() >= 0


WHOLE = chain(
    {"kind": "dense", "name": "first", "units": 12, "init": {"kernel": {"law": "normal", "std": 0.1}, "bias": "zeros"}},
    {"kind": "repeat", "times": 3, "layers": [residual({"kind": "dense", "units": 12}), {"kind": "tanh"}]},
    {"kind": "parallel", "branches": [[], [{"kind": "dense", "units": 2}]]},
    {"kind": "block", "nodes": [{**RELU, "name": "n"}, {"kind": "add", "name": "m", "inputs": ["input", "n"]}]},
    clipping={"kind": "norm", "limit": 1.0},
    learning_rate=0.1,
)
PIECES = st.sampled_from(
    [
        b"null",
        b"-1",
        b"1e999",
        b"NaN",
        b"{}",
        b"[]",
        b'""',
        b'"relu"',
        b"9" * 30,
        b",",
        b"}",
        b"]",
        b'"\\ud800"',
        b"\xff",
    ]
)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 12), PIECES), min_size=1, max_size=3))
def test_a_file_with_other_bytes_in_places_is_read_or_refused(changes: list[tuple[int, int, bytes]]) -> None:
    text = WHOLE
    for start, length, piece in changes:
        text = text[:start] + piece + text[start + length :]
    _read_or_refused(text)


def _everywhere(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:  # noqa: ANN401  any JSON
    """Return the places of everything in a document."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, inner in inside for place in _everywhere(inner, (*at, key)))]


PLACES = [place for place in _everywhere(json.loads(WHOLE)) if place]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(["relu", "same", {}]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.sampled_from(PLACES), VALUES)
def test_a_file_with_any_other_value_in_a_place_is_read_or_refused(place: tuple[Any, ...], value: Any) -> None:  # noqa: ANN401  any JSON
    document = json.loads(WHOLE)
    holder = document
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    _read_or_refused(json.dumps(document).encode())


def _read_or_refused(text: bytes) -> None:
    try:
        assert parse(text).weights() >= 0
    except Trouble as trouble:
        assert trouble.problem().model_dump_json()  # noqa: PT017  the claim is that nothing else is raised
