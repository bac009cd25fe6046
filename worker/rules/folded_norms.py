"""Finds files that an exporter prepared for inference alone."""

from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, Answer, Observation, Silence, places_at, rule, some


@rule("EXP01", Symptom.NORMALIZATION_MISUSE, order=10, aliases=["eval-mode export", "folded batch norm"])
def folded_norms(evidence: Evidence) -> Answer:
    """The file was exported for inference: its batch norms are folded into convolutions.

    What it measures
        Convolutions of an ONNX file without any norm whose weights or outputs have the names that exporters give where
        they fold a batch norm into them.

    Why it matters
        What is examined is not what is trained: the norms are gone, and so are dropouts.  Scales, gains and steps are
        those of the folded network.

    When it is wrong
        A file that is only fine-tuned as it stands has no other form.  Names are the exporter's: other ones fold
        without a trace, and a weight that was computed from others before export may look the same.  It is a note,
        never more.

    References
        PyTorch, torch.onnx.export, `training` and `do_constant_folding`; Jacob et al. 2018 (arXiv 1712.05877), 3.2.
    """
    if not any(place.op == "Conv" for place in evidence.places):
        return Silence("not_applicable", "the model has no convolution")
    found = evidence.structure.folded
    if not found:
        return CLEAR
    return Observation(
        f"{some(len(found), 'convolution has', 'convolutions have')} what stood behind folded in, "
        f"{evidence.called(found[0].node)} first, as exporters do with batch norms for inference; export in training "
        "mode to have the network examined that is trained.",
        Severity.INFO,
        places_at(found),
        {"layers": len(found)},
    )
