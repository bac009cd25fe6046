"""The same examination on every device: the same verdict, and a forward pass that agrees with onnxruntime's."""

import json
from pathlib import Path
from typing import Any

import pytest

from service.contract.options import Options
from service.contract.words import Verdict
from worker.examine import examine

RELU, NORM = {"kind": "relu"}, {"kind": "batch_norm"}
CONV = {"kind": "conv2d", "filters": 8, "kernel": 3, "padding": "same"}
TOKENS = {"shape": [8], "dtype": "int64", "classes": 20}
HEALTHY: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "dense": ({"shape": [8]}, [{"kind": "dense", "units": 32, "init": "he_normal"}, RELU]),
    "convolutional": ({"shape": [3, 8, 8]}, [CONV, NORM, RELU, {"kind": "global_avg_pool"}]),
    "recurrent": ({"shape": [8, 4]}, [{"kind": "lstm", "units": 16}]),
    "attentive": (TOKENS, [{"kind": "embedding", "classes": 20, "dim": 16}, {"kind": "transformer_block", "heads": 2}]),
}


def described(folder: Path, given: dict[str, Any], layers: list[dict[str, Any]]) -> Path:
    """Return a file of these layers and a head of four classes."""
    path = folder / "model.json"
    path.write_text(json.dumps({"gradgate": "1", "input": given, "layers": [*layers, {"kind": "dense", "units": 4}]}))
    return path


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_network_passes_on_every_device(name: str, device: str, tmp_path: Path) -> None:
    report = examine(described(tmp_path, *HEALTHY[name]), None, Options(seeds=1), device=device)
    assert report.verdict is Verdict.PASS
    assert report.fidelity.ok
    assert (report.engine.device == "cpu") == (device == "cpu")


def test_a_sick_network_is_found_and_cured_on_every_device(device: str, tmp_path: Path) -> None:
    layers = [{"kind": "dense", "units": 32, "init": "xavier_normal"}, {"kind": "sigmoid"}] * 16
    report = examine(described(tmp_path, {"shape": [8]}, layers), None, Options(seeds=1), device=device)
    assert report.verdict is Verdict.FAIL
    assert report.findings[0].code == "GRD01"
    assert report.prescription is not None
