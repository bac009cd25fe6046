"""Running statistics of batch norms taken anew."""

from torch import Tensor

from service.contract.words import Mode, Symptom, TreatmentKind
from worker.network.found_norms import batch_norms
from worker.probe.evidence import Evidence
from worker.probe.sweep import sweep
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment


@treatment(
    "fresh-statistics",
    TreatmentKind.NORMALIZATION,
    {Symptom.NORMALIZATION_MISUSE},
    cost=1,
    retrains=False,
    hints=Hints(
        torch="""
        for layer in [each for each in model.modules() if hasattr(each, "running_var")]:
            layer.reset_running_stats()
            layer.momentum = None  # a plain mean over the batches that follow
        model.train()(x)
        """,
        keras="""
        for layer in [each for each in model.layers if isinstance(each, keras.layers.BatchNormalization)]:
            layer.momentum = 0.9
        for _ in range(50): model(x, training=True)
        """,
    ),
)
def fresh_statistics(subject: Subject, evidence: Evidence) -> Outcome:
    """Take the running statistics of batch norms anew

    What it changes
        The running mean and variance of each batch norm become those of what it reads in this batch.  Weights, and what
        training computes, stay the same.

    Why it helps
        Evaluation normalizes by running statistics.  Where those were never updated, or belong to other data, it undoes
        what was learnt; with new ones it computes what training does, without a step.

    When it is wrong
        One small batch stands for the data set: take the mean over many.  Data that really are other than those of
        training ask for training.  Weights that nobody trained yet need none of this.

    References
        Wu and Johnson 2021 (arXiv 2105.07576); Ioffe and Szegedy 2015 (arXiv 1502.03167), section 3.1.
    """
    if subject.drawn or subject.mode is not Mode.TRAIN:
        return Inapplicable("The weights are drawn, or evaluation is what was asked for: there is nothing to catch up.")
    graph, values = subject.graph, sweep(subject).values
    uses = [name for node in graph.nodes for name in node.inputs]
    done: list[str] = []
    constants = dict(graph.constants)
    for norm in batch_norms(graph):
        names = norm.inputs[3:5]
        alone = all(name in constants and uses.count(name) == 1 for name in names)
        value = values.get(norm.inputs[0])
        if alone and value is not None and value.dim() > 1 and value.isfinite().all():
            constants |= {name: new.to(constants[name]) for name, new in zip(names, _statistics(value), strict=True)}
            done.append(norm.origin or norm.name)
    if not done:
        return Inapplicable("There is no batch norm with running statistics of its own.")
    count = f"{len(done)} batch norm{'s' if len(done) > 1 else ''}"
    return Change(
        subject.replace(graph=graph.replace(constants=constants)),
        (f"Take mean and variance of {count} from this batch of {subject.batch.size} (first: {done[0]}).",),
    )


def _statistics(value: Tensor) -> tuple[Tensor, Tensor]:
    axes = [axis for axis in range(value.dim()) if axis != 1]
    wide = value.detach().double()
    return wide.mean(axes), wide.var(axes, correction=0)
