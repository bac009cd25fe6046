"""Descriptions by people who mean harm, or slip, each with the problem that it ends in: its kind, its place, a word."""

import json
from collections.abc import Callable
from typing import Any

from service.contract.problem import Invalid, TooComplex, TooLarge, Trouble, UnreadableModel

DENSE = {"kind": "dense", "units": 4}
RELU = {"kind": "relu"}
LONG = "a" * (4 * 2**20 - 400)
NUMBER = '{"kind": "dropout", "rate": %s}'
DIGITS = '{"kind": "dense", "units": %s}'


def chain(*layers: Any, shape: list[int] | None = None, **more: Any) -> bytes:  # noqa: ANN401  whatever a file may hold
    """Return a file with these layers."""
    given = {"shape": shape or [8], **more.pop("input", {})}
    return json.dumps({"gradgate": "1", "input": given, "layers": layers, **more}, separators=(",", ":")).encode()


def graph(*nodes: Any, **more: Any) -> bytes:  # noqa: ANN401  whatever a file may hold
    """Return a file with these nodes, behind the input x."""
    return json.dumps({"gradgate": "1", "input": {"shape": [8], "name": "x"}, "nodes": nodes, **more}).encode()


def written(layer: str) -> bytes:
    """Return a file with this layer, letter for letter."""
    return f'{{"gradgate": "1", "input": {{"shape": [8]}}, "layers": [{layer}]}}'.encode()


def nested(times: int, around: Callable[[Any], Any], inside: Any = RELU) -> Any:  # noqa: ANN401  layers as JSON
    """Return layers within layers."""
    for _ in range(times):
        inside = around(inside)
    return inside


def residual(inside: Any) -> Any:  # noqa: ANN401  layers as JSON
    return {"kind": "residual", "layers": [inside]}


def thousandfold(inside: Any) -> Any:  # noqa: ANN401  layers as JSON
    return {"kind": "repeat", "times": 1000, "layers": [inside]}


def forked(inside: Any) -> Any:  # noqa: ANN401  layers as JSON
    return {"kind": "parallel", "merge": "add", "branches": [[inside], [inside]]}


def doubled(nodes: Any) -> Any:  # noqa: ANN401  layers as JSON
    """Return a block of these nodes, and another that shares it."""
    return [{"kind": "block", "name": "one", "nodes": nodes}, {"kind": "shared", "name": "two", "layer": "one"}]


PAIR = [{**RELU, "name": "one"}, {"kind": "shared", "name": "two", "layer": "one"}]
SELF = {**RELU, "name": "n", "inputs": ["n"]}
CIRCLE = ({**RELU, "name": "n", "inputs": ["m"]}, {**RELU, "name": "m", "inputs": ["n"]})

