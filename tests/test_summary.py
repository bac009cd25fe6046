"""The summary's last sentence: what cures, what comes closest, and what was left untried."""

import pytest

from service.contract.report import Prescription, Remedy
from service.contract.words import RemedyStatus, Verdict
from tests.service.samples import finding, remedy
from worker.summary import summary
from worker.treatments import treatments

NORM, TANH = (f"{treatments[name].title[0].lower()}{treatments[name].title[1:]}" for name in ("layer-norm", "tanh"))
PAIR = Prescription(remedies=("layer-norm", "tanh"), title="", treated_model=False)


def remedies(*statuses: RemedyStatus) -> tuple[Remedy, ...]:
    """A remedy of each status."""
    return tuple(remedy(str(at), status, 0.1) for at, status in enumerate(statuses))


@pytest.mark.parametrize(
    ("prescription", "partial", "told", "end"),
    [
        (
            PAIR,
            None,
            (RemedyStatus.RECOMMENDED, RemedyStatus.UNTESTED),
            f"Tried and found to cure it: {NORM} and {TANH}.",
        ),
        (
            None,
            PAIR.model_copy(update={"remedies": ("tanh",), "leaves": ("GRD01", "TRN02")}),
            (RemedyStatus.WORKS, RemedyStatus.NOT_APPLICABLE),
            f"Nothing that was tried cures it; what comes closest: {TANH}, which leaves GRD01 and TRN02.",
        ),
        (
            None,
            PAIR.model_copy(update={"remedies": ("tanh",)}),
            (RemedyStatus.WORKS, RemedyStatus.UNTESTED),
            f"what comes closest: {TANH}. Time ran out with 1 treatment untried.",
        ),
        (
            None,
            None,
            (RemedyStatus.HARMFUL, RemedyStatus.UNTESTED, RemedyStatus.UNTESTED),
            "first layers. Nothing that was tried cures it. Time ran out with 2 treatments untried.",
        ),
        (None, None, (RemedyStatus.UNTESTED,) * 3, "first layers. Time ran out with 3 treatments untried."),
        (None, None, (RemedyStatus.NOT_APPLICABLE,), "first layers."),
        (None, None, (), "first layers."),
    ],
)
def test_the_summary_ends_with_what_came_of_the_trials(
    prescription: Prescription | None, partial: Prescription | None, told: tuple[RemedyStatus, ...], end: str
) -> None:
    said = summary(Verdict.FAIL, [finding()], prescription, [], partial=partial, remedies=remedies(*told))
    assert said.endswith(end)
