"""Every treatment, on files of every age: what it inserts is an operator of the file's own opset."""

from collections.abc import Iterator

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper, numpy_helper

from service.contract.words import LossName
from worker.load.onnx import interpret
from worker.loss import Loss
from worker.network.export import to_onnx
from worker.network.run import Program
from worker.probe.measure import probe
from worker.subject import Batch, Subject
from worker.treatments import Change, treatments

OPSETS = [7, 9, 11, 13, 17, 21]
GENERATOR = np.random.default_rng(0)
BATCH = 20


def _weights(**shapes: tuple[int, ...]) -> list[onnx.TensorProto]:
    drawn = {name: GENERATOR.standard_normal(shape).astype(np.float32) * 3 for name, shape in shapes.items()}
    return [numpy_helper.from_array(value, name) for name, value in drawn.items()]


def written(opset: int) -> onnx.ModelProto:
    """Return a network of convolutions, a residual branch and dense layers, with a header of its own."""
    nodes = [
        helper.make_node("Conv", ["x", "k1", "b1"], ["c1"], name="conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid", ["c1"], ["a1"], name="act1"),
        helper.make_node("Conv", ["a1", "k2"], ["c2"], name="conv2", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["c2", "a1"], ["s"], name="sum"),
        helper.make_node("Relu", ["s"], ["r"], name="act2"),
        helper.make_node("Flatten", ["r"], ["f"], name="flat"),
        helper.make_node("Gemm", ["f", "w1", "d1"], ["g1"], name="fc1", transB=1),
        helper.make_node("Relu", ["g1"], ["t"], name="act3"),
        helper.make_node("Gemm", ["t", "w2", "d2"], ["g2"], name="fc2"),
        helper.make_node("Softmax", ["g2"], ["y"], name="head", axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["samples", 2, 4, 4])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["samples", 3])],
        _weights(k1=(4, 2, 3, 3), b1=(4,), k2=(4, 4, 3, 3), w1=(8, 64), d1=(8,), w2=(8, 3), d2=(3,)),
        doc_string="The graph's own words.",
    )
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(
        graph, opset_imports=opsets, producer_name="somebody", producer_version="7", doc_string="The file's own words."
    )
    model.metadata_props.add(key="license", value="free")
    model.ir_version = max(4, helper.find_min_ir_version_for(opsets))
    return model


def subject(opset: int) -> Subject:
    """Return the network with inputs that are badly scaled."""
    x = torch.randn(BATCH, 2, 4, 4, generator=torch.Generator().manual_seed(0)) * 50 + 20
    target = torch.arange(BATCH) % 3
    graph = interpret(written(opset))
    return Subject(graph, Batch({"x": x}, target), Loss(LossName.NLL), output="y")


def changed(opset: int) -> Iterator[tuple[str, Subject]]:
    """Yield what each treatment that applies makes of the network."""
    given = subject(opset)
    evidence = probe(given)
    for name, treatment in treatments.items():
        change = treatment.apply(given, evidence)
        if isinstance(change, Change) and change.subject.graph is not given.graph:
            yield name, change.subject


@pytest.mark.parametrize("opset", [*OPSETS, min(onnx.defs.onnx_opset_version(), 24)])
def test_what_treatments_insert_is_valid_at_the_files_own_opset(opset: int) -> None:
    seen = []
    for name, treated in changed(opset):
        graph = treated.graph.replace(outputs=("y",))
        model = to_onnx(graph)
        onnx.checker.check_model(model, full_check=True)
        assert [(each.domain, each.version) for each in model.opset_import] == [("", opset)], name
        session = onnxruntime.InferenceSession(model.SerializeToString())
        x = treated.batch.inputs["x"]
        with torch.no_grad():
            ours = Program(graph).run({"x": x})["y"].numpy()
        theirs = session.run(None, {"x": x.numpy()})[0]
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5, err_msg=name)
        seen.append(name)
    assert {"relu", "selu", "leaky-relu", "batch-norm", "residual-scale"} <= set(seen)
    assert ("layer-norm" in seen) == (opset >= 9)


def test_the_files_own_header_names_and_axes_are_kept() -> None:
    before = written(17)
    for name, treated in changed(17):
        after = to_onnx(treated.graph.replace(outputs=("y",)))
        assert (after.producer_name, after.producer_version) == ("somebody", "7")
        assert (after.doc_string, after.graph.doc_string, after.graph.name) == (
            "The file's own words.",
            "The graph's own words.",
            "classifier",
        )
        assert [(each.key, each.value) for each in after.metadata_props] == [("license", "free")]
        assert after.graph.input[0] == before.graph.input[0], name
        assert after.graph.output[0] == before.graph.output[0], name
        kept = {each.name for each in before.graph.initializer}
        assert kept <= {each.name for each in after.graph.initializer}
        assert {each.name for each in before.graph.node} <= {each.name for each in after.graph.node}
