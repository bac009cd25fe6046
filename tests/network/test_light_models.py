"""The nine published architectures that come with onnx, against the outputs that come with them."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx.backend.test.loader import DATA_DIR

from worker.load.onnx import read
from worker.network.run import Program

MODELS = sorted(Path(DATA_DIR, "light").glob("*.onnx"))


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_published_architecture_gives_its_published_output(path: Path) -> None:
    graph = read(path)
    (given,) = graph.inputs
    count = int(np.prod(given.shape))
    x = torch.arange(count, dtype=torch.float64).reshape(given.shape).div(count).float()
    with torch.no_grad():
        output = Program(graph).run({given.name: x})[graph.outputs[0]]
    expected = onnx.numpy_helper.to_array(onnx.load_tensor(f"{path.with_suffix('')}_output_0.pb"))
    assert np.abs(output.numpy() - expected).max() <= 1e-5 * np.abs(expected).max()


def test_there_are_nine_of_them() -> None:
    assert len(MODELS) == 9


@pytest.mark.parametrize(("name", "numbers"), [("light_squeezenet", 1235496), ("light_resnet50", 25557032)])
def test_their_weights_are_parameters_though_the_files_hold_shapes_only(name: str, numbers: int) -> None:
    """SqueezeNet 1.0 has 1 235 496 parameters and ResNet-50 25 557 032, as their papers' code counts them."""
    graph = read(Path(DATA_DIR, "light", f"{name}.onnx"))
    assert sum(each.value.numel() for each in graph.parameters.values()) == numbers
