"""The tables of the labelled benchmark, as plain cells; in text for a terminal."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.diagnosis.peers import PEERS
from benchmarks.diagnosis.score import (
    Detection,
    Rate,
    Row,
    best_rules,
    by_peer,
    detection,
    flagged,
    named,
    named_first,
    precision,
    rate,
    recall,
    rejected,
    rejection,
    scored,
    told_symptoms,
)

HALVES: Final = ("tuning", "held-out")
_DETECTION: Final = ("models", "sick found", "false alarms", "balanced accuracy")
_GRADES: Final = ("healthy", "mild", "borderline", "moderate", "severe")


@dataclass(frozen=True)
class Table:
    """A title, a sentence on how to read it, and cells."""

    title: str
    note: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def tables(rows: Sequence[Row]) -> Iterator[Table]:
    """Yield every table that these rows have anything to say in."""
    yield verdicts(rows)
    yield symptoms(rows)
    yield families(rows)
    yield grades(rows)
    with_peers = [row for row in rows if "peers" in row]
    if with_peers:
        yield peers(with_peers)
        yield peers_rules(with_peers)


def verdicts(rows: Sequence[Row]) -> Table:
    """Return how well verdicts part sick models from healthy ones, and rejections the untrainable from the healthy."""
    made = []
    for half in _halves(rows):
        own = scored(rows, half)
        hard = [row for row in own if row["hard"]]
        made += [
            (half, "warned of or rejected", *_detected(detection(own))),
            (half, "the same, hard cases alone", *_detected(detection(hard))),
            (half, "rejected, of those that nothing teaches", *_detected(rejection(own))),
        ]
    note = (
        "Rates with 95% intervals: Wilson's, and Newcombe's for the balanced accuracy, (TPR + TNR) / 2.  Nothing "
        "teaches a model where most seeds do not beat the best constant prediction under any tuned optimizer."
    )
    return Table("The verdict", note, ("half", "positive", *_DETECTION), made)


def symptoms(rows: Sequence[Row]) -> Table:
    """Return how often the fault is named, over all and by symptom."""
    made = []
    for half in _halves(rows):
        own = scored(rows, half)
        made += [(half, "all", _rate(recall(own)), _rate(recall(own, None, named_first)), _rate(precision(own)))]
        every = sorted({each for row in own for each in (*row["symptoms"], *told_symptoms(row))})
        made += [
            (half, each, _rate(recall(own, each)), _rate(recall(own, each, named_first)), _rate(precision(own, each)))
            for each in every
        ]
    note = (
        "Named: a finding that warns or rejects has one of the symptoms that are right for the model.  Named first: "
        "the first such finding has.  Precision: of such findings of the symptom, those on a model that has it; a "
        "model that nothing teaches has stalled training, too."
    )
    return Table("The symptom", note, ("half", "symptom", "named", "named first", "precision"), made)


def families(rows: Sequence[Row]) -> Table:
    """Return the verdicts family by family."""
    made = []
    for family in sorted({row["family"] for row in rows}):
        own = [row for row in scored(rows) if row["family"] == family]
        found = detection(own)
        seconds = [row["seconds"] for row in own if row.get("seconds")]
        spent = f"{sum(seconds) / len(seconds):.1f}" if seconds else ""
        made.append((family, str(len(own)), _rate(found.sick), _rate(found.healthy), _rate(recall(own)), spent))
    header = ("family", "models", "sick found", "false alarms", "named", "seconds each")
    return Table("By family", "Both halves that were run.", header, made)


def grades(rows: Sequence[Row]) -> Table:
    """Return what is said of each grade of severity, those that are not scored with them."""
    made = []
    for grade in _GRADES:
        own = [row for row in rows if row["severity"] == grade]
        if own:
            made.append((grade, str(len(own)), _rate(rate(own, flagged)), _rate(rate(own, rejected))))
    note = "A borderline model, by construction or because training disagrees with it, is not scored."
    return Table("By severity", note, ("severity", "models", "warned of or rejected", "rejected"), made)


def peers(rows: Sequence[Row]) -> Table:
    """Return the peers on the same models: any rule, and the rules that do best on the tuning half."""
    made = []
    for half in _halves(rows):
        own = scored(rows, half)
        made.append((half, "Gradgate", *_detected(detection(own)), _rate(recall(own))))
        for peer in PEERS:
            made.append(_peer(half, own, peer.name, "any rule", by_peer(peer.name)))
            best = best_rules(scored(rows, "tuning"), peer.name, [rule.name for rule in peer.rules])
            if best:
                made.append(_peer(half, own, peer.name, f"best: {', '.join(best)}", by_peer(peer.name, best)))
    note = (
        "Each peer judges a run of 100 steps of ordinary training, the declared optimizer's or Adam's at 1e-3.  `best` "
        "keeps those of its rules, chosen on the tuning half's labels, that reach the highest balanced accuracy there."
    )
    return Table("Published rules on the same models", note, ("half", "tool", *_DETECTION, "named"), made)


def peers_rules(rows: Sequence[Row]) -> Table:
    """Return every rule of every peer by itself."""
    own = scored(rows)
    made = []
    for peer in PEERS:
        for rule in peer.rules:
            found = detection(own, by_peer(peer.name, [rule.name]))
            made.append((peer.name, rule.name, _rate(found.sick), _rate(found.healthy), f"{found.balanced:.3f}"))
    header = ("tool", "rule", "sick found", "false alarms", "balanced accuracy")
    return Table("Each published rule by itself", "All scored models that were run.", header, made)


def misses(rows: Sequence[Row]) -> list[Row]:
    """Return the sick models that no verdict tells of."""
    return [row for row in rows if row["sick"] and not flagged(row)]


def false_alarms(rows: Sequence[Row]) -> list[Row]:
    """Return the healthy models that a verdict warns of."""
    return [row for row in rows if not row["sick"] and flagged(row)]


def misnamed(rows: Sequence[Row]) -> list[Row]:
    """Return the sick models that are told of by a wrong name."""
    return [row for row in rows if row["sick"] and flagged(row) and not named(row)]


def codes(row: Row) -> str:
    """Return a row's findings: a code each, and what it weighs."""
    return ", ".join(f"{code} {severity}" for code, _, severity in row["findings"]) or "no finding"


