"""Gradient clipping at a measured norm."""

from dataclasses import replace

from service.contract.options import Clipping
from service.contract.words import Symptom, TreatmentKind
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Inapplicable, Outcome, treatment

PERCENTILE = 0.5


@treatment(
    "clip-norm",
    TreatmentKind.CLIPPING,
    {
        Symptom.EXPLODING_GRADIENT,
        Symptom.UNSTABLE_LEARNING_RATE,
        Symptom.GRADIENT_SPIKES,
        Symptom.VANISHING_GRADIENT,
        Symptom.RECURRENT_GAIN,
        Symptom.STALLED_TRAINING,
    },
    cost=1,
    retrains=False,
)
def clip_norm(subject: Subject, evidence: Evidence) -> Outcome:
    """Clip gradients by their norm

    What it changes
        Before each step the whole gradient is scaled down to the median norm that the training trial measured.

    Why it helps
        A spike no longer throws the weights far away, and a diverging rate may become usable.

    When it is wrong
        It scales gradients down and so can do nothing against vanishing; exploding stays as it is, only bounded.

    References
        Pascanu et al. 2013 (arXiv 1211.5063).
    """
    best = evidence.training.best if evidence.training else None
    norms = sorted(norm for norm in best.gradient_norms if 0 < norm < float("inf")) if best else []
    if not norms or subject.settings.clipping is not None:
        return Inapplicable("Clipping is declared already, or no gradient norm was measured.")
    limit = norms[int(PERCENTILE * (len(norms) - 1))]
    settings = replace(subject.settings, clipping=Clipping(kind="norm", limit=limit))
    return Change(
        subject.replace(settings=settings), (f"Clip the gradient's norm at {limit:.3g}, the measured median.",)
    )
