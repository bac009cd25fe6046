"""What a report says to people, and that a hostile name in a model stays a name."""

import json
import math
import re
import unicodedata
import xml.etree.ElementTree as ET
from datetime import date
from html.parser import HTMLParser
from typing import Any

import pytest

from service.contract.policy import Policy
from service.contract.profile import GradientProfile, ProfileRow
from service.contract.redraws import Draw, Redraws, Seeds, Spread
from service.contract.report import Finding, Place, Report, Trial
from service.contract.words import Severity, Symptom, Verdict
from service.gate import judge
from service.present import chart, choose, formats, numbers, remedies, words
from service.present.markdown import prose
from tests.service.samples import finding, report, row

PEOPLE = ("text", "markdown", "html")
FAIL = Verdict.FAIL
HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)>\"'> @everyone [click](http://evil.test) `x` | **b** "
    "\x1b[31mred\x1b[0m \x00\r\n# head \u202egnp.exe www.evil.test {{7*7}}"
)


def hostile() -> Report:
    """A report whose every name is an attack."""
    place = Place(node=HOSTILE, origin=HOSTILE, parameter=HOSTILE, measured=math.nan, limit=1)
    found = Finding(
        code="GRD01",
        symptom=Symptom.NON_FINITE,
        severity=Severity.ERROR,
        title=HOSTILE,
        explanation=HOSTILE,
        places=(place,) * 20,
        confidence=1,
        docs="/v1/rules/GRD01",
    )
    rows = tuple(
        row(index).model_copy(update={"node": HOSTILE, "origin": HOSTILE, "op": HOSTILE}) for index in range(3)
    )
    base = report(found, summary=HOSTILE, profile=rows)
    model = base.model.model_copy(update={"notes": (HOSTILE,)})
    remedy = base.remedies[0].model_copy(
        update={"title": HOSTILE, "changes": (HOSTILE,), "patch": ({"op": "replace", "path": HOSTILE},)}
    )
    prescription = base.prescription.model_copy(update={"title": HOSTILE}) if base.prescription else None
    return base.model_copy(update={"model": model, "remedies": (remedy,), "prescription": prescription})


