"""Recurrent weights that an export for training slices and joins: treatments change what they are made of."""

import io
import warnings

import onnx
import pytest
import torch
from torch import nn

from tests.load.exported import Recurrent
from tests.probe.subjects import normal, with_target
from tests.treatments.applied import output, treated, weight
from worker.load.onnx import interpret
from worker.subject import Subject

X = normal(16, 12, 5)


def exported(module: nn.Module, *, folded: bool) -> Subject:
    """Return a module as torch's exporter writes it for training, its weights joined beforehand or in the graph."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (X,),
            file,
            input_names=["x"],
            dynamo=False,
            training=torch.onnx.TrainingMode.EVAL if folded else torch.onnx.TrainingMode.TRAINING,
            do_constant_folding=folded,
        )
    return with_target(interpret(onnx.load_from_string(file.getvalue())), {"x": X})


@pytest.mark.parametrize("both", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_a_gate_is_opened_in_what_its_bias_is_made_of(kind: type[nn.RNNBase], both: bool) -> None:  # noqa: FBT001
    module = Recurrent(kind, bidirectional=both)
    joined, parted = (treated("long-memory", exported(module, folded=folded)) for folded in (True, False))
    torch.testing.assert_close(output(parted), output(joined))
    module.load_state_dict({name: weight(parted, name) for name in module.state_dict()})
    torch.testing.assert_close(output(parted), module(X).detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_each_gates_recurrent_weights_are_drawn_in_torchs_own_order(kind: type[nn.RNNBase]) -> None:
    after = treated("recurrent-init", exported(Recurrent(kind), folded=False))
    for layer in range(2):
        for gate in weight(after, f"cells.weight_hh_l{layer}").split(6):
            torch.testing.assert_close(gate @ gate.T, torch.eye(6), rtol=0, atol=1e-5)


def test_a_recurrence_becomes_the_identity_and_its_weights_go_back_into_the_module() -> None:
    after = treated("identity-recurrence", exported(Recurrent(nn.RNN), folded=False))
    assert torch.equal(weight(after, "cells.weight_hh_l1"), torch.eye(6))
    module = Recurrent(nn.RNN)
    module.cells = nn.RNN(5, 6, 2, nonlinearity="relu", batch_first=True)
    module.load_state_dict({name: weight(after, name) for name in module.state_dict()})
    torch.testing.assert_close(output(after), module(X).detach(), rtol=1e-4, atol=1e-5)
