"""The example files: each reads, fits its batch, and can be learned."""

import codecs
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from service.contract.architecture import Architecture
from service.contract.options import Options
from service.contract.words import Depth
from service.descriptions import parse
from worker.examine import examine
from worker.load import architecture, keras_model, onnx
from worker.load.batch import read
from worker.load.subject import load
from worker.network.graph import Graph
from worker.network.run import Program

EXAMPLES = Path(__file__).parents[2] / "examples"
GUIDE = (EXAMPLES / "README.md").read_text(encoding="utf-8")
DESCRIBED = sorted(
    str(path.relative_to(EXAMPLES).with_suffix("")) for path in EXAMPLES.rglob("*.json") if path.parent.name != "ci"
)
EXPORTED = ["vanishing_sigmoid", "exploding", "resnet", "lstm", "transformer"]
PARAMETERS = {"vanishing_sigmoid": 26, "exploding": 42, "resnet": 25, "lstm": 6, "transformer": 30}
"""Tensors that training changes.  Of the modules' own, ONNX joins an LSTM's two biases and wants two zero states."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the script wrote."""
    folder = tmp_path_factory.mktemp("examples")
    subprocess.run([sys.executable, EXAMPLES / "models.py", folder], check=True)  # noqa: S603  our own script
    return folder


def network(path: Path) -> Graph:
    """Return an example's graph."""
    if path.suffix == ".onnx":
        return onnx.read(path)
    described = parse(path.read_bytes())
    if isinstance(described, Architecture):
        return architecture.lower(described, seed=0)
    return keras_model.lower(described, seed=0)


@pytest.mark.parametrize("name", [f"{name}.json" for name in DESCRIBED] + [f"{name}.onnx" for name in EXPORTED])
def test_each_example_fits_its_batch(written: Path, name: str) -> None:
    graph = network(written / name)
    path = (written / name).with_suffix(".npz")
    batch = read(path, graph, seed=0)
    output = Program(graph).run(batch.inputs, training=True)[graph.outputs[0]]
    assert batch.target is not None
    assert len(output) == len(batch.target)
    assert output.isfinite().all()
    assert path.stat().st_size < 2**20


def test_a_description_is_known_behind_a_byte_order_mark_and_spaces(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_bytes(codecs.BOM_UTF8 + b" " * 400 + (EXAMPLES / "mlp.json").read_bytes())
    subject = load(path, None, Options(), {}, torch.device("cpu"))
    assert [node.op for node in subject.graph.nodes].count("Relu") == 3


@pytest.mark.parametrize("name", EXPORTED)
def test_exports_keep_every_parameter(written: Path, name: str) -> None:
    assert len(network(written / f"{name}.onnx").parameters) >= PARAMETERS[name]


def test_the_resnet_keeps_its_normalizations(written: Path) -> None:
    operators = [node.op for node in network(written / "resnet.onnx").nodes]
    assert operators.count("BatchNormalization") == 7


def test_the_light_resnet_reads_without_a_batch(written: Path) -> None:
    graph = network(written / "light_resnet50.onnx")
    assert read(None, graph, seed=0).inputs[graph.inputs[0].name].shape == (1, 3, 224, 224)


def trained(name: str, written: Path, steps: int) -> tuple[float, float]:
    """Return the first loss and the last of Adam's steps at 1e-3."""
    path = next(path for end in (".json", ".onnx") if (path := written / f"{name}{end}").exists())
    graph = network(path)
    batch = read(path.with_suffix(".npz"), graph, seed=0)
    weights = {key: each.value.clone().requires_grad_() for key, each in graph.parameters.items()}
    optimizer = torch.optim.Adam(weights.values(), 1e-3)
    losses: list[Tensor] = []
    for _ in range(steps):
        output = Program(graph).run(batch.inputs, weights, training=True)[graph.outputs[0]]
        assert batch.target is not None
        losses.append(functional.cross_entropy(output, batch.target))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    return losses[0].item(), losses[-1].item()


HEALTHY = [
    "mlp", "transformer", "lstm", "described/two_towers", "described/transformer", "described/lstm", "keras/functional",
]  # fmt: skip


@pytest.mark.parametrize("name", HEALTHY)
def test_the_healthy_ones_learn_their_batch(written: Path, name: str) -> None:
    first, last = trained(name, written, 60)
    assert last < 0.95 * first


def told() -> dict[str, tuple[str, str]]:
    """Return the verdict and the rule of each file, as the guide to the examples has them."""
    rows = re.findall(r"^\| \[([\w/]+)\.json\].*\| (\w+)(?:, `(\w+)`)? \|$", GUIDE, re.MULTILINE)
    return {name: (verdict, code) for name, verdict, code in rows}


def test_the_guide_tells_of_every_example() -> None:
    assert sorted(told()) == [name for name in DESCRIBED if not name.startswith("articles/")]


@pytest.mark.parametrize("name", sorted(told()))
def test_each_example_shows_what_the_guide_tells(written: Path, name: str) -> None:
    """What fails does so by trial; evidence alone warns."""
    verdict, code = told()[name]
    options = Options(depth=Depth.QUICK, seeds=1, treat=False)
    report = examine(written / f"{name}.json", written / f"{name}.npz", options)
    assert (report.verdict == "pass") == (verdict == "pass")
    assert not code or code in {finding.code for finding in report.findings}


def test_the_vanishing_one_learns_nothing_but_the_classes_shares(written: Path) -> None:
    """The best constant answer for four classes costs ln 4."""
    assert trained("vanishing_sigmoid", written, 60)[1] == pytest.approx(torch.tensor(4.0).log().item(), abs=0.01)
