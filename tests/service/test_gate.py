"""The gate's arithmetic: severities, waivers and days decide, nothing else."""

from collections.abc import Mapping
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import ValidationError

from service.contract.gate import Outcome, WaiverStatus
from service.contract.policy import Policy, Waiver
from service.contract.redraws import Draw, Redraws, Seeds
from service.contract.report import Place, Report
from service.contract.words import Severity, Verdict
from service.gate import judge
from service.majority import decided
from tests.service.samples import finding, report

ERROR, WARNING = Severity.ERROR, Severity.WARNING
TODAY = date(2026, 11, 21)


def waiver(rule: str = "GRD01", target: str = "*", until: date = TODAY) -> Waiver:
    """A waiver that holds today."""
    return Waiver(rule=rule, target=target, reason="known", owner="me", until=until)


@pytest.mark.parametrize("severity", list(Severity))
@pytest.mark.parametrize("fail_on", list(Severity))
def test_a_gate_fails_on_its_severity_and_above(severity: Severity, fail_on: Severity) -> None:
    order = [Severity.INFO, Severity.WARNING, Severity.ERROR]
    result = judge(report(finding(severity=severity)), Policy(fail_on=fail_on), TODAY)
    fails = order.index(severity) >= order.index(fail_on)
    expected = Verdict.FAIL if fails else Verdict.PASS if severity is Severity.INFO else Verdict.WARN
    assert result.verdict is expected


def test_nothing_found_passes() -> None:
    result = judge(report(verdict=Verdict.PASS).model_copy(update={"findings": ()}), Policy(), TODAY)
    assert (result.verdict, result.summary) == (Verdict.PASS, "The gate is open: nothing found.")


def test_a_policy_changes_what_a_rule_counts_for() -> None:
    policy = Policy.model_validate({"rules": {"GRD01": {"level": "warning"}}})
    result = judge(report(finding()), policy, TODAY)
    assert result.verdict is Verdict.WARN
    assert result.findings[0].severity is Severity.WARNING
    assert "the report says error" in result.findings[0].reason
    off = judge(report(finding()), Policy.model_validate({"rules": {"GRD01": {"level": "off"}}}), TODAY)
    assert (off.verdict, off.findings[0].outcome) == (Verdict.PASS, Outcome.OFF)


def test_a_waiver_holds_through_its_last_day_and_not_a_day_longer() -> None:
    policy = Policy(waivers=(waiver(),))
    assert judge(report(finding()), policy, TODAY).verdict is Verdict.PASS
    late = judge(report(finding()), policy, TODAY + timedelta(days=1))
    assert late.verdict is Verdict.FAIL
    assert late.waivers[0].status is WaiverStatus.EXPIRED
    assert "count again" in late.warnings[0]


def test_a_waiver_of_some_places_leaves_the_others() -> None:
    result = judge(report(finding()), Policy(waivers=(waiver(target="layers/[0-3]"),)), TODAY)
    assert result.verdict is Verdict.FAIL
    assert result.findings[0].places == ('layers/4 "fc4" (dense)',)
    assert result.findings[0].waived == tuple(f'layers/{i} "fc{i}" (dense)' for i in range(4))


def test_two_waivers_may_cover_a_finding_together() -> None:
    policy = Policy(waivers=(waiver(target="layers/[0-3]"), waiver(target="layers/4")))
    assert judge(report(finding()), policy, TODAY).findings[0].outcome is Outcome.WAIVED


def test_a_waiver_finds_a_place_by_the_name_of_its_layer() -> None:
    policy = Policy(waivers=(waiver(target='*"fc?"*'),))
    assert judge(report(finding()), policy, TODAY).findings[0].outcome is Outcome.WAIVED


@pytest.mark.parametrize("origin", [None, "layers/0/layers/0 (dense), 2 of 8", 'layers/3 "fc[1]" (dense)'])
def test_a_place_that_the_gate_names_can_be_waived_by_that_name(origin: str | None) -> None:
    place = Place(node="layers/0[1]/layers/0", origin=origin, measured=0.1, limit=1)
    found = report(finding().model_copy(update={"places": (place,)}))
    (named,) = judge(found, Policy(), TODAY).findings[0].places
    assert named == (origin or place.node)
    assert judge(found, Policy(waivers=(waiver(target=named),)), TODAY).findings[0].outcome is Outcome.WAIVED


def test_a_waiver_that_covers_nothing_warns() -> None:
    policy = Policy(waivers=(waiver(target="nowhere"),))
    result = judge(report(finding(severity=Severity.INFO)), policy, TODAY)
    assert result.verdict is Verdict.WARN
    assert result.waivers[0].status is WaiverStatus.UNUSED


