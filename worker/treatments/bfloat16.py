"""A number format with the range of float32."""

from dataclasses import replace

from service.contract.words import Precision, Symptom, TreatmentKind
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment


@treatment(
    "bfloat16",
    TreatmentKind.PRECISION,
    {Symptom.PRECISION_RANGE},
    cost=1,
    retrains=False,
    hints=Hints(
        torch="""
            with torch.autocast(x.device.type, dtype=torch.bfloat16):
                loss = loss_fn(model(x), y)
            loss.backward()
            optimizer.step()
        """,
        keras="""
            for layer in model.layers:  # or keras.config.set_dtype_policy("mixed_bfloat16") before the model is built
                layer.dtype_policy = keras.DTypePolicy("mixed_bfloat16")
        """,
    ),
)
def bfloat16(subject: Subject, evidence: Evidence) -> Outcome:
    """Train in bfloat16 instead of float16

    What it changes
        Values and gradients are kept in bfloat16: 8 bits of exponent, as float32 has, and 8 of precision.

    Why it helps
        Its largest number is 3.4e38 where float16 ends at 65504, and its smallest 9.2e-41 where float16 ends at 6e-8:
        nothing overflows or becomes zero that does not in float32.

    When it is wrong
        It tells 1 from 1.008 and from nothing nearer: steps of less than 2⁻⁹ of a weight are lost, unless the weights
        themselves are kept in float32.  Not every accelerator computes in it.

    References
        Kalamkar et al. 2019 (arXiv 1905.12322); Micikevicius et al. 2018 (arXiv 1710.03740).
    """
    if subject.settings.precision is not Precision.FLOAT16:
        return Inapplicable(f"Training is meant to run in {subject.settings.precision}, whose range is float32's.")
    found = evidence.precision
    lost = max((each.lost for each in found.weights if each.matrix), default=0.0) if found is not None else 0.0
    largest = max((each.largest for each in found.overflows), default=0.0) if found is not None else 0.0
    over = f" Numbers as large as {largest:.3g} overflow there." if largest else ""
    under = f" A kernel's gradient loses {lost:.0%} of its norm there." if lost else ""
    settings = replace(subject.settings, precision=Precision.BFLOAT16, loss_scale=1.0)
    return Change(subject.replace(settings=settings), (f"Train in bfloat16 instead of float16.{over}{under}",))