class Page(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        """Read `page`."""
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.said = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in {"meta", "br", "!doctype"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Hold the end to its start."""
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag without content."""
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        """Collect text."""
        self.said += data


@pytest.mark.parametrize("name", PEOPLE)
def test_a_report_says_verdict_summary_places_and_what_helped(name: str) -> None:
    written = formats[name].render(report(), None)
    said = Page(written).said if name == "html" else written
    flat = " ".join(said.split())
    for part in (
        "fail",
        "The first five layers will hardly learn",
        "GRD01",
        'layers/0 "fc0" (dense)',
        "2.4e-7",
        "Use ReLU in place of Sigmoid",
        "recommended",
        "ineffective",
        "0.31",
        "2.303",
        "3 rules: 1 fired, 1 found nothing, 1 did not apply.",
        "one was drawn from a standard normal law",
        "train from the start",
    ):
        assert part.lower() in flat.lower(), part


@pytest.mark.parametrize("name", sorted(formats))
def test_an_empty_report_can_be_written(name: str) -> None:
    empty = report(verdict=Verdict.PASS).model_copy(
        update={"findings": (), "remedies": (), "prescription": None, "profile": (), "training": None, "coverage": ()}
    )
    written = formats[name].render(empty, judge(empty, Policy(), report().created_at.date()))
    assert "pass" in written.lower() if name in PEOPLE else written


@pytest.mark.parametrize("name", PEOPLE)
def test_no_control_character_survives(name: str) -> None:
    written = formats[name].render(hostile(), judge(hostile(), Policy(), report().created_at.date()))
    odd = {one for one in written if unicodedata.category(one)[0] == "C"} - {"\n"}
    assert odd == set()


def test_text_keeps_to_its_width() -> None:
    for one in (report(), hostile()):
        assert max(map(len, formats["text"].render(one, None).splitlines())) <= 92


def test_a_page_holds_no_script_no_handler_and_nothing_from_elsewhere() -> None:
    page = Page(formats["html"].render(hostile(), judge(hostile(), Policy(), report().created_at.date())))
    assert page.open == []
    assert not {"script", "img", "iframe", "object", "link", "form", "base"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    links = [value or "" for name, value in page.attributes if name in {"href", "src"}]
    assert all(link.startswith("/v1/") for link in links)
    assert "<script>alert(1)</script>" in page.said
    assert "{{7*7}}" in page.said


def test_markdown_makes_no_markup_mention_or_link_of_a_name() -> None:
    written = formats["markdown"].render(hostile(), None)
    outside = re.sub(r"`[^`\n]*`", "", written.replace("\\`", ""))
    assert "<script" not in outside
    assert "<img" not in outside
    assert "@everyone" not in outside
    assert "http://" not in outside
    assert not re.search(r"(?<!\\)\[click", outside)
    tables = [line for line in written.splitlines() if line.startswith("|")]
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in tables}
    assert widths == {4, 5}


def test_markdown_escapes_what_would_begin_a_list_as_markdown_reads_it() -> None:
    assert prose("1. one") == "1\\. one"
    assert prose("0.1.0") == "0\\.1.0"
    assert prose("3 draws") == "3 draws"


def test_the_picture_is_well_formed_and_has_a_dot_per_layer() -> None:
    for one in (report(), hostile()):
        picture = ET.fromstring(chart.gradients(one))  # noqa: S314  our own picture
        dots = [node for node in picture.iter() if node.tag.endswith("circle")]
        assert len(dots) == len({row.origin for row in one.profile})
    assert chart.gradients(report(profile=())) == ""


def test_the_picture_puts_a_dot_where_the_logarithm_is() -> None:
    shares = (1e-10, 1e-5, 1.0)
    rows = tuple(
        row(at).model_copy(update={"gradient": GradientProfile(rms=1, relative=share, nonfinite=0)})
        for at, share in enumerate(shares)
    )
    picture = ET.fromstring(chart.gradients(report(profile=rows)))  # noqa: S314  our own picture
    left, middle, right = (float(node.get("cx", "")) for node in picture.iter() if node.tag.endswith("circle"))
    assert middle == pytest.approx((left + right) / 2, abs=0.1)


def test_a_deep_network_stays_readable() -> None:
    deep = report(profile=tuple(operator(11 - index % 12) for index in range(1000)))
    assert len(formats["text"].render(deep, None).splitlines()) < 90
    assert len(formats["html"].render(deep, None)) < 1_500_000
    assert "24 of 1\N{NO-BREAK SPACE}000 places" in formats["text"].render(deep, None)


def operator(index: int, **changes: Any) -> ProfileRow:  # noqa: ANN401
    """A row of a file that holds operators, not layers."""
    return row(index).model_copy(update={"origin": None, **changes})


def test_a_place_beyond_every_scale_can_be_ranked() -> None:
    places = tuple(Place(node="n", measured=value, limit=1e300) for value in (5e-324, -1e308, 0.0, math.nan))
    assert len(words.worst(finding().model_copy(update={"places": places}), 9)) == 1


def test_the_worst_places_come_first() -> None:
    places = tuple(
        Place(node=name, measured=measured, limit=1.0)
        for name, measured in (("near", 2.0), ("broken", math.inf), ("far", 1e9), ("small", 1e-3))
    )
    worst = words.worst(finding().model_copy(update={"places": places}))
    assert [place.node for place in worst] == ["broken", "far", "small"]


def test_operators_of_one_layer_are_one_place_the_worst() -> None:
    query, key, other = (
        Place(node=f"attn.{role}", origin=f'layers/{at} "attn" (self_attention)', measured=measured, limit=1.0)
        for role, at, measured in (("query", 1, 9.0), ("key", 1, 99.0), ("key", 2, 2.0))
    )
    found = finding().model_copy(update={"places": (query, key, other)})
    assert list(words.worst(found)) == [key, other]
    assert words.beyond(found, 1) == 1
    rows = tuple(operator(at, origin='layers/0 "attn" (self_attention)') for at in (3, 1, 2))
    assert [one.node for one, _ in words.layers(report(profile=rows))] == ["layers/1"]


@pytest.mark.parametrize(
    ("origin", "parameter", "said"),
    [
        ('layers/1 "attn" (self_attention)', "attn.query.kernel", 'layers/1 "attn" (self_attention), query.kernel'),
        ('layers/1 "a.b" (dense)', "a.b.kernel", 'layers/1 "a.b" (dense), kernel'),
        ("layers/0/layers/2 (dense), 3 of 6", "layers/0[2]/layers/2.bias", "layers/0/layers/2 (dense), 3 of 6, bias"),
        (None, "encoder.0.weight", "node, encoder.0.weight"),
        ("encoder.0 (Linear)", "encoder.0.weight", "encoder.0 (Linear), weight"),
    ],
)
def test_a_weight_is_called_by_its_role_in_its_layer(origin: str | None, parameter: str, said: str) -> None:
    assert words.where(Place(node="node", origin=origin, parameter=parameter, measured=0, limit=0)) == said


@pytest.mark.parametrize(
    ("most", "said"),
    [
        (60, 'layers/1/layers/0/layers/1 "attn" (self_attention), 1 of 6'),
        (46, '…/0/layers/1 "attn" (self_attention), 1 of 6'),
        (36, '…/1 "attn" (self_attention), 1 of 6'),
        (33, '"attn" (self_attention), 1 of 6'),
        (20, '"attn" (self_attent…'),
    ],
)
def test_a_layer_keeps_the_end_of_its_path_where_room_is_short(most: int, said: str) -> None:
    assert words.fitted('layers/1/layers/0/layers/1 "attn" (self_attention), 1 of 6', most) == said
    assert len(said) <= most
    assert words.fitted("/model/layers.3/attn/MatMul, weight", 12) == "/model/laye…"


def drawn(*verdicts: Verdict | None) -> Report:
    """A report of several draws, the gain of which is -50, -49 …"""
    draws = tuple(
        Draw(
            seed=seed,
            verdict=verdict,
            codes={"GRD01": Severity.ERROR} if verdict is Verdict.FAIL else {},
            measures={"gain": seed - 50.0} if verdict else {},
            note="" if verdict else "There was no time to measure it.",
        )
        for seed, verdict in enumerate(verdicts)
    )
    spread = {"gain": Spread(lowest=-50, median=-49, highest=-48, standard_error=0.577)}
    return report(redraws=Redraws(draws=draws, spread=spread))


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ((FAIL, FAIL, Verdict.WARN), "3 draws: 2 fail, 1 warns; gradient gain (ln) -50 … -48."),
        ((Verdict.PASS,) * 3, "3 draws: all pass; gradient gain (ln) -50 … -48."),
        ((FAIL, None, None), "3 draws: 1 fails, 2 not measured for lack of time; gradient gain (ln) -50 … -48."),
    ],
)
@pytest.mark.parametrize("name", PEOPLE)
def test_people_read_what_the_draws_came_to(name: str, verdicts: tuple[Verdict | None, ...], said: str) -> None:
    written = formats[name].render(drawn(*verdicts), None)
    flat = " ".join((Page(written).said if name == "html" else written).split())
    assert said in flat
    assert ("Seeds 1, 2: there was no time to measure it." in flat) == (None in verdicts)


