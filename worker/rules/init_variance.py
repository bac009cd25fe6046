"""Finds weights whose variance does not suit the activation."""

from service.contract.report import Place
from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence, MeanField
from worker.rules import CLEAR, Answer, Observation, Silence, rule


@rule(
    "INI05",
    Symptom.POOR_INIT_SCALE,
    order=42,
    aliases=["PoorWeightInitialization", "init variance"],
    told_by=[Symptom.VANISHING_GRADIENT, Symptom.EXPLODING_GRADIENT],
)
def init_variance(evidence: Evidence, *, note: float = 3.0) -> Answer:
    """The weights' variance is not what their activation needs.

    What it measures
        Variance times fan-in of each kernel between the first layer and the head, and from it, by mean-field theory,
        the gradient gain Σ ln χ₁ of a plain network; beyond ±3, and where the measured gain agrees, it is a note with
        the variance that would keep χ₁ = 1: 2 for ReLU, 1 for SELU and linear layers, about 1.05 for tanh.

    Why it matters
        What one layer takes from a gradient, the next one takes again: PyTorch's default, a variance of 1/3, divides
        the squared gradient by 6 in every ReLU layer.

    When it is wrong
        The gain decides, not the variance: GRD01 and GRD02 warn of that.  Few layers forgive any scale; norms and skips
        set it anew, and networks with those are not judged, nor are weights that have been trained.  It is a note,
        never more.

    References
        He et al. 2015 (arXiv 1502.01852); Klambauer et al. 2017; Poole et al. 2016; Schoenholz et al. 2017.
    """
    if evidence.structure.trained:
        return Silence("not_applicable", "the weights have been trained, so no law of theirs is to be judged")
    found = evidence.structure.mean_field
    if found is None:
        return _untold(evidence)
    measured = evidence.gain.rate if evidence.gain is not None else found.predicted
    if abs(found.predicted) < note or found.predicted * measured < 0 or abs(measured) < note:
        return CLEAR
    return Observation(
        f"Over {found.layers} layers the weights' variances change the squared gradient by a factor of "
        f"e^{found.predicted:.1f} (e^±{note:g} is the limit): {_told(evidence, found)}.",
        Severity.INFO,
        (Place(node=found.node, origin=found.origin, measured=found.variance, limit=found.critical or 0.0),),
        {"predicted_gain": found.predicted, "variance": found.variance, "layers": found.layers},
    )


def _untold(evidence: Evidence) -> Silence:
    """Return why theory expects nothing of the variances alone."""
    if evidence.structure.layers < 3:  # noqa: PLR2004  a first one, a head, and one between
        return Silence("not_applicable", "fewer than three weight layers stand one behind the other")
    if evidence.joins:
        return Silence("not_applicable", "skips set the scale anew")
    if evidence.gain is not None and any(segment.normed for segment in evidence.gain.segments):
        return Silence("not_applicable", "norms set the scale anew")
    return Silence("not_applicable", "the network is no plain chain of layers and activations that theory knows")


def _told(evidence: Evidence, found: MeanField) -> str:
    behind = f"behind {found.activation}" if found.activation else "with no activation before it"
    needed = f"{found.critical:.3g} is" if found.critical is not None else "no usable number is"
    return (
        f"variance times fan-in is {found.variance:.3g} in {evidence.called(found.node)}, {behind}, where {needed} "
        "what keeps a gradient's size"
    )
