"""Tells where a learning rate would not fit the same network at another width."""

from service.contract.report import Place
from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, Answer, Observation, Silence, absent, among, rule


@rule("WID01", Symptom.UNSTABLE_LEARNING_RATE, order=50, aliases=["coordinate check", "muP"])
def width_trend(evidence: Evidence, *, slope: float = 0.15) -> Answer:
    """The first steps move hidden layers more, or less, the wider the network is.

    What it measures
        The described network at one, two and four times its hidden widths, five steps of the optimizer each: the slope
        of ln of how far a hidden layer's output moves against ln of the width.  Beyond 0.15 either way it counts.
        Measured in deep examinations.

    Why it matters
        A learning rate that is tuned on a narrow network serves a wider one only where the slope is 0.

    When it is wrong
        It is no fault of a network whose width is settled: usual initializations under Adam have a slope of 1.  One
        draw of a narrow network scatters the slope.  It is a note, never more.

    References
        Yang et al. 2022 (arXiv 2203.03466): coordinate checks.
    """
    if evidence.deep is None:
        return absent(evidence, "widths are varied in deep examinations only")
    trends = evidence.deep.widths
    if not trends:
        return Silence("not_applicable", evidence.unmeasured.get("widths", "there is no hidden layer"))
    beyond = [trend for trend in trends if abs(trend.slope) > slope]
    if not beyond:
        return CLEAR
    worst = max(beyond, key=lambda trend: abs(trend.slope))
    return Observation(
        f"{among(len(beyond), len(trends), 'hidden layers', 'moves', 'move')} differently as the network grows wider, "
        f"{evidence.called(worst.node)} most: at twice the width {2**worst.slope:.2g} times as far in the first steps "
        f"(a slope of {worst.slope:+.2f}; ±{slope:g} is none). A learning rate tuned at one width is for that one.",
        Severity.INFO,
        tuple(
            Place(node=each.node, origin=each.origin, measured=each.slope, limit=slope)
            for each in dict.fromkeys((beyond[0], worst))
        ),
        {"largest_slope": worst.slope},
    )
