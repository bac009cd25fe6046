"""What it takes from a description to a network: the median seconds of each stage, for files of many layers.

    python benchmarks/describing.py [layers]

`read` is JSON, `check` the schema, the shapes and the counts, `lower` the operators, `draw` the weights.
"""

import json
import statistics
import sys
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

import torch

from service.contract.architecture import Architecture
from service.contract.traps import read
from service.descriptions import Description, parse
from worker.load import architecture, keras_model
from worker.network.graph import Graph, stream

WIDTH, SEED, TIMES = 64, 0, 5
DENSE = {"kind": "dense", "units": WIDTH, "init": "he_normal"}


def chain(layers: int) -> dict[str, Any]:
    """Return dense layers with rectifiers between them."""
    listed = [DENSE, {"kind": "relu"}] * (layers // 2)
    return {"gradgate": "1", "input": {"shape": [WIDTH]}, "layers": listed}


def graph(layers: int) -> dict[str, Any]:
    """Return dense layers, each added to what it reads."""
    nodes: list[dict[str, Any]] = []
    before = "input"
    for place in range(layers // 2):
        nodes.append({**DENSE, "name": f"dense{place}", "inputs": [before]})
        nodes.append({"kind": "add", "name": f"add{place}", "inputs": [before, f"dense{place}"]})
        before = f"add{place}"
    return {"gradgate": "1", "input": {"shape": [WIDTH]}, "nodes": nodes}


def blocks(layers: int) -> dict[str, Any]:
    """Return repeated residual blocks of a normalization, an activation and a dense layer."""
    inside = [{"kind": "layer_norm"}, {"kind": "gelu"}, DENSE]
    repeat = {"kind": "repeat", "times": layers // 4, "layers": [{"kind": "residual", "layers": inside}]}
    return {"gradgate": "1", "input": {"shape": [WIDTH]}, "layers": [repeat]}


def keras_layer(kind: str, name: str, **config: object) -> dict[str, Any]:
    """Return a layer as Keras 3 writes it."""
    return {"module": "keras.layers", "class_name": kind, "config": {"name": name, **config}, "registered_name": None}


def keras_dense(name: str) -> dict[str, Any]:
    """Return a dense layer as Keras 3 writes it."""
    law = {"module": "keras.initializers", "class_name": "GlorotUniform", "config": {"seed": None}}
    zeros = {"module": "keras.initializers", "class_name": "Zeros", "config": {}}
    given = {"units": WIDTH, "activation": "relu", "use_bias": True}
    return keras_layer("Dense", name, **given, kernel_initializer=law, bias_initializer=zeros)


def keras_input() -> dict[str, Any]:
    """Return an input as Keras 3 writes it."""
    return keras_layer("InputLayer", "input", batch_shape=[None, WIDTH], dtype="float32")


def sequential(layers: int) -> dict[str, Any]:
    """Return a Keras model of dense layers and rectifiers."""
    pairs = ((keras_dense(f"dense_{place}"), keras_layer("ReLU", f"relu_{place}")) for place in range(layers // 2))
    listed = [keras_input(), *(layer for pair in pairs for layer in pair)]
    return {"class_name": "Sequential", "config": {"name": "sequential", "layers": listed}}


def tensor(name: str) -> dict[str, Any]:
    """Return a tensor as a call in Keras 3's JSON names it."""
    config = {"shape": [None, WIDTH], "dtype": "float32", "keras_history": [name, 0, 0]}
    return {"class_name": "__keras_tensor__", "config": config}


def functional(layers: int) -> dict[str, Any]:
    """Return a Keras model of dense layers, each added to what it reads."""
    listed = [{**keras_input(), "name": "input", "inbound_nodes": []}]
    before = "input"
    for place in range(layers // 2):
        dense, add = f"dense_{place}", f"add_{place}"
        one, two = [tensor(before)], [[tensor(before), tensor(dense)]]
        listed += [
            {**keras_dense(dense), "name": dense, "inbound_nodes": [{"args": one, "kwargs": {}}]},
            {**keras_layer("Add", add), "name": add, "inbound_nodes": [{"args": two, "kwargs": {}}]},
        ]
        before = add
    ends = {"input_layers": [["input", 0, 0]], "output_layers": [[before, 0, 0]]}
    return {"class_name": "Functional", "config": {"name": "functional", "layers": listed, **ends}}


FILES: Mapping[str, Callable[[int], dict[str, Any]]] = {
    "chain": chain,
    "graph": graph,
    "repeated blocks": blocks,
    "Keras Sequential": sequential,
    "Keras Functional": functional,
}


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the median seconds, and what the last time gave."""
    seconds = []
    for _ in range(TIMES):
        start = perf_counter()
        done = work()
        seconds.append(perf_counter() - start)
    return statistics.median(seconds), done


def lowered(described: Description) -> Graph:
    """Return a description's graph."""
    if isinstance(described, Architecture):
        return architecture.lower(described, seed=SEED)
    return keras_model.lower(described, seed=SEED)


def drawn(network: Graph) -> list[torch.Tensor]:
    """Return every weight, drawn again."""
    return [each.law(stream(SEED, name)) for name, each in network.parameters.items() if each.law]


def measure(document: dict[str, Any]) -> dict[str, float | int]:
    """Return what each stage takes."""
    text = json.dumps(document).encode()
    read_s, _ = timed(lambda: read(text))
    parse_s, described = timed(lambda: parse(text))
    lower_s, network = timed(lambda: lowered(described))
    draw_s, _ = timed(lambda: drawn(network))
    seconds = {"read": read_s, "check": parse_s - read_s, "lower": lower_s - draw_s, "draw": draw_s}
    weights = sum(each.value.numel() for each in network.parameters.values())
    return {"bytes": len(text), "nodes": len(network.nodes), "weights": weights} | {
        f"{stage}_s": round(value, 4) for stage, value in seconds.items()
    }


def main(layers: int) -> None:
    """Print the table as JSON."""
    torch.set_num_threads(1)
    rows = {name: measure(make(layers)) for name, make in FILES.items()}
    print(json.dumps({"benchmark": "describing", "layers": layers, "files": rows}, indent=2))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
