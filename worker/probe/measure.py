"""The probe: a subject in, evidence out."""

from service.contract.problem import BatchMismatch, UnsupportedModel
from worker.probe.along_time import measure_recurrent
from worker.probe.attention import measure_attention
from worker.probe.evidence import Evidence
from worker.probe.gain import measure_gain
from worker.probe.inputs import measure_inputs
from worker.probe.losses import measure_loss
from worker.probe.mixing import measure_mixing
from worker.probe.nonfinite import find_nonfinite
from worker.probe.places import measure_places, places
from worker.probe.precision import measure_precision
from worker.probe.regularization import declared, measure_regularization
from worker.probe.residual import measure_joins
from worker.probe.shattering import measure_shattering
from worker.probe.structure import measure_structure
from worker.probe.sweep import Sweep, sweep
from worker.probe.targets import measure_target
from worker.probe.thorough import Thorough, measure_thoroughly
from worker.probe.training import usual_optimizer
from worker.probe.weights import measure_parameters, wanted
from worker.subject import Subject


def probe(subject: Subject, *, deep: bool = False, sharp: bool = False) -> Evidence:
    """Measure the subject under its seed: some three forward and four backward passes, no training.

    One backward pass gives all gradients of the loss that the measures read; random cotangents take one each.

    `deep` adds what takes many passes more: see the modules of the measures.  `sharp` adds the loss's sharpness, where
    a learning rate is declared and it costs little.
    """
    run = _run(subject)
    run.gradients([*(value for _, value in places(run.path)), *wanted(run)])
    nonfinite = find_nonfinite(run)
    thorough = Thorough() if nonfinite else measure_thoroughly(run, deep=deep, sharp=sharp)
    return Evidence(
        places=measure_places(run),
        parameters=measure_parameters(run, usual_optimizer(subject)),
        loss=measure_loss(run, declared=subject.declared_loss),
        inputs=measure_inputs(run),
        samples=subject.batch.size,
        gain=None if nonfinite else measure_gain(run),
        recurrent=() if nonfinite else measure_recurrent(run),
        joins=() if nonfinite else measure_joins(run),
        shattering=measure_shattering(run) if deep and not nonfinite else None,
        nonfinite=nonfinite,
        declared=declared(subject),
        regularization=None if nonfinite else measure_regularization(run),
        attention=measure_attention(run),
        drawn=subject.drawn,
        precision=None if nonfinite else measure_precision(run, usual_optimizer(subject)),
        sharpness=thorough.sharpness,
        deep=thorough.deep,
        unmeasured=thorough.unmeasured,
        synthetic=subject.batch.synthetic,
        target=measure_target(run),
        mixing=None if nonfinite else measure_mixing(run),
        structure=measure_structure(run),
        origins={node.name: node.origin for node in subject.graph.nodes if node.origin},
    )


def _run(subject: Subject) -> Sweep:
    """Sweep once.  What torch refuses here is the batch not fitting the model."""
    try:
        return sweep(subject)
    except (RuntimeError, IndexError, ValueError) as error:
        if "memory" in str(error):
            raise
        line = str(error).splitlines()[0]
        msg = f"The model does not run on this batch: {line}"
        raise BatchMismatch(msg) from error
    except NotImplementedError as error:
        raise UnsupportedModel(str(error)) from error
