"""Finds where NaN and infinities come from."""

from service.contract.report import Place
from service.contract.words import Symptom
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, Answer, Observation, rule, weigh


@rule("NUM01", Symptom.NON_FINITE, order=0, aliases=["TensorNaN", "NaN loss"])
def non_finite(evidence: Evidence) -> Answer:
    """The loss or its gradient is not finite.

    What it measures
        Whether NaN or an infinity reaches the loss or the gradient of a weight; the place named is the first
        operator that made one out of finite numbers, with what it was fed.

    Why it matters
        One step with such a gradient destroys every weight it touches.

    When it is wrong
        Infinities that a mask puts in on purpose do not count as long as the loss and its gradient are finite.

    References
        SageMaker Debugger's TensorNaN; IEEE 754.
    """
    found = evidence.nonfinite
    if found is None:
        return CLEAR
    samples = f"; the first samples at fault: {', '.join(map(str, found.samples))}" if found.samples else ""
    stages = {"batch": "in the batch", "weights": "in the weights", "forward": "on the way forward"}
    operator = f" ({found.op})" if found.op else ""
    return Observation(
        f"Numbers that are not finite arise {stages.get(found.stage, 'on the way back')}, at "
        f"{evidence.called(found.node)}{operator}: {found.cause}{samples}.",
        weigh(evidence, certain=True),
        (Place(node=found.node, origin=found.origin, measured=found.share, limit=0),),
        {"share": found.share},
    )