def test_a_rule_that_nobody_knows_warns() -> None:
    policy = Policy.model_validate({"rules": {"GDR01": {"level": "off"}}})
    result = judge(report(finding()), policy, TODAY)
    assert result.verdict is Verdict.FAIL
    assert "'GDR01'" in result.warnings[0]


def test_a_forward_pass_that_disagrees_warns() -> None:
    sound = report(finding(severity=Severity.INFO))
    doubtful = sound.model_copy(update={"fidelity": sound.fidelity.model_copy(update={"ok": False})})
    assert judge(sound, Policy(), TODAY).verdict is Verdict.PASS
    assert judge(doubtful, Policy(), TODAY).verdict is Verdict.WARN


def test_a_finding_without_places_is_waived_as_a_whole_only() -> None:
    bare = report(finding(places=0))
    assert judge(bare, Policy(waivers=(waiver(),)), TODAY).verdict is Verdict.PASS
    assert judge(bare, Policy(waivers=(waiver(target="layers/*"),)), TODAY).verdict is Verdict.FAIL


def test_what_fails_comes_first() -> None:
    result = judge(report(finding("AAA01", Severity.INFO), finding("ZZZ01")), Policy(), TODAY)
    assert [one.code for one in result.findings] == ["ZZZ01", "AAA01"]
    assert result.summary == "The gate is shut: 1 against the policy (ZZZ01)."


def drawn(*draws: Mapping[str, Severity]) -> Report:
    """A report of several draws, as a worker tells it."""
    weights = decided(draws)
    found = [
        finding(code, severity).model_copy(
            update={"seeds": Seeds(of=len(draws), showing=sum(code in draw for draw in draws))}
        )
        for code, severity in weights.items()
    ]
    told = tuple(Draw(seed=seed, verdict=Verdict.WARN, codes=dict(codes)) for seed, codes in enumerate(draws))
    return report(*found, redraws=Redraws(draws=told, spread={}))


A_OFF = {"rules": {"A": {"level": "off"}}}


@pytest.mark.parametrize(
    ("draws", "policy", "expected"),
    [
        (({"A": ERROR}, {"B": ERROR}, {}), {}, Verdict.FAIL),
        (({"A": ERROR}, {"B": ERROR}, {}), A_OFF, Verdict.WARN),  # what is left fails one draw of three
        (({"A": ERROR}, {"A": ERROR, "C": ERROR}, {"B": ERROR}), A_OFF, Verdict.FAIL),  # and here two, by B and C
        (({"A": ERROR}, {"A": ERROR}, {"B": ERROR}), A_OFF, Verdict.WARN),
        (({"A": ERROR}, {}, {}), {}, Verdict.WARN),
        (({"A": ERROR}, {}, {}), {"fail_on": "warning"}, Verdict.FAIL),
        (({"A": WARNING}, {"A": WARNING}, {}), {"rules": {"A": {"level": "error"}}}, Verdict.FAIL),
        (({"A": WARNING}, {}, {}), {"rules": {"A": {"level": "error"}}}, Verdict.WARN),
        (({"A": ERROR}, {"A": ERROR}, {}), {"rules": {"A": {"level": "info"}}}, Verdict.PASS),
    ],
)
def test_a_policy_judges_each_draw_and_most_decide(
    draws: tuple[dict[str, Severity], ...], policy: dict[str, object], expected: Verdict
) -> None:
    result = judge(drawn(*draws), Policy.model_validate(policy), TODAY)
    assert result.verdict is expected


def test_a_finding_that_few_draws_show_says_why_it_counts_less() -> None:
    policy = Policy.model_validate({"rules": {"A": {"level": "error"}}})
    (one,) = judge(drawn({"A": WARNING}, {}, {}), policy, TODAY).findings
    assert one.severity is WARNING
    assert "in 1 of 3 draws" in one.reason


def test_a_draw_without_time_is_no_draw() -> None:
    told = drawn({"A": ERROR}, {}, {})
    late = [draw.model_copy(update={"verdict": None} if draw.seed else {}) for draw in told.redraws.draws]  # type: ignore[union-attr]
    one = told.model_copy(update={"redraws": Redraws(draws=tuple(late), spread={})})
    assert judge(one, Policy(), TODAY).verdict is Verdict.FAIL


shown = some.dictionaries(some.sampled_from("ABC"), some.sampled_from(list(Severity)))


@given(some.lists(shown, min_size=1, max_size=5))
def test_the_default_policy_says_what_the_report_says(draws: list[dict[str, Severity]]) -> None:
    weights = decided(draws)
    result = judge(drawn(*draws).model_copy(update={} if weights else {"findings": ()}), Policy(), TODAY)
    assert {one.code: one.severity for one in result.findings} == weights


def test_a_waiver_is_at_most_half_a_year_long() -> None:
    with pytest.raises(ValidationError, match="latest allowed day"):
        Policy(waivers=(waiver(until=date(2100, 1, 1)),))
