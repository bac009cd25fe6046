"""Examines every case of the labelled benchmark, beside what the peers' rules say of it, and prints the scores.

    python -m benchmarks.diagnosis.run [--half tuning|held-out] [--family NAME ...] [--case WORD ...]
        [--seeds N] [--no-peers] [--processes 2] [--fresh] [--results FILE]

What a case came to is kept under build/diagnosis/, by its content and the code's, so that a rerun costs what has
changed; `--results` writes what `docs/accuracy.md` is made from.  Misses and false alarms are named for the tuning half
alone: whoever reads the other half's has used it up.
"""

import argparse
import hashlib
import io
import json
import multiprocessing
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

import worker  # noqa: F401  before torch: it tells OpenMP how to wait
from benchmarks.diagnosis.case import LABELS, Case, cases

ROOT: Final = Path(__file__).parents[2]
KEPT: Final = ROOT / "build" / "diagnosis"
_OURS: Final = ("worker", "service")
_PEERS: Final = ("benchmarks/diagnosis/peers", "benchmarks/diagnosis/recording.py", "benchmarks/diagnosis/traces.py")

Row = dict[str, Any]
"""What a case came to, as JSON holds it."""


def main() -> None:
    """Run what is asked for, print the tables, and write the results where that is asked for."""
    from benchmarks.diagnosis.tables import in_text  # noqa: PLC0415  only the parent scores

    asked = _arguments()
    more = {"seeds": asked.seeds} if asked.seeds else {}
    chosen = [replace(case, options={**case.options, **more}) for case in cases() if _wanted(case, asked)]
    found = run(chosen, processes=asked.processes, fresh=asked.fresh, peers=not asked.no_peers)
    rows = [row_of(case, found[case.name]) for case in chosen]
    print(in_text(rows))
    if asked.results:
        text = "[\n" + ",\n".join(json.dumps(row, sort_keys=True) for row in rows) + "\n]\n"
        asked.results.write_text(text, encoding="utf-8")


def run(chosen: list[Case], *, processes: int = 2, fresh: bool = False, peers: bool = True) -> dict[str, Row]:
    """Return what each case came to, by name, from what is kept or from an examination of its own."""
    wanted = [("examined", _state(_OURS))] + ([("peers", _state(_PEERS))] if peers else [])
    found: dict[str, Row] = {case.name: {} for case in chosen}
    for part, state in wanted:
        kept = {} if fresh else _read(part)
        keys = {case.name: _key(case, state) for case in chosen}
        todo = [case for case in chosen if keys[case.name] not in kept]
        for case in chosen:
            found[case.name] |= kept.get(keys[case.name], {})
        for case, row in _computed(part, todo, processes):
            found[case.name] |= row
            if f"{part}_crash" not in row:
                _keep(part, keys[case.name], row)
    return found


def examined(case: Case) -> Row:
    """Return the verdict on a case, its findings and how long it took."""
    from benchmarks.diagnosis.recording import written  # noqa: PLC0415  a spawned process imports what it needs
    from service.contract.options import Options  # noqa: PLC0415
    from service.contract.problem import Trouble  # noqa: PLC0415
    from worker.examine import examine  # noqa: PLC0415

    options = Options.model_validate({**case.options, "treat": False})
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            report = examine(*written(case, Path(folder)), options)
        except Trouble as trouble:
            return {"verdict": "refused", "findings": [], "problem": f"{type(trouble).__name__}: {trouble}"}
    training = report.training
    return {
        "verdict": report.verdict.value,
        "seconds": round(time.monotonic() - begun, 2),
        "findings": [
            {
                "code": each.code,
                "symptom": each.symptom.value,
                "severity": each.severity.value,
                "confidence": each.confidence,
                "evidence": each.evidence,
                "places": [[place.node, place.measured, place.limit] for place in each.places[:3]],
                "says": each.explanation,
            }
            for each in report.findings
        ],
        "loss": [report.loss.value, report.loss.chance],
        "training": training
        and [training.optimizer.value, training.learning_rate, training.loss[0], training.loss[-1]],
    }


