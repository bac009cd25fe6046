"""What torch's newer exporter writes beside the graph is read from the file, and says what trains and where it lies."""

import pytest
import torch
from torch import Tensor, nn

from tests.load.exported import export
from worker.load.onnx import read
from worker.network.graph import Graph

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's exporter warns of itself


class Words(nn.Module):
    """A head that is its embedding's table, a layer that is frozen, and a buffer that is used as a weight is."""

    def __init__(self) -> None:
        """Know eleven words."""
        super().__init__()
        self.table = nn.Embedding(11, 6)
        self.body = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6))
        self.body[0].weight.requires_grad = False
        self.mixing: Tensor
        self.register_buffer("mixing", torch.randn(6, 6))
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.table.weight

    def forward(self, words: Tensor) -> Tensor:
        """Return the logits of what follows each word."""
        logits: Tensor = self.head(self.body(self.table(words)) @ self.mixing)
        return logits


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    """The network as it comes back from a file."""
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    model = export(Words().eval(), (torch.randint(11, (4,)),), "dynamo")
    path.write_bytes(model.SerializeToString())
    return read(path)


def test_a_buffer_is_not_trained_and_a_shared_weight_is_one_parameter(graph: Graph) -> None:
    (shared,) = {"table.weight", "head.weight"} & graph.parameters.keys()
    layers = {f"body.{place}.{part}" for place in (0, 2) for part in ("weight", "bias")}
    assert graph.parameters.keys() == {shared, *layers}
    assert "mixing" in graph.constants
    readers = [node.op for node in graph.nodes if shared in node.inputs]
    assert len(readers) == 2


def test_a_frozen_parameter_is_trained_as_no_file_says_that_it_was_frozen(graph: Graph) -> None:
    """torch lists it as it lists all others: whoever wants it fixed must make it a buffer before the export."""
    assert graph.parameters["body.0.weight"].trainable


def test_nodes_say_which_module_they_were_written_for(graph: Graph) -> None:
    origins = {node.op: node.origin for node in graph.nodes}
    assert origins["Gather"] == "table (Embedding)"
    assert origins["Tanh"] == "body.1 (Tanh)"
    weighed = {name: node.origin for node in graph.nodes for name in node.inputs if name in graph.parameters}
    assert weighed["body.2.bias"] == "body.2 (Linear)"
    assert weighed["body.0.bias"] == "body.0 (Linear)"


def test_what_the_network_itself_computes_is_of_no_module(graph: Graph) -> None:
    (mixed,) = [node for node in graph.nodes if "mixing" in node.inputs]
    assert mixed.origin is None
