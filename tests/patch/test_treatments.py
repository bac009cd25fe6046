"""For every treatment and models of every kind, the patched document gives the treated network."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import jsonpatch
import pytest
import torch

from tests.patch.cures import Document, changed, described, measured_once, patched
from tests.probe.subjects import chain, dense
from worker.network.graph import Graph, reads
from worker.network.run import Program
from worker.patch import Patch, Unsaid
from worker.treatments import treatments

RELU, SIGMOID = {"kind": "relu"}, {"kind": "sigmoid"}
SOFTMAX = {"kind": "softmax"}


def file(layers: list[dict[str, Any]], shape: tuple[int, ...] = (16,), **more: Any) -> Document:  # noqa: ANN401
    """Return a chain as it comes from a file: no two places of it are one object."""
    text = json.dumps({"gradgate": "1", "input": {"shape": list(shape)}, "layers": layers, **more})
    return json.loads(text)  # type: ignore[no-any-return]


BRANCH = {"kind": "residual", "layers": [dense(8), RELU, dense(8)]}
DOCUMENTS: Mapping[str, Document] = {
    "plain": file(chain(3, dense(12), RELU)),
    "pytorch's own init": file(chain(3, {"kind": "dense", "units": 12}, SIGMOID), learning_rate=1.0),
    "rescaled": file([{"kind": "rescale", "scale": 1000.0, "offset": 7.0}, dense(12), RELU, dense(3)]),
    "named": file(
        [dense(12, name="fc1"), {**SIGMOID, "name": "squash"}, {"kind": "dense", "name": "head", "units": 3}]
    ),
    "silu": file([dense(12), {"kind": "silu"}, dense(3)]),
    "repeat": file([dense(8), {"kind": "repeat", "times": 4, "layers": [dense(8), SIGMOID]}, dense(3)]),
    "repeat of another width": file([{"kind": "repeat", "times": 4, "layers": [dense(8), SIGMOID]}, dense(3)]),
    "residual": file([dense(8), BRANCH, BRANCH, BRANCH, dense(3)]),
    "repeat of residuals": file([dense(8), {"kind": "repeat", "times": 3, "layers": [BRANCH]}, dense(3)]),
    "transformer": file(
        [{"kind": "transformer_block", "heads": 2}, {"kind": "flatten"}, dense(8), SIGMOID, dense(3)], (5, 6)
    ),
    "transformers": file(
        [
            {"kind": "repeat", "times": 2, "layers": [{"kind": "transformer_block", "heads": 2, "norm": "post"}]},
            {"kind": "flatten"},
            dense(3),
        ],
        (5, 6),
    ),
    "lstm": file([{"kind": "lstm", "units": 6}, dense(8), RELU, dense(3)], (6, 5)),
    "rnn": file([{"kind": "rnn", "units": 6}, dense(3)], (6, 5)),
    "gru": file([{"kind": "gru", "units": 6, "bidirectional": True}, dense(3)], (6, 5)),
    "images": file(
        [
            {"kind": "conv2d", "filters": 6, "kernel": 3, "padding": "same"},
            RELU,
            {"kind": "max_pool2d", "kernel": 2},
            {"kind": "conv2d", "filters": 6, "kernel": 3},
            {"kind": "batch_norm"},
            RELU,
            {"kind": "flatten"},
            dense(3),
        ],
        (2, 8, 8),
    ),
    "series": file([{"kind": "conv1d", "filters": 6, "kernel": 3}, RELU, {"kind": "flatten"}, dense(3)], (7, 5)),
    "film": file(
        [
            {"kind": "conv_lstm2d", "filters": 3, "kernel": 3, "padding": "same"},
            {"kind": "conv2d", "filters": 4, "kernel": 3},
            RELU,
            {"kind": "flatten"},
            dense(3),
        ],
        (3, 2, 5, 5),
    ),
    "softmax": file([dense(8), RELU, dense(3), SOFTMAX], loss="cross_entropy"),
    "alike": file([dense(8, "zeros"), RELU, dense(8, {"law": "constant", "value": 0.1}), RELU, dense(3)]),
    "dropped": file(
        [dense(8), RELU, {"kind": "dropout", "rate": 0.7}, {"kind": "batch_norm"}, dense(8), RELU, dense(3)]
    ),
    "dead": file([dense(8, {"kernel": "he_normal", "bias": {"law": "constant", "value": -100}}), RELU, dense(3)]),
    "constant norm": file([dense(1), {"kind": "layer_norm"}, RELU, dense(8), RELU, dense(3)]),
    "saturating": file([dense(8), SIGMOID, SIGMOID, dense(8), {"kind": "tanh"}, dense(3)]),
    "linear": file([dense(8), dense(8), dense(3)]),
    "norms behind": file(
        [
            dense(8),
            *[{"kind": "residual", "layers": [dense(8), RELU, dense(8)]}, {"kind": "layer_norm"}] * 2,
            {"kind": "repeat", "times": 2, "layers": [BRANCH, {"kind": "layer_norm"}]},
            dense(3),
        ]
    ),
}
UNSAID: Mapping[str, str] = {
    "weight-sharing": "gives way to weights of another layer",
    "log-prior-bias": "numbers of its own",
    "bfloat16": "no field for the number format",
    "loss-scaling": "no field for a scale of the loss",
    "guard-operator": "without all of its numbers",
}
"""What the format cannot say of a treatment."""
ELSEWHERE = {
    "adam",
    "attention-skips",
    "curvature-rate",
    "decouple-decay",
    "fresh-statistics",
    "mask-nonfinite-input",
    "relax-rounding",
    "soften-choice",
    "softmax-axis",
    "standardize-columns",
    "standardize-target",
}
"""What these documents, on their batch, do not need."""


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("treatment", list(treatments))
def test_the_patched_document_gives_the_treated_network(treatment: str, name: str) -> None:
    document = DOCUMENTS[name]
    change = changed(document, treatment)
    if change is None:
        return
    made = patched(document, treatment)
    if isinstance(made, Unsaid) and UNSAID.get(treatment, "?") in made.reason:
        return
    assert isinstance(made, Patch), made
    again = jsonpatch.apply_patch(document, made.operations)
    assert again == made.document
    outputs = (change.subject.output,) if treatment == "fix-loss" else measured_once(json.dumps(document))[0].outputs
    _computes_the_same(change.subject.graph.replace(outputs=outputs), described(again))


def test_every_treatment_is_said_or_the_reason_is() -> None:
    said = {name for name in treatments if any(_is_said(name, document) for document in DOCUMENTS.values())}
    assert said | UNSAID.keys() | ELSEWHERE >= set(treatments)
    assert not said & UNSAID.keys()


def _is_said(treatment: str, document: Document) -> bool:
    return changed(document, treatment) is not None and isinstance(patched(document, treatment), Patch)


def _computes_the_same(treated: Graph, again: Graph) -> None:
    """Check that the patched network computes what the treated one does, given its weights in forward order."""
    weights, others = _in_order(treated), _in_order(again)
    assert [each.numel() for each in weights.values()] == [each.numel() for each in others.values()]
    for weight, other in zip(weights.values(), others.values(), strict=True):
        _spread_alike(weight, other)
    given = {name: value.reshape(others[name].shape) for name, value in zip(others, weights.values(), strict=True)}
    (source,) = treated.inputs
    inputs = {source.name: 3 + 10 * torch.randn(4, *[int(size) for size in source.shape[1:]])}
    here = Program(treated).run(inputs)[treated.outputs[0]]
    there = Program(again.with_parameters(given)).run(inputs)[again.outputs[0]]
    torch.testing.assert_close(there, here, rtol=1e-3, atol=1e-5)


def _spread_alike(weight: torch.Tensor, other: torch.Tensor) -> None:
    """Check that two draws have one spread, within four standard errors of normal draws."""
    if weight.numel() < 30 or not weight.any():
        torch.testing.assert_close(other.any(), weight.any())
        return
    ratio = float(other.square().mean() / weight.square().mean())
    assert abs(ratio - 1) < 4 * 2 / weight.numel() ** 0.5


def _in_order(graph: Graph) -> dict[str, torch.Tensor]:
    """Return the weights that the output depends on, by the order in which operators read them."""
    makers, read = graph.producers(), dict[str, torch.Tensor]()

    def walk(value: str, seen: set[str]) -> None:
        node = makers.get(value)
        if node is None or node.name in seen:
            return
        seen.add(node.name)
        for name in reads(node):
            walk(name, seen)
        read.update({name: graph.parameters[name].value for name in reads(node) if name in graph.parameters})

    walk(graph.outputs[0], set())
    return read


def test_two_treatments_together_have_one_patch() -> None:
    document = DOCUMENTS["pytorch's own init"]
    made = patched(document, "layer-norm", "relu", "clip-norm")
    assert isinstance(made, Patch)
    graph = described(made.document)
    assert Counter(node.op for node in graph.nodes) == {"Gemm": 4, "LayerNormalization": 3, "Relu": 3}
    assert made.document["clipping"]["kind"] == "norm"


def test_a_treated_file_keeps_its_order_and_what_was_not_changed() -> None:
    document = DOCUMENTS["named"]
    made = patched(document, "tanh")
    assert isinstance(made, Patch)
    assert list(made.document) == list(document)
    assert [layer["name"] for layer in made.document["layers"]] == ["fc1", "squash", "head"]
    assert made.document["layers"][1] == {"kind": "tanh", "name": "squash"}


def test_what_the_loss_reads_moves_before_the_softmax_which_is_taken_out() -> None:
    made = patched(DOCUMENTS["softmax"], "fix-loss")
    assert isinstance(made, Patch)
    assert made.operations == (
        {"op": "replace", "path": "/loss", "value": "cross_entropy"},
        {"op": "remove", "path": "/layers/3"},
    )
