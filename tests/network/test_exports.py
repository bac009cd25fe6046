"""Networks exported by torch's two exporters, against torch itself and onnxruntime."""

from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import torch

from worker.load.onnx import interpret

ROOT = Path(__file__).parents[2]


def _benchmark() -> ModuleType:
    spec = spec_from_file_location("gradients", ROOT / "benchmarks" / "gradients.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BENCHMARK = _benchmark()
CASES = [
    *((name, "torchscript", 17) for name in BENCHMARK.NETWORKS),
    *((name, "dynamo", 20) for name in ("mlp", "resnet", "lstm", "gru", "transformer-pre", "u-net")),
    ("mlp", "torchscript", 9),
    ("cnn-batchnorm", "torchscript", 11),
    ("lstm", "torchscript", 13),
]


@pytest.fixture(autouse=True)
def _exporters_may_warn() -> Iterator[None]:
    """The older exporter says that it is deprecated, at every call."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("logging.Logger.warning", lambda *_, **__: None)
        yield


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "exporter", "opset"), CASES, ids=["-".join(map(str, case)) for case in CASES])
def test_outputs_and_gradients_are_torchs(name: str, exporter: str, opset: int) -> None:
    errors = BENCHMARK.measure(name, exporter, opset)
    assert errors.torch_outputs <= 1e-5
    assert errors.onnxruntime_outputs <= 1e-4
    assert errors.gradients <= 1e-4
    assert errors.unmatched == 0, "every number of named_parameters() is a parameter of the graph"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", BENCHMARK.NETWORKS)
def test_parameters_are_the_modules_own(name: str) -> None:
    make, batch = BENCHMARK.NETWORKS[name]
    network = make()
    graph = interpret(BENCHMARK.export(network, batch(), "torchscript", 17))
    counted = sum(parameter.numel() for parameter in network.parameters())
    assert sum(parameter.value.numel() for parameter in graph.parameters.values()) == counted


@pytest.mark.filterwarnings("ignore")
def test_a_word_input_knows_how_many_words_there_are() -> None:
    make, batch = BENCHMARK.NETWORKS["words"]
    graph = interpret(BENCHMARK.export(make(), batch(), "torchscript", 17))
    assert [(given.dtype, given.classes) for given in graph.inputs] == [(torch.int64, 50)]


@pytest.mark.filterwarnings("ignore")
def test_folded_normalization_is_suspected_and_kept_normalization_is_not() -> None:
    make, batch = BENCHMARK.NETWORKS["resnet"]
    kept = interpret(BENCHMARK.export(make().train(), batch(), "torchscript", 17))
    folded = interpret(BENCHMARK.export(make().eval(), batch(), "torchscript", 17))
    assert not kept.notes
    assert "folded BatchNormalization" in folded.notes[0]
