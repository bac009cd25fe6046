"""What a probe counts is what it runs."""

from unittest.mock import patch

from service.contract.words import OptimizerName
from tests.probe.subjects import chain, dense, described
from worker.budget import Deadline
from worker.network.run import Program
from worker.optimizers import Optimizer
from worker.passes import Passes, count, counted
from worker.probe.measure import probe
from worker.probe.sweep import Sweep
from worker.training import Trainer

LAYERS = chain(3, dense(16), {"kind": "batch_norm"}, {"kind": "relu"})


def test_contexts_within_each_other_count_the_same_passes() -> None:
    with counted(Passes()) as outer:
        count(forward=1)
        with counted(Passes()) as inner:
            count(backward=2, steps=3)
    count(forward=100)
    assert outer == Passes(forward=1, backward=2, steps=3)
    assert inner == Passes(backward=2, steps=3)


def test_every_forward_pass_of_a_probe_is_counted() -> None:
    subject = described(LAYERS)
    with (
        counted(Passes()) as passes,
        patch.object(Program, "_execute", autospec=True, side_effect=Program._execute) as execute,  # noqa: SLF001
    ):
        probe(subject)
    assert passes.forward == execute.call_count
    assert passes.steps == 0


def test_one_backward_pass_serves_all_gradients_of_the_loss() -> None:
    with patch.object(Sweep, "_pulled", autospec=True, side_effect=Sweep._pulled) as pulled:  # noqa: SLF001
        probe(described(LAYERS))
    assert pulled.call_count == 1


def test_steps_of_training_are_counted() -> None:
    with counted(Passes()) as passes:
        Trainer(described(LAYERS)).run(Optimizer(OptimizerName.SGD, 0.01), 7, 0, Deadline.after(1e9))
    assert passes == Passes(steps=7)
