"""What regularizers add to the loss: Keras's own numbers, and a step of training that feels them."""

from dataclasses import replace

import keras
import pytest
import torch
from keras import layers, regularizers

from service.contract.problem import UnsupportedModel
from service.contract.words import LossName, OptimizerName
from tests.keras.real import described, same
from worker.budget import Deadline
from worker.load.keras_model import lower
from worker.loss import Loss
from worker.optimizers import Optimizer
from worker.subject import Batch, Subject
from worker.training import Trainer


def penalized(kernel: object, bias: object = None) -> keras.Model:
    """Return a model with these regularizers on its first layer."""
    first = layers.Dense(5, kernel_regularizer=kernel, bias_regularizer=bias, bias_initializer="ones")
    return keras.Sequential([layers.Input((4,)), first, layers.Dense(2)])


@pytest.mark.parametrize(
    "kernel",
    [
        "l1",
        "l2",
        regularizers.L1(0.3),
        regularizers.L2(0.2),
        regularizers.L1L2(0.1, 0.4),
        regularizers.OrthogonalRegularizer(0.3),
        regularizers.OrthogonalRegularizer(0.3, mode="columns"),
    ],
    ids=["l1", "l2", "L1", "L2", "L1L2", "rows", "columns"],
)
def test_penalties_are_kerass_losses(kernel: object) -> None:
    model = penalized(kernel, regularizers.L2(0.5))
    graph = same(model)
    found = sum(
        parameter.penalty(parameter.value) for parameter in graph.parameters.values() if parameter.penalty is not None
    )
    torch.testing.assert_close(found, sum(model.losses).detach())


def test_orthogonality_is_asked_of_matrices_only() -> None:
    orthogonal = regularizers.OrthogonalRegularizer()
    convolution = layers.Conv2D(2, 3, kernel_regularizer=orthogonal, name="c")
    recurrent = layers.LSTM(2, recurrent_regularizer=orthogonal, name="r")
    for layer, shape, role in ((convolution, (5, 5, 2), "kernel"), (recurrent, (4, 3), "recurrent")):
        found = described(keras.Sequential([layers.Input(shape), layer]))
        with pytest.raises(UnsupportedModel) as caught:
            lower(found, seed=0)
        assert caught.value.pointer == f"/config/layers/1/config/{role}_regularizer"


def test_a_step_of_training_goes_down_the_penalty_but_tells_the_batchs_loss() -> None:
    """With a loss of zero slope, plain gradient descent shrinks a kernel by 2 · rate · l2 and nothing else."""
    graph = same(penalized(regularizers.L2(0.25)))
    batch = Batch({graph.inputs[0].name: torch.zeros(8, 4)}, torch.zeros(8, 2))
    frozen = {
        name: replace(each, trainable=name.endswith("dense.kernel") or each.penalty is not None)
        for name, each in graph.parameters.items()
    }
    graph = graph.replace(parameters=frozen)
    subject = Subject(graph, batch, Loss(LossName.MSE), output=graph.outputs[0])
    with_it = Trainer(subject).run(Optimizer(OptimizerName.SGD, 1.0), 2, 0, Deadline.after(60))
    bare = {name: replace(each, penalty=None) for name, each in graph.parameters.items()}
    without = Trainer(subject.replace(graph=graph.replace(parameters=bare))).run(
        Optimizer(OptimizerName.SGD, 1.0), 2, 0, Deadline.after(60)
    )
    kernel = next(each.value for each in graph.parameters.values() if each.penalty is not None)
    assert with_it.losses[0] == without.losses[0]
    assert without.gradient_norms[0] == 0
    assert with_it.gradient_norms == pytest.approx([0.5 * float(kernel.norm()), 0.25 * float(kernel.norm())])
