"""Treated files are taken on by others: they run in onnxruntime, and what could not be trained trains further.

The sick networks are torch's own modules, written by torch's exporters.  Whether one trains is what a plain loop of
`torch.optim` says, and what a trained file computes is what onnxruntime says.
"""

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor
from torch.nn import functional

from service.contract.options import Options
from service.contract.report import Remedy, Report
from service.contract.words import Depth, LossName, Severity, Verdict
from tests.trial.sick_networks import CLASSES, NETWORKS, Sick, exported
from worker.examine import examine
from worker.load.onnx import read
from worker.network.export import to_onnx
from worker.network.graph import Graph
from worker.network.run import Program

SAMPLES, STEPS = 64, 100
SERIES, IMAGE = 2, 3
"""Axes of a sample."""
QUICK = Options(depth=Depth.QUICK, seeds=1, time_limit_s=600, loss=LossName.CROSS_ENTROPY)


@dataclass(frozen=True)
class Course:
    """What became of one network: its file, the treated file, the batch, and the report."""

    file: Path
    treated: Path
    batch: Path
    report: Report
    sick: Sick

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """The inputs and the classes."""
        with np.load(self.batch) as held:
            return held["x"], held["target"]

    @property
    def remedies(self) -> list[Remedy]:
        """What is prescribed."""
        assert self.report.prescription is not None, self.report.summary
        return [each for each in self.report.remedies if each.id in self.report.prescription.remedies]

    @property
    def cured(self) -> set[str]:
        """Codes of the findings that the prescription says to cure."""
        return {code for each in self.remedies for code in each.cures}


