"""What people and machines read of remedies: what is prescribed, how it was verified, what each trial came to."""

import json
import math
import re
import textwrap
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.contract.policy import Policy
from service.contract.report import Control, Prescription, Remedy, Report, Trial
from service.contract.words import RemedyStatus, Severity
from service.gate import judge
from service.present import formats, remedies
from tests.service.samples import finding, remedy, report
from tests.service.test_present import HOSTILE, Page

PEOPLE = ("text", "markdown", "html")
TRIAL = Trial(
    before={"lowest_loss": 1.61, "gain": -50.2},
    after={"lowest_loss": 0.02, "gain": -0.3, "log_loss_gain": 2.773},
    seeds=5,
    steps=20,
    p_value=0.0014,
    bounds=(2.1, 3.4),
    wins=5,
    control=Control(remedies=("leaky-relu",), log_loss_gain=0.02),
)
TORCH = "for name, p in model.named_parameters():\n    if p.ndim > 1:\n        nn.init.orthogonal_(p)"


def one(name: str, status: RemedyStatus = RemedyStatus.WORKS, **changes: object) -> Remedy:
    """A remedy of this name."""
    base = {"treatment": name, "title": f"Use {name}", "trial": TRIAL, "leaves": (), "cures": ("GRD01", "TRN02")}
    return remedy(name, status, 0.3).model_copy(update=base | changes)


def treated(**changes: object) -> Report:
    """A report with everything that trials can say."""
    told = (
        one("selu", RemedyStatus.RECOMMENDED, cost=3, hints={"torch": TORCH, "keras": "keras.utils.clear_session()"}),
        one("tanh", cost=3),
        one("layer-norm", cost=4),
        one("clip-norm", RemedyStatus.INEFFECTIVE, cures=(), leaves=("GRD01", "TRN02")),
        one("batch-norm", RemedyStatus.HARMFUL, cures=(), causes=("NUM01",)),
        one("forget-gate", RemedyStatus.NOT_APPLICABLE, trial=None, note="There is no LSTM."),
        one("gate-bias", RemedyStatus.NOT_APPLICABLE, trial=None, note="There is no LSTM."),
        one("fixup", RemedyStatus.NOT_APPLICABLE, trial=None, note="There is no residual branch."),
        one("warm-up", RemedyStatus.UNTESTED, trial=None, note="The time was up."),
    )
    prescription = Prescription(
        remedies=("selu",),
        title="Use selu",
        explanation="The gradient gain over 28 layers goes from -50.2 to -0.3.",
        trial=TRIAL,
        verified_seeds=5,
        second_batch=True,
        leaves=("INP01",),
        alternatives=(("tanh",), ("tanh", "layer-norm")),
        treated_model=True,
    )
    return report(remedies=told, prescription=prescription).model_copy(update=changes)


def partial() -> Report:
    """A report of what nothing cures."""
    base = treated()
    assert base.prescription is not None
    left = base.prescription.model_copy(update={"leaves": ("TRN02",), "second_batch": None, "verified_seeds": 0})
    return base.model_copy(update={"prescription": None, "partial": left})


def read(name: str, found: Report) -> str:
    """What a person reads, on one line."""
    written = formats[name].render(found, None)
    return " ".join((Page(written).said if name == "html" else written.replace("\\", "")).split())


@pytest.mark.parametrize("name", PEOPLE)
def test_a_prescription_explains_itself_and_says_how_it_was_verified(name: str) -> None:
    said = read(name, treated())
    for part in (
        "The gradient gain over 28 layers goes from -50.2 to -0.3.",
        "Verified once more on 5 fresh seeds and on the second batch.",
        "It leaves INP01.",
        "or: Use tanh (cost 3)",
        "or: Use tanh; Use layer-norm (cost 7)",
    ):
        assert part in said
    assert said.index("The gradient gain over 28") < said.index("Sigmoid becomes Relu")


@pytest.mark.parametrize("name", PEOPLE)
def test_code_keeps_its_lines_and_its_indentation(name: str) -> None:
    written = formats[name].render(treated(), None)
    said = Page(written).said if name == "html" else written
    indented = textwrap.indent(TORCH, "    ") if name == "text" else TORCH
    assert indented in said
    assert "keras.utils.clear_session()" in written