def judged(case: Case) -> Row:
    """Return the peers' rules that fire on a case."""
    from benchmarks.diagnosis.peers import judged as told  # noqa: PLC0415  a spawned process imports what it needs
    from benchmarks.diagnosis.recording import record  # noqa: PLC0415
    from service.contract.problem import Trouble  # noqa: PLC0415

    try:
        return {"peers": told(record(case))}
    except Trouble as trouble:
        return {"peers": {}, "peers_problem": f"{type(trouble).__name__}: {trouble}"}


_PARTS: Final = {"examined": examined, "peers": judged}


def _computed(part: str, todo: list[Case], processes: int) -> Iterator[tuple[Case, Row]]:
    """Yield each case with what it came to, in the order in which they end."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_one_thread) as pool:
        waiting = {pool.submit(_safely, part, case): case for case in todo}
        for count, future in enumerate(as_completed(waiting), 1):
            case, row = waiting[future], future.result()
            told = row.get("verdict") or sum(map(len, row.get("peers", {}).values()))
            print(f"{part} {count}/{len(todo)} {case.name}: {told} {row.get('seconds', '')}", file=sys.stderr)
            yield case, row


def _safely(part: str, case: Case) -> Row:
    """Return what a case came to; what breaks is told as a crash and does not stop the others."""
    try:
        return _PARTS[part](case)
    except Exception:  # noqa: BLE001  a crash is a result
        told = traceback.format_exc(limit=-3)
        crashed: Row = {"verdict": "crashed", "findings": []} if part == "examined" else {"peers": {}}
        return {**crashed, f"{part}_crash": told}


def _one_thread() -> None:
    import torch  # noqa: PLC0415  each process sets its own

    torch.set_num_threads(1)


def row_of(case: Case, found: Row) -> Row:
    """Return what is known of a case beside what it came to: a row of the results."""
    told = [[each["code"], each["symptom"], each["severity"]] for each in found["findings"]]
    row = {
        "name": case.name,
        "family": case.family,
        "half": case.half,
        "sick": case.sick,
        "symptoms": sorted(case.symptoms),
        "severity": case.severity,
        "hard": case.hard,
        "trains": _trained(case.name),
        "disputed": _labels().get(case.name, {}).get("reason"),
        "verdict": found["verdict"],
        "findings": told,
        "seconds": found.get("seconds"),
    }
    return {**row, "peers": found["peers"]} if found.get("peers") else row


@cache
def _labels() -> dict[str, dict[str, Any]]:
    """Return what training said of every case."""
    held: dict[str, dict[str, Any]] = {}
    return json.loads(LABELS.read_text(encoding="utf-8")).get("cases", held) if LABELS.exists() else held


def _trained(name: str) -> float | None:
    """Return the share of seeds that the best of the ways of training taught anything at all."""
    return max((way["beats"] for way in _labels().get(name, {}).values() if isinstance(way, dict)), default=None)


def _key(case: Case, state: str) -> str:
    """Return a digest of everything that what a case comes to depends on."""
    held = io.BytesIO()
    for name in sorted(case.batch):
        np.save(held, case.batch[name])
    options = json.dumps(dict(case.options), sort_keys=True, default=str)
    parts = (case.model, held.getvalue(), options.encode(), state.encode())
    return hashlib.sha256(b"|".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def _state(paths: Iterable[str]) -> str:
    """Return a digest of these files as they are now."""
    digest = hashlib.sha256()
    for top in paths:
        place = ROOT / top
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _read(part: str) -> dict[str, Row]:
    path = KEPT / f"{part}.jsonl"
    if not path.exists():
        return {}
    lines = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return {line["key"]: line["row"] for line in lines}


def _keep(part: str, key: str, row: Row) -> None:
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / f"{part}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"key": key, "row": row}) + "\n")


def _wanted(case: Case, asked: argparse.Namespace) -> bool:
    return (
        asked.half in {None, case.half}
        and (not asked.family or case.family in asked.family)
        and (not asked.case or any(word in case.name for word in asked.case))
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Score the labelled benchmark.")
    parser.add_argument("--half", choices=("tuning", "held-out"))
    parser.add_argument("--family", nargs="*", default=[])
    parser.add_argument("--case", nargs="*", default=[])
    parser.add_argument("--seeds", type=int, help="draws of each model; for a first look, 1 takes a third of the time")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--fresh", action="store_true", help="examine again what is kept already")
    parser.add_argument("--no-peers", action="store_true", help="leave the peers out")
    parser.add_argument("--results", type=Path, help="write the rows here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