ATTACKS: dict[str, tuple[bytes, type[Trouble], str | None, str]] = {
    "a million layers": (written(",".join(["{}"] * 10**6)), TooComplex, "", "300000"),
    "a million layers over the limit of bytes": (chain(*[RELU] * 10**6), TooLarge, "", "4194304"),
    "a hundred thousand layers": (chain(*[RELU] * 10**5), TooComplex, "/layers", "10000"),
    "two thousand and one layers": (chain(*[RELU] * 2001), Invalid, "/layers", "2000"),
    "brackets without an end": (b"[" * 10**5, TooComplex, "", "64"),
    "objects without an end": (b'{"a":' * 10**5, TooComplex, "", "64"),
    "brackets a hundred thousand deep": (written("[" * 10**5 + "]" * 10**5), TooComplex, "", "64"),
    "brackets a hundred deep": (written("[" * 100 + "]" * 100), TooComplex, "/layers" + "/0" * 63, "64"),
    "blocks seventeen deep": (chain(nested(16, residual)), TooComplex, "/layers/0" * 16, "16"),
    "repeats of repeats of repeats": (chain(nested(3, thousandfold)), TooComplex, "/layers/0/layers/0", "2000"),
    "branches of branches": (chain(nested(9, forked, forked(RELU))), TooComplex, None, "2000"),
    "many branches of branches": (chain(nested(14, forked)), TooComplex, "", "2000"),
    "blocks of shared blocks": (graph(*nested(15, doubled, PAIR)), TooComplex, None, "2000"),
    "a thousand shared blocks": (
        graph(
            {"kind": "block", "name": "b", "nodes": [{**RELU, "name": f"r{k}"} for k in range(99)]},
            *({"kind": "shared", "name": f"s{k}", "layer": "b"} for k in range(1000)),
        ),
        TooComplex, "/nodes/20", "2000",
    ),
    "a number of 400 digits": (written(DIGITS % ("1" + "0" * 400)), Invalid, "/layers/0/units", "18"),
    "a number of millions of digits": (written(DIGITS % ("9" * 4_000_000)), Invalid, "/layers/0/units", "18"),
    "a size beyond any": (written(DIGITS % 10**17), Invalid, "/layers/0/units", "65536"),
    "a number beyond a double": (written(NUMBER % "1e999"), Invalid, "/layers/0/rate", "1e999"),
    "NaN": (written(NUMBER % "NaN"), Invalid, "/layers/0/rate", "NaN"),
    "an infinity": (written(NUMBER % "-Infinity"), Invalid, "/layers/0/rate", "-Infinity"),
    "minus nothing": (written(DIGITS % "-0"), Invalid, "/layers/0/units", "greater than or equal to 1"),
    "a whole number with a point": (written(DIGITS % "4.0"), Invalid, "/layers/0/units", "4.0"),
    "a key twice": (written('{"kind": "relu", "kind": "tanh"}'), Invalid, "/layers/0/kind", "twice"),
    "a key twice, deep inside": (
        written('{"kind": "dense", "units": 3, "init": {"kernel": {"law": "ones", "law": "zeros"}}}'),
        Invalid, "/layers/0/init/kernel/law", "twice",
    ),
    "a key two hundred thousand times": (b'{"a":1' + b',"a":1' * 2 * 10**5 + b"}", TooComplex, "", "10000"),
    "an object of ten thousand keys, one twice": (
        b"{" + b",".join(b'"k%d":1' % key for key in [*range(9999), 9998]) + b"}", Invalid, "/k9998", "twice",
    ),
    "half a character as name": (written('{"kind": "relu", "name": "\\ud800"}'), Invalid, "/layers/0/name", "half"),
    "half a character as key": (written('{"kind": "relu", "\\udfff": 1}'), Invalid, "/layers/0", "half"),
    "UTF-16": (chain(DENSE).decode().encode("utf-16"), UnreadableModel, None, "UTF-16"),
    "UTF-16 without its mark": (chain(DENSE).decode().encode("utf-16-le"), UnreadableModel, None, "UTF-16-LE"),
    "UTF-32": (chain(DENSE).decode().encode("utf-32"), UnreadableModel, None, "UTF-32"),
    "nothing but spaces": (b" " * 4 * 2**20, UnreadableModel, None, "Expecting value"),
    "more behind the end": (chain(DENSE) + b"{}", UnreadableModel, None, "Extra data"),
    "a name of four MiB": (chain({**RELU, "name": LONG}), Invalid, "/layers/0/name", "100"),
    "a kind of four MiB": (chain({"kind": LONG}), Invalid, "/layers/0/kind", "'relu'"),
    "an unknown field of four MiB": (chain({**RELU, LONG: 1}), Invalid, "/layers/0", "not known"),
    "an unknown field with four MiB": (chain({**RELU, "a": LONG}), Invalid, "/layers/0/a", "not known"),
    "a law of four MiB": (chain({**DENSE, "init": f"glorot_{LONG}"}), Invalid, "/layers/0/init", "no law"),
    "a version of four MiB": (chain(DENSE, gradgate=LONG), Invalid, "/gradgate", "'1'"),
    "two hundred thousand unknown fields": (
        chain({**RELU, **{f"f{key}": 0 for key in range(2 * 10**5)}}), TooComplex, "/layers/0", "10000",
    ),
    "errors in every layer": (chain(*[{"kind": "dense", "units": "x"}] * 1999), Invalid, "/layers/0/units", '"x"'),
    "a shape of a million sizes": (chain(DENSE, shape=[1] * 10**6), TooComplex, "", "300000"),
    "a shape of many sizes": (chain(DENSE, shape=[1] * 10**5), TooComplex, "/input/shape", "10000"),
    "a shape of some more sizes than there are axes": (chain(DENSE, shape=[1] * 9999), Invalid, "/input/shape", "4"),
    "a node that reads itself": (graph(SELF), Invalid, "/nodes/0/inputs/0", "no 'n' before"),
    "nodes in a circle": (graph(*CIRCLE), Invalid, "/nodes/0/inputs/0", "no 'm' before"),
    "a node that shares itself": (
        graph({"kind": "shared", "name": "a", "layer": "a"}), Invalid, "/nodes/0/layer", "no node 'a' before",
    ),
    "two nodes of one name": (graph(*[{**RELU, "name": "n"}] * 2), Invalid, "/nodes/1/name", "'n'"),
    "a node named as an input": (graph({**RELU, "name": "x"}), Invalid, "/nodes/0/name", "'x'"),
    "an output twice": (graph({**RELU, "name": "n"}, outputs=["n", "n"]), Invalid, "/outputs/1", "twice"),
    "four thousand million weights": (
        chain({"kind": "dense", "units": 65536}, shape=[65536]), TooComplex, "/layers/0", "4295032832",
    ),
    "a table of 10^11 weights": (
        chain({"kind": "embedding", "classes": 10**7, "dim": 65536}, input={"dtype": "int64"}),
        TooComplex, "/layers/0", "655360000000",
    ),
    "an image of 10^10 numbers": (
        chain({"kind": "conv2d", "filters": 65536, "kernel": 1}, shape=[1, 1000, 1000]),
        TooComplex, "/layers/0", "65536000000",
    ),
}  # fmt: skip
