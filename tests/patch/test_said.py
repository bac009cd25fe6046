"""How changes are said: by what operations, where, and what is not said at all."""

import math
from typing import Any

import jsonpatch
import pytest
import torch

from tests.patch.cures import Document, described, operations, patched
from tests.patch.test_treatments import DOCUMENTS, file
from tests.probe.subjects import dense, normal, with_target
from worker.budget import Deadline
from worker.patch import Patch, Unsaid, patch
from worker.patch.edits import Drop, Insert, Put
from worker.patch.edits import operations as ordered
from worker.patch.own import Own
from worker.probe.training import Ask
from worker.treatments import Change, treatments
from worker.trial import measured

SIGMOID = {"kind": "sigmoid"}
"""An activation that there is something against."""


def test_a_repetition_whose_times_become_alike_stays_one() -> None:
    document = file([dense(8), {"kind": "repeat", "times": 4, "layers": [dense(8), SIGMOID]}, dense(3)])
    assert {"op": "replace", "path": "/layers/1/layers/1/kind", "value": "tanh"} in operations(document, "tanh")
    inserted = operations(document, "layer-norm")
    assert inserted == [{"op": "add", "path": "/layers/1/layers/1", "value": {"kind": "layer_norm"}}]


def test_a_law_that_follows_the_fan_is_said_for_layers_of_any_size() -> None:
    document = file([{"kind": "repeat", "times": 3, "layers": [dense(8, "normal"), {"kind": "relu"}]}, dense(3)])
    assert operations(document, "critical-init") == [
        {"op": "replace", "path": "/layers/1/init", "value": "lecun_normal"},
        {"op": "replace", "path": "/layers/0/layers/0/init", "value": "he_normal"},
    ]


def test_a_bias_that_follows_the_kernels_default_keeps_its_law() -> None:
    document = file([{"kind": "lstm", "units": 6}, dense(3)], (6, 5))
    assert operations(document, "recurrent-init") == [
        {"op": "add", "path": "/layers/0/init", "value": {"recurrent": "orthogonal"}},
        {"op": "add", "path": "/layers/0/forget_bias", "value": 1.0},
    ]


def test_a_longer_memory_is_said_by_a_field_of_its_own() -> None:
    document = file([{"kind": "gru", "units": 6, "name": "memory"}, dense(3)], (6, 5))
    ((kind, path, value),) = (tuple(each.values()) for each in operations(document, "long-memory"))
    assert (kind, path) == ("add", "/layers/0/update_bias")
    assert value == pytest.approx(math.log(6 - 1))


def test_a_recurrence_that_starts_as_the_identity_is_said_by_its_laws_and_its_activation() -> None:
    document = file([{"kind": "rnn", "units": 6}, dense(3)], (6, 5))
    made = patched(document, "identity-recurrence")
    assert isinstance(made, Patch)
    (layer, _) = made.document["layers"]
    assert layer["activation"] == "relu"
    assert layer["init"] == {"recurrent": "identity", "bias": "zeros"}


def test_a_repetition_is_parted_where_its_times_become_different() -> None:
    block = [dense(8), SIGMOID]
    document = file([{"kind": "repeat", "times": 3, "name": "trunk", "layers": block}, dense(3)])
    made = patched(document, "lsuv-init")
    assert isinstance(made, Patch)
    parts = [layer for layer in made.document["layers"] if layer.get("name", "").startswith("trunk_")]
    assert [part["name"] for part in parts if part["kind"] == "dense"] == ["trunk_1", "trunk_3", "trunk_5"]
    gains = {part["init"]["gain"] for part in parts if part["kind"] == "dense"}
    assert len(gains) == 3


def test_columns_are_rescaled_one_by_one() -> None:
    document = file([dense(8), {"kind": "relu"}, dense(3)], (3,))
    graph = described(document)
    subject = with_target(graph, {"input": normal(32, 3) * torch.tensor([0.01, 1.0, 100.0])})
    change = treatments["standardize-columns"].apply(subject, measured(subject, Ask(10), Deadline.after(1e9)))
    assert isinstance(change, Change)
    made = patch(document, Own(), graph, subject, change.subject)
    assert isinstance(made, Patch), made
    (operation,) = made.operations
    deviations = subject.batch.inputs["input"].std(0, correction=0)
    assert operation["value"]["scale"] == pytest.approx((1 / deviations).tolist())


def test_norms_behind_sums_go_in_front_of_branches_and_the_last_stays() -> None:
    made = patched(DOCUMENTS["transformers"], "pre-norm")
    assert isinstance(made, Patch), made
    repeat, norm, *_ = made.document["layers"]
    assert repeat["layers"][0]["norm"] == "pre"
    assert norm == {"kind": "layer_norm"}


def test_a_skip_around_layers_moves_them_into_a_residual_block() -> None:
    document = file([dense(8), SIGMOID, dense(8), SIGMOID, dense(8), SIGMOID, dense(3)])
    made = patched(document, "add-skips")
    assert isinstance(made, Patch), made
    assert [layer["kind"] for layer in made.document["layers"]] == ["dense", "sigmoid", "residual", "dense"]
    assert [each["op"] for each in made.operations if "/layers/-" in each["path"]] == ["move"] * 4


def test_a_penalty_and_a_warm_up_are_one_field_each() -> None:
    document = DOCUMENTS["transformers"]
    assert [each["path"] for each in operations(document, "l2")] == ["/penalty"]
    assert [each["path"] for each in operations(document, "warm-up")] == ["/warmup"]


