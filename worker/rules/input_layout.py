"""Finds images whose channels stand last before a convolution that looks for them first."""

from service.contract.report import Place
from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence, InputEvidence
from worker.rules import CLEAR, Answer, Observation, Silence, rule

_CHANNELS = frozenset({1, 3, 4})
"""Channels of grey, coloured and translucent images."""


@rule("INP03", Symptom.INPUT_SCALE, order=26, aliases=["NHWC input", "channels-last input"])
def input_layout(evidence: Evidence, *, pixels: int = 8) -> Answer:
    """An image's channels seem to stand last, and a convolution takes rows for them.

    What it measures
        The shape of inputs that a convolution reads as they stand: [batch, n, n, c] with c of 1, 3 or 4 and n of 8
        pixels or more.

    Why it matters
        The convolution then mixes all rows of the image at once, and slides over columns and colours.

    When it is wrong
        A square map of n channels and n rows that is 1, 3 or 4 wide has the same shape.  It is a note, never more.

    References
        ONNX's Conv takes [batch, channels, height, width]; Keras's default is [batch, height, width, channels].
    """
    images = [given for given in evidence.inputs if given.channels_first]
    if not images:
        return Silence("not_applicable", "no convolution reads an input as it stands")
    if evidence.synthetic:
        return Silence("not_applicable", "the batch was drawn")
    turned = [given for given in images if _turned(given, pixels)]
    if not turned:
        return CLEAR
    shape = turned[0].shape
    return Observation(
        f"{turned[0].name} has the shape {list(shape)}, and a convolution takes its {shape[1]} rows for channels: "
        f"the {shape[3]} channels of an image belong behind the batch, in front of rows and columns.",
        Severity.INFO,
        tuple(Place(node=given.name, measured=given.shape[1], limit=max(_CHANNELS)) for given in turned),
        {"channels": float(shape[1])},
    )


def _turned(given: InputEvidence, pixels: int) -> bool:
    _, second, third, last = given.shape
    return last in _CHANNELS and second == third >= pixels
