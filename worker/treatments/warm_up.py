"""Warm-up of the learning rate."""

from dataclasses import replace
from typing import Final

from service.contract.words import OptimizerName, Symptom, TreatmentKind
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

SHARE: Final = 0.1
"""Share of the steps over which the rate rises."""
_STEPS: Final = 200
"""Steps where no training trial says how many there are."""
_USUAL_RATE: Final = 1e-3


@treatment(
    "warm-up",
    TreatmentKind.LEARNING_RATE,
    {Symptom.UNSTABLE_LEARNING_RATE, Symptom.ATTENTION_COLLAPSE, Symptom.GRADIENT_SPIKES},
    cost=1,
    retrains=False,
    hints=Hints(
        torch="""
            warmup = torch.optim.lr_scheduler.LinearLR(optimizer, 1 / $steps, total_iters=$steps - 1)
            loss_fn(model(x), y).backward()
            optimizer.step()
            warmup.step()
        """,
        keras="""
            rate = keras.optimizers.schedules.PolynomialDecay($rate / $steps, $steps - 1, end_learning_rate=$rate)
            model.compile(optimizer=keras.optimizers.Adam(rate), loss=model.loss)  # or your own optimizer
        """,
    ),
)
def warm_up(subject: Subject, evidence: Evidence) -> Outcome:
    """Let the learning rate rise slowly

    What it changes
        The learning rate rises linearly from near zero to its value over the first tenth of the training trial's steps.

    Why it helps
        The first steps are taken where the loss is sharpest and Adam's averages have seen little; small ones lead to
        flatter places, from which the full rate is stable.  Transformers with the norm behind the sum need it.

    When it is wrong
        A rate that is too large for the rest of training fails a little later.  Whole trainings take a hundredth of
        their steps, or some thousands, rather than a tenth.

    References
        Goyal et al. 2017 (arXiv 1706.02677), section 2.2; Xiong et al. 2020 (arXiv 2002.04745); Gilmer et al. 2021
        (arXiv 2110.04369).
    """
    settings = subject.settings
    if settings.warmup:
        return Inapplicable(f"The learning rate is warmed up over {settings.warmup} steps already.")
    if not any(each.trainable for each in subject.graph.parameters.values()):
        return Inapplicable("No weight is trained, so there is no learning rate to warm up.")
    total = evidence.training.steps if evidence.training else _STEPS
    steps = max(2, round(SHARE * total))
    rate, name = settings.learning_rate or _USUAL_RATE, settings.optimizer or OptimizerName.ADAM
    said = f"Let the rate of {name} rise from {rate / steps:.3g} to {rate:g} over the first {steps} of {total} steps."
    made = subject.replace(settings=replace(settings, warmup=steps))
    return Change(made, (said,), {"steps": str(steps), "rate": f"{rate:g}"})
