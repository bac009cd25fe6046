"""The tables of the benchmark of treatments, as plain cells; in text for a terminal."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import median, quantiles
from typing import Any, Final

from benchmarks.diagnosis.score import Rate
from benchmarks.diagnosis.tables import HALVES, Table

Row = Mapping[str, Any]
STATUSES: Final = ("recommended", "works", "ineffective", "harmful", "not_applicable", "untested")
_SOON_S: Final = 30


def curable(rows: Sequence[Row], half: str = "") -> list[Row]:
    """Return the models that may be cured; of one half where one is named."""
    return [row for row in rows if not row["incurable"] and half in {"", row["half"]}]


def cured(row: Row) -> bool:
    """Whether the prescription cures a model."""
    return bool(row["cure"]["cured"])


def tables(rows: Sequence[Row]) -> Iterator[Table]:
    """Yield every table that these rows have anything to say in."""
    yield shares(rows)
    yield symptoms(rows)
    yield effort(rows)
    with_others = [row for row in rows if "advice" in row]
    if with_others:
        yield advice(with_others)
        yield agreement(with_others)
    yield verdicts(rows)


def shares(rows: Sequence[Row]) -> Table:
    """Return the share that is cured by the prescription, and by each other way of choosing."""
    made = []
    for half in _halves(rows):
        own = curable(rows, half)
        made.append((half, "the prescription", rate(sum(map(cured, own)), len(own))))
        every = sum(cured(row) and row["cure"].get("every", False) for row in own)
        made.append((half, "the prescription, under SGD and Adam alike", rate(every, len(own))))
        others = [row for row in own if "advice" in row]
        made += [(half, name, rate(hits, of)) for name, hits, of in _others(others)]
    note = (
        "Models that may be cured by a change of network or training, with 95% Wilson intervals.  Treatments by chance "
        "are drawn three times per model from all that have something to change: one, or as many as the prescription "
        "has; their draws are counted, and so are not independent.  AutoTrainer's order is that of its "
        "repository; `benchmarks/treatments/autotrainer.py` tells what differs."
    )
    return Table("Cured", note, ("half", "by", "cured"), made)


def _others(rows: Sequence[Row]) -> Iterator[tuple[str, int, int]]:
    """Yield each other way of choosing, with how many of how many it cures."""
    if not rows:
        return
    best = max(rows[0]["advice"], key=lambda name: _advised(rows, name))
    yield f"the best single advice for all: {best}", _advised(rows, best), len(rows)
    for kind, name in (("one", "one treatment by chance"), ("as many", "as many treatments by chance")):
        drawn = [each["cured"] for row in rows for each in row["chance"][kind]]
        yield name, sum(drawn), len(drawn)
    yield "AutoTrainer's order", sum(row["autotrainer"]["cured"] for row in rows), len(rows)
    yield "nothing", sum(row["untreated"]["cured"] for row in rows), len(rows)


def symptoms(rows: Sequence[Row]) -> Table:
    """Return the shares by symptom."""
    made = []
    for name in sorted({each for row in curable(rows) for each in row["symptoms"]}):
        own = [row for row in curable(rows) if name in row["symptoms"]]
        others = [row for row in own if "advice" in row]
        best = max((_advised(others, each) for each in others[0]["advice"]), default=0) if others else 0
        tool = sum(row["autotrainer"]["cured"] for row in others)
        known = (f"{best}/{len(others)}", f"{tool}/{len(others)}") if others else ("", "")
        made.append((name, rate(sum(map(cured, own)), len(own)), *known))
    note = (
        "Both halves that were run.  A model counts under each of the symptoms that are right for it.  The best single "
        "advice is chosen for each symptom in hindsight."
    )
    header = ("symptom", "cured by the prescription", "by the best single advice", "by AutoTrainer's order")
    return Table("By symptom", note, header, made)


def effort(rows: Sequence[Row]) -> Table:
    """Return how many changes are prescribed, and what finding them takes."""
    made = []
    for half in _halves(rows):
        own = [row for row in curable(rows, half) if cured(row)]
        if own:
            counts = [len(row["prescription"]) for row in own]
            made.append((half, str(len(own)), f"{median(counts):g}", str(max(counts)), *_spent(own)))
    note = "Models that the prescription cures.  Seconds are those of the whole examination in one thread."
    header = (
        "half",
        "models",
        "median changes",
        "most",
        "median s",
        "90th percentile s",
        "within 30 s",
        "median steps",
    )
    return Table("What a cure takes", note, header, made)


def _spent(rows: Sequence[Row]) -> tuple[str, ...]:
    seconds = [row["seconds"] for row in rows]
    steps = [row["passes"].get("steps", 0) for row in rows]
    most = quantiles(seconds, n=10, method="inclusive")[-1] if len(seconds) > 1 else seconds[0]
    within = sum(each <= _SOON_S for each in seconds)
    return f"{median(seconds):.1f}", f"{most:.1f}", f"{within}/{len(seconds)}", f"{median(steps):g}"


def advice(rows: Sequence[Row]) -> Table:
    """Return each single piece of advice, applied blindly to every model."""
    own = curable(rows)
    made = []
    for name in sorted(own[0]["advice"], key=lambda each: -_advised(own, each)) if own else ():
        changed = sum("note" not in row["advice"][name] for row in own)
        said = Counter(row["remedies"].get(name) for row in rows if "remedies" in row)
        told = (str(said[status]) for status in ("recommended", "works", "ineffective", "harmful"))
        made.append((name, rate(_advised(own, name), len(own)), str(changed), *told))
    note = (
        "`has something to change` counts the models on which it does anything.  The last columns count what the trial "
        "said of it, where a finding spoke for it."
    )
    header = ("advice", "cured", "has something to change", "recommended", "works", "ineffective", "harmful")
    return Table("Single advice, applied blindly", note, header, made)


def agreement(rows: Sequence[Row]) -> Table:
    """Return what independent training says of treatments, by what the trial said of them."""
    made = []
    for status in ("recommended", "works", "ineffective", "harmful"):
        said = [(row, name) for row in rows for name, each in row.get("remedies", {}).items() if each == status]
        asked = [_asked(row)[name]["cured"] for row, name in said if name in _asked(row)]
        made.append((status, str(len(said)), rate(sum(asked), len(asked))))
    note = (
        "All remedies of all models that the trial judged, by its judgement, and how many cure by themselves: of those "
        "that stand in the table above, of all that are prescribed alone, and of all that are `harmful`, which is "
        "advice that was caught.  One of several that are recommended together need not cure alone."
    )
    return Table("What the trial said, and what came of it", note, ("status", "remedies", "cured alone"), made)


def _asked(row: Row) -> Mapping[str, Mapping[str, Any]]:
    """Return what independent training says of single treatments, by name."""
    alone = {row["prescription"][0]: row["cure"]} if len(row["prescription"]) == 1 else {}
    return {**row["advice"], **row.get("harmful", {}), **alone}


def verdicts(rows: Sequence[Row]) -> Table:
    """Return what the service says of treated models under a seed that nothing was chosen by."""
    made = []
    for half in _halves(rows):
        said = Counter(row["cure"].get("verdict", "no prescription") for row in curable(rows, half))
        made.append((half, *(str(said[each]) for each in ("pass", "warn", "fail", "no prescription"))))
    note = "The verdict on the treated model under a fresh seed."
    return Table("Examined again", note, ("half", "pass", "warn", "fail", "no prescription"), made)


def statuses(rows: Sequence[Row]) -> Table:
    """Return how often each treatment came out as what."""
    said: dict[str, Counter[str]] = {}
    for row in rows:
        for name, status in row.get("remedies", {}).items():
            said.setdefault(name, Counter())[status] += 1
    made = [(name, *(str(said[name][status]) for status in STATUSES)) for name in sorted(said)]
    total = sum(said.values(), Counter[str]())
    made.append(("all", *(str(total[status]) for status in STATUSES)))
    return Table("Every treatment's outcomes", "All models that were run.", ("treatment", *STATUSES), made)


def failures(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Return the models that may be cured and are not: half, name, symptoms, and what became of them."""
    missed = [row for row in curable(rows) if not cured(row)]
    ordered = sorted(missed, key=lambda row: (HALVES.index(row["half"]), row["name"]))
    return [(row["half"], f"`{row['name']}`", " or ".join(row["symptoms"]), _became(row)) for row in ordered]


