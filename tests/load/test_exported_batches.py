"""Files that torch's exporters write for one batch size take batches of another, and give what torch gives."""

from collections.abc import Iterator

import onnx
import pytest
import torch
from torch import nn

from service.contract.problem import BatchMismatch
from tests.load.exported import NETWORKS, Mixed, export
from worker.load.fidelity import compare
from worker.load.onnx import interpret
from worker.load.rebatch import FREED, rebatchable
from worker.network.export import to_onnx
from worker.network.run import Program

SUBTLE = ("lstm-states", "vision", "padded", "words")
CASES = [
    *((name, exporter, size) for name in NETWORKS for exporter, size in (("torchscript", 2), ("dynamo", 1))),
    *((name, exporter, size) for name in SUBTLE for exporter, size in (("torchscript", 1), ("dynamo", 2))),
]


@pytest.fixture(autouse=True)
def _exporters_may_warn() -> Iterator[None]:
    """The older exporter says that it is deprecated, at every call."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("logging.Logger.warning", lambda *_, **__: None)
        yield


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "exporter", "fixed"), CASES, ids=["-".join(map(str, case)) for case in CASES])
def test_a_file_of_a_fixed_batch_gives_what_torch_gives_for_another(name: str, exporter: str, fixed: int) -> None:
    torch.manual_seed(0)
    module, batch = NETWORKS[name].make().eval(), NETWORKS[name].batch
    graph = interpret(export(module, batch(fixed), exporter))
    samples = batch(5)
    inputs = {each.name: value for each, value in zip(graph.inputs, samples, strict=True)}
    freed = rebatchable(graph, {each: tuple(value.shape) for each, value in inputs.items()})
    assert FREED in freed.notes
    with torch.no_grad():
        (ours,) = Program(freed).run(inputs).values()
        torch.testing.assert_close(ours, module(*samples), rtol=1e-4, atol=1e-5)
    written = to_onnx(freed)
    onnx.checker.check_model(written, full_check=True)
    found = compare(written.SerializeToString(), freed, inputs)
    assert (found.ok, found.compared, found.notes) == (True, 1, ())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
def test_what_mixes_samples_is_refused_by_name_with_both_sizes_and_a_way_out(exporter: str) -> None:
    graph = interpret(export(Mixed(), (torch.randn(2, 3),), exporter))
    name = graph.inputs[0].name
    with pytest.raises(BatchMismatch) as caught:
        rebatchable(graph, {name: (5, 3)})
    for word in (repr(name), "has 5 samples", "fixes its batch to 2", "ReduceMean", "dynamic_axes", "dynamic_shapes"):
        assert word in caught.value.detail


@pytest.mark.filterwarnings("ignore")
def test_a_batch_of_the_files_own_size_leaves_the_file_as_it_is() -> None:
    graph = interpret(export(NETWORKS["words"].make(), NETWORKS["words"].batch(2), "dynamo"))
    assert rebatchable(graph, {graph.inputs[0].name: (2, 6)}) is graph


@pytest.mark.filterwarnings("ignore")
def test_one_class_token_stays_one_parameter() -> None:
    """The exporter may write the token once for every sample; it is one vector all the same."""
    module = NETWORKS["vision"].make()
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    graph = interpret(export(module, NETWORKS["vision"].batch(3), "torchscript"))
    freed = rebatchable(graph, {graph.inputs[0].name: (5, 3, 8, 8)})
    counted = sum(each.numel() for each in module.parameters())
    assert sum(each.value.numel() for each in freed.parameters.values()) == counted
