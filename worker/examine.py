"""The examination, start to end.  Uploads in, report out: no queue, no storage.

Everything random is drawn from the seed, so that the same upload, options and versions give the same report.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from types import MappingProxyType
from typing import Final

import torch

from service.contract.options import Options
from service.contract.report import Coverage, Finding, Remedy, Report
from service.contract.words import Depth, Stage, Verdict
from worker import reporting
from worker.budget import Deadline
from worker.diagnose import diagnose
from worker.handing_back import patched, treated_model
from worker.in_depth import deep_section
from worker.in_training import training_section
from worker.load.fidelity import compare
from worker.load.second import on_second
from worker.load.subject import Loaded, load
from worker.probe.training import HALF, LEARNT, Ask
from worker.redraws import redraws_section, same_weights
from worker.stopwatch import Progress, Stopwatch, silent
from worker.subject import Subject
from worker.summary import summary
from worker.sureness import sureness
from worker.threads import threads_for
from worker.treatments import Inapplicable
from worker.trial import Bench, Clinic, Examined, measured, partial, prescription, remedies, treat

STEPS: Final = {Depth.QUICK: 50, Depth.STANDARD: 200, Depth.DEEP: 200}
"""Steps of the training trial."""
_MORE_S: Final = {Depth.QUICK: 0.0, Depth.STANDARD: 3.0, Depth.DEEP: inf}
"""Planned seconds for which further treatments are tried once a cure is confirmed."""
_TRAINING_SHARE: Final = 0.6
"""Share of the time limit that measuring the untreated subject may take."""


def examine(
    model: Path,
    batch: Path | None,
    options: Options,
    *,
    second: Path | None = None,
    job_id: str = "",
    created_at: datetime | None = None,
    external: Mapping[str, Path] = MappingProxyType({}),
    device: str = "cpu",
    treated: Path | None = None,
    progress: Progress = silent,
) -> Report:
    """Load the model, probe and train it, diagnose it, and try what might help.

    Where a treated model is prescribed, it is written to `treated`.  Unfit where the uploads cannot be examined.
    """
    watch, place = Stopwatch(progress), torch.device(device)
    deadline = Deadline.after(options.time_limit_s)
    steps = options.steps or STEPS[options.depth]
    with watch.stage(Stage.LOADING, 0.0):
        loaded = load(model, batch, options, external, place)
        again = on_second(loaded, second) if second else None
        fidelity = compare(loaded.onnx, loaded.graph, loaded.subject.batch.inputs)
    with watch.stage(Stage.PROBING, 0.1), threads_for(loaded.subject.pass_s):
        quick = options.depth is Depth.QUICK
        goal, deep = HALF if quick else LEARNT, options.depth is Depth.DEEP
        ask = Ask(steps, both=True, goal=goal, deep=deep, ranged=not quick)
        before, coverage = _measure(loaded, ask, deadline.share(_TRAINING_SHARE), watch)
    with watch.stage(Stage.TREATING, 0.4), threads_for(loaded.subject.pass_s):
        clinic = _treat(before, again, options, deadline, watch) if options.treat else None
    tried = patched(loaded, before, remedies(clinic), deadline) if clinic else ()
    handed_back, said = _written(loaded, clinic, treated)
    prescribed = prescription(clinic, handed_back=handed_back) if clinic else None
    closest = partial(clinic) if clinic else None
    watch.tell(Stage.REPORTING, 0.98)
    findings = tuple(_with_remedies(finding, tried) for finding in before.findings)
    first = before.evidences[0]
    late = reporting.lateness(options) if deadline.meter.overrun else ()
    return Report(
        id=job_id,
        engine=reporting.engine(place),
        created_at=created_at or datetime.now(UTC),
        timing=watch.seconds,
        passes=reporting.passes_section(watch.passes),
        model=reporting.model_section(loaded),
        batch=reporting.batch_section(loaded),
        loss=reporting.loss_section(loaded, first),
        fidelity=fidelity,
        verdict=before.verdict,
        confidence=sureness(before.verdict, before.evidences, redrawn=loaded.subject.drawn),
        summary=summary(before.verdict, findings, prescribed, before.evidences, partial=closest, remedies=tried),
        findings=findings,
        remedies=tried,
        prescription=prescribed,
        partial=closest,
        profile=reporting.profile(first),
        training=training_section(before.evidences),
        redraws=redraws_section(loaded.subject.seed, loaded.seeds, before.evidences),
        deep=deep_section(first),
        coverage=coverage,
        notes=(*late, *same_weights(loaded.subject, loaded.seeds), *said),
    ).sealed()


def _measure(loaded: Loaded, ask: Ask, deadline: Deadline, watch: Stopwatch) -> tuple[Examined, tuple[Coverage, ...]]:
    """Measure the subject under each of its seeds, the first in any case.

    Another is begun only where the time left would have been enough for each of those before it: a few trials to their
    end say more than many that were cut short.  By the clock, too, time is left to treat it.
    """
    first = loaded.subject
    subjects, evidences, needed = [], [], 0.0
    for draw in range(loaded.seeds):
        if draw and (deadline.left <= needed or deadline.meter.would_exceed(_TRAINING_SHARE, "draw")):
            break
        spent = deadline.meter.spent_s
        watch.tell(Stage.TRAINING, 0.1 + 0.3 * draw / loaded.seeds)
        subjects.append(first.redrawn(first.seed + draw) if draw else first)
        with deadline.meter.timed("draw", 0.0):
            evidences.append(measured(subjects[-1], replace(ask, ranged=ask.ranged and not draw), deadline))
        needed = max(needed, deadline.meter.spent_s - spent)
    findings, coverage = diagnose(evidences)
    return Examined(tuple(subjects), tuple(evidences), findings), coverage


def _treat(before: Examined, second: Subject | None, options: Options, deadline: Deadline, watch: Stopwatch) -> Clinic:
    """Try what the findings speak for, one by one, then look for the smallest set that cures."""

    def tell(done: float, detail: str) -> None:
        watch.tell(Stage.TREATING, 0.4 + 0.5 * done, detail)

    clinic = Clinic(
        Bench(before, options.steps or STEPS[options.depth], deadline),
        second=second,
        asked=options.treatments,
        more_s=_MORE_S[options.depth],
        tell=tell,
    )
    if before.verdict is not Verdict.PASS or options.treatments:
        treat(clinic)
    return clinic


def _written(loaded: Loaded, clinic: Clinic | None, treated: Path | None) -> tuple[bool, tuple[str, ...]]:
    """Write the treated model where one is prescribed and asked for; return whether, and what is to be said of it."""
    if clinic is None or clinic.prescribed is None or treated is None:
        return False, ()
    chosen = clinic.prescribed.tried.treatments
    change = clinic.safely(clinic.bench.treated, chosen)
    if isinstance(change, Inapplicable):
        return False, (change.reason,)
    model, notes = treated_model(loaded, change, [treatment.name for treatment in chosen])
    if model is not None:
        treated.write_bytes(model)
    return model is not None, notes


def _with_remedies(finding: Finding, remedies: tuple[Remedy, ...]) -> Finding:
    helping = tuple(remedy.id for remedy in remedies if finding.code in remedy.cures)
    return finding.model_copy(update={"remedies": helping})
