"""Treats every sick model of the labelled benchmark, and asks independently which are cured.

    python -m benchmarks.treatments.run [--half tuning|held-out] [--case WORD ...] [--processes 2] [--alone]
        [--fresh] [--results FILE]

Beside each prescription stand single advice applied blindly, treatments drawn by chance and AutoTrainer's order of
repairs, under the same check; `--alone` leaves them out.  What a model came to is kept under build/treatments/, by its
content and the code's; `--results` puts the rows into what the page is made from, in the place of those of the same
models.  Failures are named for the tuning half alone: whoever reads the other half's has used it up.
"""

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Final

import worker  # noqa: F401  before torch: it tells OpenMP how to wait
from benchmarks.diagnosis.case import Case
from benchmarks.treatments.curable import incurable, sick
from benchmarks.treatments.keeping import Kept

Row = dict[str, Any]
"""What a model came to, as JSON holds it."""
Ask = Callable[[Case, Row], Row]
"""What is asked of a model, of which so much is known."""
DRAWS: Final = 3
"""Draws of treatments by chance, of each kind."""


def main() -> None:
    """Run what is asked for, print the tables, and put the rows into the results where that is asked for."""
    from benchmarks.treatments.tables import in_text  # noqa: PLC0415  only the parent scores

    asked = _arguments()
    chosen = [case for case in sick(asked.half) if not asked.case or any(word in case.name for word in asked.case)]
    rows = run(chosen, processes=asked.processes, fresh=asked.fresh, alone=asked.alone)
    print(in_text(rows))
    if asked.results:
        asked.results.write_text(_merged(asked.results, rows), encoding="utf-8")


def run(chosen: Sequence[Case], *, processes: int = 2, fresh: bool = False, alone: bool = False) -> list[Row]:
    """Return what each model came to: what is prescribed, then what else does."""
    rows = _each(prescribed, [(case, {}) for case in chosen], processes, fresh=fresh)
    if alone:
        return rows
    others = _each(compared, list(zip(chosen, rows, strict=True)), processes, fresh=fresh)
    return [row | other for row, other in zip(rows, others, strict=True)]


def prescribed(case: Case, known: Row) -> Row:
    """Return what the service says of a model, and whether what it prescribes cures."""
    from benchmarks.treatments.check import Check  # noqa: PLC0415  a spawned process imports its own

    row = known | facts(case) | examined(case)
    names = row["prescription"]
    return row | {"cure": Check(case).cure(names, look=True).told() if names else {"cured": False}}


def compared(case: Case, row: Row) -> Row:
    """Return what single advice, treatments by chance and AutoTrainer's order do for a model that was treated."""
    from benchmarks.treatments.advice import by_chance, generic  # noqa: PLC0415  a spawned process imports its own
    from benchmarks.treatments.autotrainer import AutoTrainer  # noqa: PLC0415
    from benchmarks.treatments.check import Check  # noqa: PLC0415

    begun, check = time.monotonic(), Check(case)
    harmful = [name for name, status in row.get("remedies", {}).items() if status == "harmful"]
    drawn = {
        kind: [by_chance(check.applies, count, f"{case.name} {kind} {draw}") for draw in range(DRAWS)]
        for kind, count in (("one", 1), ("as many", max(len(row["prescription"]), 1)))
    }
    tool = AutoTrainer(check)
    repairs = tool.repaired()
    repaired = check.cure(repairs).told() if repairs else {"cured": False}
    return {
        "untreated": check.cure(()).told(),
        "advice": {name: check.cure((name,)).told() for name in generic()},
        "harmful": {name: check.cure((name,)).told() for name in harmful},
        "chance": {kind: [check.cure(names).told() for names in sets] for kind, sets in drawn.items()},
        "autotrainer": repaired | {"tried": tool.tried},
        "others_s": round(time.monotonic() - begun, 1),
    }


def facts(case: Case) -> Row:
    """Return what is known of a model before."""
    return {
        "name": case.name,
        "family": case.family,
        "half": case.half,
        "symptoms": sorted(case.symptoms),
        "severity": case.severity,
        "incurable": incurable(case),
    }


