"""Networks exported by torch's two exporters, against torch itself and onnxruntime."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from worker.load.onnx import interpret

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def _benchmark() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
        import gradients  # noqa: PLC0415  a script, not a package's module

    return gradients


BENCHMARK = _benchmark()
NETWORKS: dict[str, Any] = BENCHMARK.NETWORKS
TRAINING, INFERENCE = True, False
CASES = [
    *((name, "torchscript", 17, TRAINING) for name in ("mlp", "resnet", "lstm", "gru", "transformer-pre", "u-net")),
    *((name, "dynamo", 20, TRAINING) for name in ("mlp-batchnorm", "rezero", "temperature", "lstm-stated", "llama")),
    *((name, "torchscript", 17, INFERENCE) for name in ("gpt-tied", "tied-head", "scripted-loop", "efficientnet")),
    *((name, "dynamo", 18, INFERENCE) for name in ("vit", "rnn", "spatial-transformer", "tied-autoencoder")),
    ("mlp", "torchscript", 9, TRAINING),
    ("cnn-batchnorm", "torchscript", 11, TRAINING),
    ("lstm", "torchscript", 13, INFERENCE),
    ("gpt-tied", "dynamo", 24, TRAINING),
]
UNWRITTEN = {"bilinear", "spatial-transformer", "spectral-norm"}
"""What torch's older exporter has no words for at version 17."""


@pytest.fixture(autouse=True)
def _exporters_may_warn() -> Iterator[None]:
    """The older exporter says that it is deprecated, at every call."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def _exported(name: str, *, training: bool) -> tuple[nn.Module, Any]:
    """Return a network, and the graph of the file that torch's older exporter makes of it."""
    torch.manual_seed(0)
    network = BENCHMARK.spread(NETWORKS[name].make()).train(training)
    return network, interpret(BENCHMARK.export(network, NETWORKS[name].batch(), "torchscript", 17))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "exporter", "opset", "training"), CASES)
def test_outputs_gradients_and_parameters_are_torchs(name: str, exporter: str, opset: int, training: bool) -> None:  # noqa: FBT001
    errors = BENCHMARK.measure(name, exporter, opset, training=training)
    assert errors.torch_outputs <= 1e-5
    assert errors.onnxruntime_outputs <= 1e-4
    assert (errors.in_double or errors.gradients) <= 1e-4
    assert not errors.missed
    assert not errors.mistaken
    assert errors.repeated == 0, "no number of a parameter stands in the graph twice"
    assert errors.unmatched == 0 or not training, "every number of named_parameters() is a parameter of the graph"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(NETWORKS.keys() - UNWRITTEN))
def test_parameters_are_the_modules_own(name: str) -> None:
    network, graph = _exported(name, training=True)
    ours = sorted(number for each in graph.parameters.values() for number in each.value.flatten().tolist())
    assert ours == sorted(number for each in network.parameters() for number in each.flatten().tolist())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(NETWORKS.keys() - UNWRITTEN))
def test_folded_normalization_is_said_of_networks_that_had_it_and_of_no_others(name: str) -> None:
    network, graph = _exported(name, training=False)
    folded = {each for each, module in network.named_modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)}  # noqa: SLF001
    kept = {node.name for node in graph.nodes if node.op == "BatchNormalization"}
    assert any("folded BatchNormalization" in note for note in graph.notes) == (len(kept) < len(folded))
    assert any("exported for inference" in note for note in graph.notes) == bool(kept)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", ["mlp-batchnorm", "cnn-batchnorm", "resnet", "vgg", "lstm", "decoder", "normalizer-free"]
)
def test_a_file_exported_for_training_is_not_remarked_on(name: str) -> None:
    assert not _exported(name, training=True)[1].notes


@pytest.mark.filterwarnings("ignore")
def test_the_newer_exporters_file_says_which_normalization_was_folded() -> None:
    network = NETWORKS["cnn-batchnorm"].make().eval()
    graph = interpret(BENCHMARK.export(network, NETWORKS["cnn-batchnorm"].batch(), "dynamo", 20))
    assert graph.notes[0].startswith("The export folded BatchNormalization (1, 5) into the weights before it")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
def test_layers_that_start_as_copies_are_not_tied(exporter: str) -> None:
    """`nn.TransformerEncoder` copies its layer: the copies train apart, whatever the file's values say."""
    network = NETWORKS["transformer-post"].make().train()
    graph = interpret(BENCHMARK.export(network, NETWORKS["transformer-post"].batch(), exporter, 18))
    assert len(graph.parameters) == len(list(network.parameters()))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
def test_a_head_that_shares_its_weight_with_a_table_is_one_parameter_again(exporter: str) -> None:
    network = BENCHMARK.spread(NETWORKS["tied-head"].make()).eval()
    graph = interpret(BENCHMARK.export(network, NETWORKS["tied-head"].batch(), exporter, 18))
    (tied,) = [node for node in graph.nodes if node.name.endswith("_tied")]
    readers = {node.op for node in graph.consumers(tied.inputs[0])}
    assert readers == {"Gather", "Transpose"}
    assert torch.equal(graph.parameters[tied.inputs[0]].value, network.head.weight)
    assert any("one parameter" in note for note in graph.notes)


@pytest.mark.filterwarnings("ignore")
def test_a_word_input_knows_how_many_words_there_are() -> None:
    graph = _exported("words", training=True)[1]
    assert [(given.dtype, given.classes) for given in graph.inputs] == [(torch.int64, 50)]