def drawn(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return normal inputs, and the class that a random linear map of them tells: of the first step, of the colour."""
    inputs = torch.randn(SAMPLES, *shape)
    if len(shape) == IMAGE:
        inputs = inputs[:, :, :1, :1].expand_as(inputs).contiguous()
    told = inputs[:, 0] if len(shape) == SERIES else inputs.flatten(2)[..., 0] if len(shape) == IMAGE else inputs
    return inputs, (told @ torch.randn(told.shape[1], CLASSES)).argmax(1)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Run on one thread: the networks are small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def course(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Course:
    """Return a network's file, examined once with everything tried."""
    sick, folder = NETWORKS[request.param], tmp_path_factory.mktemp("course")
    torch.manual_seed(0)
    inputs, target = drawn(sick.shape)
    file, batch, treated = folder / "model.onnx", folder / "batch.npz", folder / "treated.onnx"
    file.write_bytes(exported(sick.build().eval(), inputs, newer=sick.newer))
    np.savez(batch, x=inputs.numpy(), target=target.numpy())
    report = examine(file, batch, QUICK, treated=treated)
    return Course(file, treated, batch, report, sick)


every = pytest.mark.parametrize("course", list(NETWORKS), indirect=True, scope="module")


def run(model: onnx.ModelProto, inputs: np.ndarray) -> np.ndarray:
    """Return what onnxruntime computes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (scores,) = session.run(None, {"x": inputs})
    return np.asarray(scores)


def cost(scores: np.ndarray, classes: np.ndarray) -> float:
    """Return the cross entropy in nats."""
    exact = scores.astype(float)
    top = exact.max(1, keepdims=True)
    logs = exact - top - np.log(np.exp(exact - top).sum(1, keepdims=True))
    return float(-logs[np.arange(len(classes)), classes].mean())


def constant(classes: np.ndarray) -> float:
    """Return the cross entropy of the best prediction that is the same for all samples."""
    shares = np.bincount(classes) / len(classes)
    return float(-sum(share * math.log(share) for share in shares if share))


def trained(file: Path, course: Course) -> tuple[float, Graph]:
    """Return the loss after a hundred steps of a plain loop, and the network with the weights that it ended at."""
    graph = read(file)
    program, (inputs, classes) = Program(graph), course.arrays
    weights = {name: each.value.clone().requires_grad_() for name, each in graph.parameters.items()}
    optimizer = course.sick.optimizer(weights.values(), lr=course.sick.rate)

    def loss() -> Tensor:
        (scores,) = program.run({"x": torch.from_numpy(inputs)}, weights, training=True).values()
        return functional.cross_entropy(scores, torch.from_numpy(classes))

    for _ in range(STEPS):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    return float(loss().detach()), graph.with_parameters({name: each.detach() for name, each in weights.items()})


def initial(model: onnx.ModelProto) -> Mapping[str, np.ndarray]:
    return {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}


@every
def test_a_treated_file_is_valid_and_lists_its_changes(course: Course) -> None:
    assert course.report.prescription is not None, course.report.summary
    assert course.report.prescription.treated_model
    model = onnx.load(course.treated)
    onnx.checker.check_model(model, full_check=True)
    said = {each.key: each.value for each in model.metadata_props}
    changes = [sentence for each in course.remedies for sentence in each.changes]
    assert [said[f"gradgate.change.{number}"] for number in range(1, len(changes) + 1)] == changes
    assert said["gradgate.model.sha256"] == course.report.model.sha256
    assert said["gradgate.treatments"] == ",".join(course.report.prescription.remedies)
    before, after = onnx.load(course.file).graph, model.graph
    for given, kept in ((before.input, after.input), (before.output, after.output)):
        assert [(each.name, each.type) for each in kept] == [(each.name, each.type) for each in given]


@every
def test_onnxruntime_computes_of_a_treated_file_what_torch_does(course: Course) -> None:
    inputs, _ = course.arrays
    (scores,) = Program(read(course.treated)).run({"x": torch.from_numpy(inputs)}).values()
    np.testing.assert_allclose(run(onnx.load(course.treated), inputs), scores.detach(), rtol=1e-3, atol=1e-4)


@every
def test_a_treated_file_keeps_every_name(course: Course) -> None:
    before, after = onnx.load(course.file), onnx.load(course.treated)
    assert initial(before).keys() <= initial(after).keys()
    nodes = {each.name: each for each in after.graph.node}
    changes = " ".join(sentence for each in course.remedies for sentence in each.changes)
    for node in before.graph.node:
        if node.op_type == "Constant":
            assert node.output[0] in initial(after)
        else:
            assert nodes[node.name].op_type == node.op_type or node.op_type in changes


@every
def test_a_treated_file_trains_further_and_its_trained_weights_go_back_into_it(course: Course) -> None:
    inputs, classes = course.arrays
    enough = constant(classes) / 2
    untreated, _ = trained(course.file, course)
    treated, graph = trained(course.treated, course)
    assert not untreated < enough
    assert treated < enough
    model = to_onnx(graph)
    onnx.checker.check_model(model, full_check=True)
    assert initial(model).keys() == initial(onnx.load(course.treated)).keys()
    assert cost(run(model, inputs), classes) == pytest.approx(treated, rel=1e-3, abs=1e-4)


@every
def test_a_treated_file_is_found_without_what_was_cured(course: Course) -> None:
    again = examine(course.treated, course.batch, QUICK.model_copy(update={"treat": False}))
    ill = {each.code for each in again.findings if each.severity is not Severity.INFO}
    assert course.cured
    assert not course.cured & ill
    assert again.verdict is Verdict.PASS
    assert again.fidelity.ok


def test_a_treated_keras_file_trains_in_keras(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    inputs, classes = (each.numpy() for each in drawn((16,)))
    hidden = [keras.layers.Dense(24, activation="sigmoid") for _ in range(8)]
    model = keras.Sequential([keras.Input((16,)), *hidden, keras.layers.Dense(CLASSES)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    file, treated, batch = tmp_path / "model.json", tmp_path / "treated.json", tmp_path / "batch.npz"
    file.write_text(model.to_json(), "utf-8")
    np.savez(batch, x=inputs, target=classes)
    report = examine(file, batch, Options(depth=Depth.QUICK, seeds=1, time_limit_s=600), treated=treated)
    assert report.prescription is not None
    assert report.prescription.treated_model
    again = keras.models.model_from_json(treated.read_text("utf-8"))
    losses = [float(again.train_on_batch(inputs, classes)) for _ in range(2)]
    assert np.isfinite(losses).all()
    assert float(again.evaluate(inputs, classes, verbose=0)) < losses[0]