@pytest.mark.parametrize("name", PEOPLE)
def test_a_report_of_one_draw_speaks_of_none(name: str) -> None:
    assert "draws" not in formats[name].render(report(), None)


def test_a_finding_that_some_draws_show_says_how_many() -> None:
    some = finding().model_copy(update={"seeds": Seeds(of=3, showing=2)})
    assert words.weight(some) == "error, in 2 of 3 draws, 97% sure"
    for name in ("sarif", "junit"):
        assert "It shows in 2 of 3 draws." in formats[name].render(report(some), None)
    assert words.weight(some.model_copy(update={"seeds": Seeds(of=3, showing=3)})) == "error, 97% sure"


def test_among_many_places_the_weakest_of_each_neighbourhood_is_shown() -> None:
    rows = tuple(
        operator(11, node=str(index), gradient=GradientProfile(rms=1, relative=1 / (1 + index % 10), nonfinite=0))
        for index in range(100)
    )
    picked = words.gradients(report(profile=rows), 10)
    assert [one.node for one, _ in picked] == [str(10 * index + 9) for index in range(10)]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "0"),
        (1.0, "1"),
        (2.30258, "2.303"),
        (0.0312, "0.0312"),
        (1.5e-7, "1.5e-7"),
        (123456.0, "1.2e5"),
        (-0.5, "-0.5"),
        (math.nan, "not a number"),
        (math.inf, "infinite"),
        (-math.inf, "minus infinite"),
        (None, "n/a"),
    ],
)
def test_numbers_read_well(value: float | None, said: str) -> None:
    assert numbers.number(value) == said


def test_a_sparkline_shows_rise_fall_and_what_is_not_finite() -> None:
    assert numbers.sparkline([0, 1, 0]) == "▁█▁"
    assert numbers.sparkline([math.nan, 2, 2, math.inf]) == "×▁▁×"
    assert numbers.sparkline([]) == ""
    assert len(numbers.sparkline(list(range(1000)))) == 48


def test_a_bar_is_full_at_one_and_empty_at_1e_8() -> None:
    assert numbers.bar(1.0, 4) == "████"
    assert numbers.bar(1e-4, 4) == "██  "
    assert numbers.bar(1e-8, 4) == numbers.bar(0.0, 4) == "    "
    assert numbers.bar(math.nan, 4) == "××××"


