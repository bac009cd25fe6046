"""Finds stacks of batch norms that no skip leads around."""

from service.contract.report import Place
from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, SHOWN_PLACES, Answer, Observation, Silence, rule


@rule(
    "NRM07",
    Symptom.NORMALIZATION_MISUSE,
    order=42,
    aliases=["deep batch norm without skips"],
    told_by=[Symptom.EXPLODING_GRADIENT],
)
def bare_batch_norm(evidence: Evidence, *, note: float = 3.0) -> Answer:
    """Many layers of batch norm follow each other with no skip around them.

    What it measures
        The weight layers with a batch norm and an activation that every path runs through, and the gain that theory
        expects of them: Σ ln χ with χ = E[φ'²]/Var[φ], ln(π/(π − 1)) = 0.38 for ReLU.  Beyond 3 it is a note.

    Why it matters
        Without skips batch norm makes gradients explode with depth, whatever the weights' scale: it is the cause, and
        no initialization cures it.

    When it is wrong
        Eight such layers are fine, and convolutions with many positions explode less.  GRD02 measures what comes of it;
        where that warns, it names this cause itself.  It is a note, never more.

    References
        Yang et al. 2019 (arXiv 1902.08129): a mean field theory of batch normalization.
    """
    shown = evidence.structure
    if not shown.norms:
        return Silence("not_applicable", "no batch norm normalizes by the batch")
    if shown.bare_gain < note:
        return CLEAR
    if evidence.gain is not None and evidence.gain.rate < note:
        return Silence("clear", "the gradient does not grow as theory would have it")
    return Observation(
        f"{shown.bare} layers of batch norm follow each other with no skip around them; by theory that alone makes the "
        f"squared gradient e^{shown.bare_gain:.1f} times as large (e^{note:g} is the limit), whatever the weights.",
        Severity.INFO,
        tuple(
            Place(node=norm.node, origin=norm.origin, measured=shown.bare_gain, limit=note)
            for norm in shown.norms[:SHOWN_PLACES]
        ),
        {"layers": shown.bare, "predicted_gain": shown.bare_gain},
    )