def _became(row: Row) -> str:
    if not row["prescription"]:
        closest = f", closest: {' and '.join(row['partial'])}" if row.get("partial") else ""
        return f"{row['verdict']}, nothing prescribed{closest}"
    cure = row["cure"]
    left = f", still {' and '.join(cure['left'])}" if cure.get("left") else ""
    reached = "; ".join(", ".join(f"{name} {each}" for name, each in seed.items()) for seed in cure.get("ratios", ()))
    return f"{' and '.join(row['prescription'])}: loss by the best constant's, seed by seed: {reached}{left}"


def in_text(rows: Sequence[Row]) -> str:
    """Return all tables for a terminal; models are named for the tuning half alone."""
    missed = [line for line in failures(rows) if line[0] == "tuning"]
    listed = ["NOT CURED (tuning half)\n" + "\n".join(f"  {'; '.join(line[1:])}" for line in missed)] if missed else []
    return "\n\n".join([*map(_text, [*tables(rows), statuses(rows)]), *listed])


def rate(hits: int, of: int) -> str:
    """Return a share with its interval."""
    if not of:
        return ""
    share = Rate(hits, of)
    low, high = share.interval
    return f"{hits}/{of} = {share.value:.3f} [{low:.3f}, {high:.3f}]"


def _text(table: Table) -> str:
    lines = [table.header, *table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.header))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([table.title.upper(), *shown])


def _advised(rows: Sequence[Row], name: str) -> int:
    return sum(row["advice"][name]["cured"] for row in rows)


def _halves(rows: Sequence[Row]) -> list[str]:
    return [half for half in HALVES if any(row["half"] == half for row in rows)]