def test_accept_headers_are_weighed() -> None:
    assert choose(None, "text/html;q=0.1, application/json;q=0.9").name == "json"
    assert choose(None, "application/*").name == "json"
    assert choose(None, "text/plain;q=nonsense, */*").name == "json"
    assert choose("markdown", "text/html").name == "markdown"


def sarif(one: Report, policy: Policy, source: str = "models/my net.onnx") -> dict[str, Any]:
    """The only run of the report as SARIF."""
    gate = judge(one, policy, date(2026, 11, 21))
    log: dict[str, Any] = json.loads(formats["sarif"].render(one, gate, source))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    found: dict[str, Any] = run
    return found


def test_sarif_has_a_result_per_finding_at_a_file_and_its_layers() -> None:
    run = sarif(report(finding(), finding("DEA01", Severity.WARNING, places=0)), Policy())
    first, second = run["results"]
    assert (first["ruleId"], first["level"]) == ("GRD01", "error")
    assert (second["ruleId"], second["level"]) == ("DEA01", "warning")
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    (location,) = first["locations"]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == "models/my%20net.onnx"
    assert location["physicalLocation"]["region"] == {"startLine": 1}
    assert [one["fullyQualifiedName"] for one in location["logicalLocations"]] == [f"/layers/{i}" for i in range(5)]


def test_sarif_points_to_a_node_where_the_file_holds_no_layers() -> None:
    place = Place(node="Gemm_3", measured=1, limit=0)
    (result,) = sarif(report(finding().model_copy(update={"places": (place,)})), Policy())["results"]
    (where,) = result["locations"][0]["logicalLocations"]
    assert (where["fullyQualifiedName"], where["kind"]) == ("Gemm_3", "module")


def test_a_waiver_is_a_suppression_of_the_places_that_it_covers() -> None:
    waiver = {"rule": "GRD01", "target": "layers/[0-2]", "reason": "known", "owner": "me", "until": "2026-11-30"}
    live, excused = sarif(report(), Policy.model_validate({"waivers": [waiver]}))["results"]
    assert "suppressions" not in live
    assert len(live["locations"][0]["logicalLocations"]) == 2
    assert excused["suppressions"][0]["status"] == "accepted"
    assert len(excused["locations"][0]["logicalLocations"]) == 3


def test_a_finding_keeps_its_fingerprint_when_its_numbers_change() -> None:
    prints = {
        sarif(report(finding(places=places)), Policy())["results"][0]["partialFingerprints"]["gradgate/v1"]
        for places in (1, 5)
    }
    assert len(prints) == 1


@pytest.mark.parametrize(
    ("severity", "policy", "failures", "skipped"),
    [
        (Severity.ERROR, {}, 1, 1),
        (Severity.WARNING, {}, 0, 1),
        (Severity.WARNING, {"fail_on": "warning"}, 1, 1),
        (Severity.ERROR, {"rules": {"GRD01": {"level": "off"}}}, 0, 2),
    ],
)
def test_junit_fails_what_shuts_the_gate(
    severity: Severity, policy: dict[str, object], failures: int, skipped: int
) -> None:
    one = report(finding(severity=severity))
    gate = judge(one, Policy.model_validate(policy), date(2026, 11, 21))
    suite = ET.fromstring(formats["junit"].render(one, gate, "m.onnx").encode()).find("testsuite")  # noqa: S314  ours
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", str(failures), str(skipped))
    assert len(suite.findall("testcase/failure")) == failures
    assert len(suite.findall("testcase/skipped")) == skipped


def test_machine_formats_take_hostile_names() -> None:
    gate = judge(hostile(), Policy(), date(2026, 11, 21))
    cases = ET.fromstring(formats["junit"].render(hostile(), gate, HOSTILE).encode())  # noqa: S314  ours
    assert [case.tag for case in cases.iter()].count("script") == 0
    assert json.loads(formats["sarif"].render(hostile(), gate, HOSTILE))["runs"][0]["results"]
    assert json.loads(formats["json"].render(hostile(), gate))["findings"][0]["title"] == HOSTILE


def test_of_a_trial_only_what_moved_is_shown() -> None:
    before = {"a": 1.0, "b": 0.0, "c": 2.0, "d": 5.0}
    trial = Trial(before=before, after={"a": 1.0, "b": 4e-4, "c": 1.0, "d": math.nan}, seeds=1, steps=1)
    assert list(remedies.changes(trial)) == [("d", "5", "not a number"), ("c", "2", "1"), ("b", "0", "4.0e-4")]
    still = Trial(before=before, after=before, seeds=1, steps=1)
    assert list(remedies.changes(still)) == [("a", "1", "1")]