def test_a_transformer_block_is_written_out_for_a_norm_inside_it() -> None:
    block = {"kind": "transformer_block", "heads": 2, "dropout": 0.1, "causal": True}
    document = file([block, {"kind": "flatten"}, dense(3)], (5, 6))
    made = patched(document, "layer-norm")
    assert isinstance(made, Patch)
    attention, fed, *_ = made.document["layers"]
    assert [layer["kind"] for layer in attention["layers"]] == ["layer_norm", "self_attention", "dropout"]
    assert attention["layers"][1]["causal"]
    kinds = ["layer_norm", "dense", "layer_norm", "gelu", "dense", "dropout"]
    assert [layer["kind"] for layer in fed["layers"]] == kinds
    assert [layer.get("units") for layer in fed["layers"] if layer["kind"] == "dense"] == [24, 6]


def test_settings_are_added_or_replaced() -> None:
    plain = file([dense(8), SIGMOID, dense(3)])
    assert [each["op"] for each in operations(plain, "clip-norm")] == ["add"]
    slow = file([dense(8), SIGMOID, dense(3)], learning_rate=1e-7)
    by_path = {each["path"]: each["op"] for each in operations(slow, "learning-rate")}
    assert by_path == {"/learning_rate": "replace", "/optimizer": "add"}


GRAPH: Document = {
    "gradgate": "1",
    "inputs": {"left": {"shape": [6]}, "right": {"shape": [6]}},
    "nodes": [
        {"kind": "dense", "name": "tower", "units": 8, "inputs": ["left"]},
        {"kind": "shared", "name": "twin", "layer": "tower", "inputs": ["right"]},
        {"kind": "sigmoid", "name": "a", "inputs": ["tower"]},
        {"kind": "sigmoid", "name": "b", "inputs": ["twin"]},
        {"kind": "add", "name": "joined", "inputs": ["a", "b"]},
        {"kind": "dense", "name": "score", "units": 1},
    ],
    "outputs": ["score"],
}


@pytest.mark.parametrize("norm", [[], ["layer-norm"]], ids=["alone", "behind a norm"])
@pytest.mark.parametrize("treatment", ["relu", "tanh", "critical-init", "standardize-input", "clip-norm"])
def test_a_graph_of_nodes_is_patched_with_its_readers(treatment: str, norm: list[str]) -> None:
    made = patched(GRAPH, *norm, treatment)
    assert isinstance(made, Patch), made


def test_who_read_the_input_reads_the_node_that_standardizes_it() -> None:
    made = patched(GRAPH, "standardize-input")
    assert isinstance(made, Patch)
    nodes = {node["name"]: node for node in made.document["nodes"]}
    assert nodes["tower"]["inputs"] == ["left_rescale"]
    assert nodes["twin"]["inputs"] == ["right_rescale"]
    assert nodes["left_rescale"]["inputs"] == ["left"]


def test_what_the_format_cannot_say_gets_a_sentence_and_no_patch() -> None:
    shared = {"kind": "repeat", "times": 3, "shared": True, "layers": [dense(16), SIGMOID]}
    made = patched(file([shared, dense(3)]), "layer-norm")
    assert isinstance(made, Unsaid)
    assert made.reason.endswith(".")


def test_operations_are_made_from_the_end_so_that_none_shifts_another() -> None:
    document: dict[str, Any] = {"layers": [{"a": 1}, {"b": 2}, {"c": 3}], "rate": 1}
    edits = [
        Insert(("layers", 0), "first"),
        Insert(("layers", 2), "x"),
        Insert(("layers", 2), "y"),
        Put(("layers", 1, "b"), 5),
        Drop(("layers", 2)),
        Put(("layers", 0, "new/~"), 0),
        Put(("rate",), 2),
    ]
    layers = ["first", {"a": 1, "new/~": 0}, {"b": 5}, "x", "y"]
    assert jsonpatch.apply_patch(document, ordered(document, edits)) == {"layers": layers, "rate": 2}


BLOCK: Document = {
    "gradgate": "1",
    "input": {"shape": [8]},
    "nodes": [
        {"kind": "dense", "name": "wide", "units": 8},
        {
            "kind": "block",
            "name": "inner",
            "nodes": [
                {"kind": "dense", "name": "a", "units": 8},
                {"kind": "sigmoid", "name": "squash"},
                {"kind": "dense", "name": "b", "units": 8},
                {"kind": "add", "name": "sum", "inputs": ["input", "b"]},
            ],
        },
        {"kind": "repeat", "name": "trunk", "times": 2, "layers": [dense(8), SIGMOID]},
        {"kind": "dense", "name": "last", "units": 3},
        {"kind": "softmax", "name": "shares"},
    ],
    "outputs": ["shares"],
    "loss": "cross_entropy",
}


@pytest.mark.parametrize(
    "chosen",
    [["relu"], ["layer-norm"], ["orthogonal-init"], ["fix-loss"], ["layer-norm", "selu"], ["layer-norm", "tanh"]],
    ids=" and ".join,
)
def test_what_stands_in_blocks_and_repetitions_of_a_graph_is_patched_there(chosen: list[str]) -> None:
    made = patched(BLOCK, *chosen)
    assert isinstance(made, Patch), made


def test_a_layer_left_out_of_a_graph_leaves_its_place_to_what_it_read() -> None:
    made = patched(BLOCK, "fix-loss")
    assert isinstance(made, Patch)
    assert made.document["outputs"] == ["last"]
    assert "shares" not in {node["name"] for node in made.document["nodes"]}


def test_a_report_is_not_lost_over_a_fault_in_a_patch(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError

    monkeypatch.setattr("worker.patch.own.activation", fail)
    made = patched(BLOCK, "relu")
    assert made == Unsaid("A fault of ours keeps this patch from being written (KeyError).")