def test_code_in_markdown_is_fenced_by_more_ticks_than_it_holds() -> None:
    odd = one("selu", RemedyStatus.RECOMMENDED, hints={"torch": "a = '````'\n```"})
    written = formats["markdown"].render(treated(remedies=(odd,)), None)
    assert "`````python\na = '````'\n```\n`````" in written


@pytest.mark.parametrize("name", PEOPLE)
def test_where_nothing_cures_what_came_closest_is_shown_as_that(name: str) -> None:
    said = read(name, partial())
    assert "nothing that was tried cures it; what came closest:" in said.lower()
    assert "It leaves TRN02." in said
    assert "Verified" not in said
    assert "what helps" not in said.lower()


@pytest.mark.parametrize("name", ["markdown", "html"])
def test_a_trial_says_its_seeds_its_odds_and_what_chance_does(name: str) -> None:
    said = read(name, treated())
    assert "better in 5 of 5 seeds, p = .001, gain in log loss +2.77 (+2.10 … +3.40), a random change: +0.02" in said


def test_each_trial_is_a_line_of_text() -> None:
    lines = formats["text"].render(treated(), None).splitlines()
    (row,) = [line for line in lines if "Use tanh" in line and "or:" not in line]
    assert row.split() == ["works", "Use", "tanh", "GRD01", "TRN02", "+2.77", "5/5", ".001"]
    (harm,) = [line for line in lines if "Use batch-norm" in line]
    assert "causes NUM01" in harm
    assert any("Random changes gain +0.02." in line for line in lines)


def test_what_does_not_apply_is_one_line_of_text_however_much_it_is() -> None:
    many = tuple(one(f"treatment-{at}", RemedyStatus.NOT_APPLICABLE, trial=None, note="No.") for at in range(60))
    lines = formats["text"].render(treated(remedies=many), None).splitlines()
    (line,) = [line for line in lines if "treatment-" in line]
    assert line.startswith("  does not apply (60): treatment-0, treatment-1, ")


@pytest.mark.parametrize("name", ["markdown", "html"])
def test_what_was_not_tried_is_grouped_by_its_reason(name: str) -> None:
    said = read(name, treated())
    assert said.count("There is no LSTM.") == 1
    assert re.search(r"There is no LSTM\. \(?Use forget-gate; Use gate-bias", said)
    assert re.search(r"The time was up\. \(?Use warm-up", said)


def test_a_sick_model_with_sixty_remedies_stays_readable() -> None:
    many = tuple(one(f"treatment-{at}", RemedyStatus.INEFFECTIVE) for at in range(20))
    far = tuple(one(f"far-{at}", RemedyStatus.NOT_APPLICABLE, trial=None, note="No.") for at in range(40))
    found = treated(remedies=(*treated().remedies, *many, *far))
    assert len(formats["text"].render(found, None).splitlines()) < 110


@pytest.mark.parametrize("name", ["sarif", "junit"])
def test_machines_are_told_what_cures_a_finding_and_not_what_stays(name: str) -> None:
    said = "Tried and found to cure it: Use selu."
    assert said in formats[name].render(treated(), None)
    stays = treated(findings=(finding("INP01"),))
    assert said not in formats[name].render(stays, None)
    assert said not in formats[name].render(treated(findings=(finding(severity=Severity.INFO),)), None)
    assert said not in formats[name].render(partial(), None)


@pytest.mark.parametrize("name", sorted(formats))
def test_a_report_from_before_these_fields_can_be_written(name: str) -> None:
    old = json.loads(report().model_dump_json(by_alias=True))
    del old["partial"], old["passes"]
    for each in old["remedies"]:
        for key in ("note", "cost", "hints", "patch_note"):
            del each[key]
        for key in ("bounds", "wins", "control", "passes"):
            del each["trial"][key]
    for key in ("explanation", "verified_seeds", "second_batch", "leaves", "alternatives"):
        del old["prescription"][key]
    assert formats[name].render(Report.model_validate(old), None)