def examined(case: Case) -> Row:
    """Return what the service says of a model, with treatments, as a caller would ask it."""
    from benchmarks.diagnosis.recording import written  # noqa: PLC0415  a spawned process imports its own
    from service.contract.options import Options  # noqa: PLC0415
    from service.contract.problem import Trouble  # noqa: PLC0415
    from worker.examine import examine  # noqa: PLC0415

    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            report = examine(*written(case, Path(folder)), Options.model_validate(dict(case.options)))
        except Trouble as trouble:
            return {"verdict": "refused", "prescription": [], "problem": f"{type(trouble).__name__}: {trouble}"}
    seconds, chosen = round(time.monotonic() - begun, 1), report.prescription
    told = {remedy.id: remedy.treatment for remedy in report.remedies}
    status = {remedy.treatment: remedy.status.value for remedy in report.remedies}
    return {
        "verdict": report.verdict.value,
        "prescription": [told[each] for each in chosen.remedies] if chosen else [],
        "says": chosen.explanation if chosen else "",
        "partial": [told[each] for each in report.partial.remedies] if report.partial else [],
        "seconds": seconds,
        "treating_s": round(report.timing.get("treating", 0.0), 1),
        "passes": report.passes.model_dump() if report.passes else {},
        "remedies": status,
        "status": dict(sorted(Counter(status.values()).items())),
    }


def _each(ask: Ask, asked: Sequence[tuple[Case, Row]], processes: int, *, fresh: bool) -> list[Row]:
    """Ask something of each model, in processes of their own, but for what is kept."""
    kept = Kept(ask.__name__)
    found = {} if fresh else {case.name: row for case, _ in asked if (row := kept.read(case)) is not None}
    todo = [(case, row) for case, row in asked if case.name not in found]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_one_thread) as pool:
        waiting = {pool.submit(_safely, ask, case, row): case for case, row in todo}
        for count, future in enumerate(as_completed(waiting), 1):
            case, row = waiting[future], future.result()
            found[case.name] = row
            if "crash" not in row:
                kept.write(case, row)
            print(f"{ask.__name__} {count}/{len(todo)} {_line(case, row)}", file=sys.stderr)
    return [found[case.name] for case, _ in asked]


def _safely(ask: Ask, case: Case, known: Row) -> Row:
    """Return what is asked of a model; what breaks is told as a crash and does not stop the others."""
    try:
        return ask(case, known)
    except Exception:  # noqa: BLE001  a crash is a result
        broken: Row = {"verdict": "crashed", "prescription": [], "cure": {"cured": False}}
        return facts(case) | broken | known | {"crash": traceback.format_exc(limit=-3)}


def _one_thread() -> None:
    import torch  # noqa: PLC0415  each process sets its own

    torch.set_num_threads(1)


def _line(case: Case, row: Row) -> str:
    """Return a row in a line; those of the held-out half are not named."""
    if case.half != "tuning":
        return "held-out"
    if "cure" not in row:
        return f"{case.name}: {row['others_s']} s"
    what = "incurable" if row["incurable"] else "cured" if row["cure"]["cured"] else "NOT CURED"
    return f"{case.name}: {what} by {row['prescription']}, {row.get('seconds', '')} s {row.get('crash', '')}"


def _merged(path: Path, rows: Sequence[Row]) -> str:
    """Return the results with these rows in the place of those of the same models, a row a line."""
    before: list[Row] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    every = {row["name"]: row for row in (*before, *rows)}
    return "[\n" + ",\n".join(_written(every)) + "\n]\n"


def _written(rows: dict[str, Row]) -> Iterator[str]:
    for name in sorted(rows):
        yield json.dumps(rows[name], sort_keys=True, ensure_ascii=False)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Treat the sick models of the labelled benchmark.")
    parser.add_argument("--half", choices=("tuning", "held-out", ""), default="")
    parser.add_argument("--case", nargs="*", default=[])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--alone", action="store_true", help="prescriptions alone")
    parser.add_argument("--fresh", action="store_true", help="run again what is kept already")
    parser.add_argument("--results", type=Path, help="put the rows in here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