def in_text(rows: Sequence[Row]) -> str:
    """Return all tables for a terminal; models are named for the tuning half alone."""
    own = scored(rows, "tuning")
    named_lists = (("MISSES", misses(own)), ("FALSE ALARMS", false_alarms(own)), ("WRONG NAME", misnamed(own)))
    lists = [f"{title} (tuning half)\n" + "\n".join(map(_line, listed)) for title, listed in named_lists if listed]
    return "\n\n".join([*map(_text, tables(rows)), *lists])


def _line(row: Row) -> str:
    wanted = " or ".join(row["symptoms"])
    return f"  {row['name']}: {row['verdict']} ({codes(row)})" + (f"; it is {wanted}" if wanted else "")


def _text(table: Table) -> str:
    lines = [table.header, *table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.header))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([table.title.upper(), *shown])


def _halves(rows: Sequence[Row]) -> list[str]:
    return [half for half in HALVES if any(row["half"] == half for row in rows)]


def _peer(half: str, rows: Sequence[Row], name: str, which: str, told: Callable[[Row], bool]) -> tuple[str, ...]:
    symptoms_of = {peer.name: peer.symptoms for peer in PEERS}[name]

    def named_by_it(row: Row) -> bool:
        return told(row) and not symptoms_of(row["peers"].get(name, [])).isdisjoint(row["symptoms"])

    found = detection(rows, told)
    return (half, f"{name} ({which})", *_detected(found), _rate(rate((r for r in rows if r["sick"]), named_by_it)))


def _detected(found: Detection) -> tuple[str, ...]:
    if not found.sick.of or not found.healthy.of:
        return str(found.sick.of + found.healthy.of), _rate(found.sick), _rate(found.healthy), ""
    low, high = found.interval
    balanced = f"{found.balanced:.3f} [{low:.3f}, {high:.3f}]"
    return str(found.sick.of + found.healthy.of), _rate(found.sick), _rate(found.healthy), balanced


def _rate(share: Rate) -> str:
    if not share.of:
        return ""
    low, high = share.interval
    return f"{share.hits}/{share.of} = {share.value:.3f} [{low:.3f}, {high:.3f}]"