def test_what_does_not_fit_into_its_column_is_counted() -> None:
    assert remedies.found(one("a", cures=("GRD01", "TRN02")), 12) == "GRD01 TRN02"
    assert remedies.found(one("a", cures=("GRD01", "TRN02", "UNT01")), 12) == "3 findings"
    assert remedies.found(one("a", causes=("NUM01",)), 12) == "causes NUM01"
    assert remedies.found(one("a", causes=("NUM01", "NUM02")), 12) == "causes 2"


@pytest.mark.parametrize(
    ("p", "said"), [(0.0014, ".001"), (0.0002, "<.001"), (1.0, "1.000"), (0.5, ".500"), (None, ""), (math.nan, "")]
)
def test_odds_are_written_as_statisticians_do(p: float | None, said: str) -> None:
    assert remedies.odds(TRIAL.model_copy(update={"p_value": p})) == said


@pytest.mark.parametrize("name", PEOPLE)
def test_nothing_is_said_twice(name: str) -> None:
    base = treated().prescription
    assert base is not None
    told = base.model_copy(update={"explanation": "It held under 5 fresh seeds. It leaves INP01."})
    said = read(name, treated(prescription=told))
    assert "Verified" not in said
    assert said.count("It leaves INP01.") == 1


def test_a_prescription_that_fails_on_the_second_batch_says_so() -> None:
    base = treated().prescription
    assert base is not None
    found = treated(prescription=base.model_copy(update={"second_batch": False, "verified_seeds": 1}))
    assert "Verified once more on 1 fresh seed. It does NOT hold on the second batch." in read("text", found)


odd = st.one_of(st.text(max_size=60), st.sampled_from([HOSTILE, "", "\n", "|", "`", "{{7*7}}", "</pre>", "\u202e"]))
value = st.one_of(st.floats(), st.sampled_from([0.0, math.nan, math.inf, -math.inf]))


@st.composite
def trials(draw: st.DrawFn) -> Trial:
    """A trial that came to anything."""
    return Trial(
        before={"lowest_loss": draw(value)},
        after={"lowest_loss": draw(value), "log_loss_gain": draw(value)},
        seeds=draw(st.integers(0, 10)),
        steps=20,
        p_value=draw(st.one_of(st.none(), value)),
        bounds=draw(st.one_of(st.none(), st.tuples(value, value))),
        wins=draw(st.one_of(st.none(), st.integers(0, 10))),
        control=draw(st.one_of(st.none(), st.builds(Control, remedies=st.just(("x",)), log_loss_gain=value))),
    )


@st.composite
def reports(draw: st.DrawFn) -> Report:
    """A report whose remedies say anything."""
    texts = {key: draw(odd) for key in ("title", "note", "rationale", "patch_note", "treatment")}
    made = {"changes": (draw(odd),), "hints": {"torch": draw(odd), "keras": draw(odd), "else": draw(odd)}}
    status = {"status": draw(st.sampled_from(RemedyStatus)), "causes": (draw(odd),), "trial": draw(trials())}
    found = one("r").model_copy(update=texts | made | status)
    prescription = Prescription(
        remedies=("r", draw(odd)),
        title=draw(odd),
        explanation=draw(odd),
        trial=draw(trials()),
        leaves=(draw(odd),),
        alternatives=((draw(odd), "r"),),
        treated_model=True,
    )
    where = draw(st.sampled_from(["prescription", "partial"]))
    return report(remedies=(found,)).model_copy(update={"prescription": None} | {where: prescription})


@settings(max_examples=30, deadline=None)
@given(found=reports())
def test_odd_words_and_figures_are_written_in_every_format_and_move_nothing(found: Report) -> None:
    for name, form in formats.items():
        written = form.render(found, judge(found, Policy(), found.created_at.date()))
        if name in PEOPLE:
            assert {one for one in written if unicodedata.category(one)[0] == "C"} <= {"\n"}
    page = Page(formats["html"].render(found, None))
    assert page.open == []
    assert not {"script", "img", "iframe"} & set(page.tags)
