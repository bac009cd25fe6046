"""What training says of every case: `python -m benchmarks.diagnosis.labels` writes it to labels.json.

An oracle that shares no decision with the service: plain torch.optim on the loaded network, up to 200 steps on batches
of 64, under 6 rates of SGD and 4 of Adam, and as declared where an optimizer is.  A seed *learns* under an optimizer
where the mean loss of 10 steps comes below half of the best constant prediction's, at any rate; it *beats* it below
.999.  Nothing that has met a number that is not finite has done either.  Weights are drawn anew for each seed where the
description has laws; else the order of samples alone differs.

What is saved: a run that has not come below the constant at step 60 is given up, a way that learns is not run further,
the rate that taught the last seed is tried first, a seed's other rates are not tried after it, and seeds are added, up
to five, until three agree.  Where the case's time is over, no further seed is begun, and none is tried at more than two
rates; `seeds` says how many there were, and `rates` the fewest at which one was tried in vain.

The label of a case:

- `healthy`: sound by construction, and at least half of the seeds learn as declared, or under SGD or Adam;
- `untrainable`: sick by construction, and more than half of the seeds do not learn under SGD, or under Adam;
- `fault`: certainly at fault (a dead branch, a wrong head), though training gets round it;
- `borderline`: between the two by construction, or construction and training disagree; the reason says how.
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from benchmarks.diagnosis.case import LABELS, Case, constructed
from service.contract.options import Clipping, Options
from worker.load.subject import load
from worker.network.run import Program
from worker.subject import Subject

SGD: Final = (0.1, 0.03, 0.3, 0.01, 1.0, 0.001)
ADAM: Final = (3e-3, 1e-3, 1e-2, 3e-4)
STEPS: Final = 200
SAMPLES: Final = 64
SEEDS: Final = 5
AGREE: Final = 3
LEARNT, BEATEN = 0.5, 0.999
WINDOW: Final = 10
PATIENCE: Final = 60
RATES: Final = 2
"""How many rates each optimizer is tried at whatever the time."""

Make = Callable[[list[Tensor]], torch.optim.Optimizer]


@dataclass(frozen=True)
class Way:
    """An optimizer at a rate."""

    make: Make
    rate: float
    clipping: Clipping | None = None


@dataclass
class Tally:
    """How many seeds learnt, and how many beat the constant, of those that were tried."""

    learnt: int = 0
    beaten: int = 0
    seeds: int = 0
    rates: int = 99
    """The fewest rates that a seed which did not learn was tried at."""
    ways: list[Way] = field(default_factory=list)

    @property
    def decided(self) -> bool:
        """Whether enough seeds agree."""
        return max(self.learnt, self.seeds - self.learnt) >= AGREE

    @property
    def learns(self) -> bool:
        """Whether at least half of the seeds learnt."""
        return self.seeds > 0 and 2 * self.learnt >= self.seeds

    def told(self) -> dict[str, float | int]:
        """Return the shares, as they are kept."""
        share = max(self.seeds, 1)
        return {
            "learns": round(self.learnt / share, 2),
            "beats": round(self.beaten / share, 2),
            "seeds": self.seeds,
            **({"rates": self.rates} if self.learnt < self.seeds else {}),
        }


def measured(case: Case, limit_s: float) -> dict[str, Tally]:
    """Return what became of the seeds under each optimizer."""
    subject = loaded(case)
    tallies = {name: Tally(ways=list(ways)) for name, ways in _ways(case.options)}
    ends = time.process_time() + limit_s
    for seed in range(SEEDS):
        drawn = subject.redrawn(subject.seed + 10 * seed) if seed else subject
        for tally in tallies.values():
            if not tally.decided and (not tally.seeds or time.process_time() < ends):
                _add(tally, drawn, seed, ends)
    return tallies


def loaded(case: Case) -> Subject:
    """Return a case as the service loads it."""
    with tempfile.TemporaryDirectory() as folder:
        model, batch = Path(folder) / f"model{case.suffix}", Path(folder) / "batch.npz"
        model.write_bytes(case.model)
        np.savez(batch, **case.batch)  # type: ignore[arg-type]
        return load(model, batch, Options.model_validate(dict(case.options)), {}, torch.device("cpu")).subject


def label(case: Case, tallies: Mapping[str, Tally]) -> tuple[str, str | None]:
    """Return the label, and why where construction and training disagree."""
    learns = {name: tally.learns for name, tally in tallies.items()}
    if not case.scored:
        return "borderline", None
    if not case.sick:
        sound = learns.get("declared", any(learns.values()))
        return ("healthy", None) if sound else ("borderline", "sound by construction, and does not learn")
    fails = not learns.get("declared", learns["sgd"] and learns["adam"])
    if case.certain:
        return "untrainable" if fails else "fault", None
    return ("untrainable", None) if fails else ("borderline", "sick by construction, and learns under SGD and Adam")


def ratio(subject: Subject, way: Way, seed: int) -> float:
    """Return the mean loss of the last steps over the best constant's; infinite where the run breaks."""
    program, chance = Program(subject.graph), max(subject.loss.chance(subject.target), 1e-30)
    values = {name: each.value.clone() for name, each in subject.graph.parameters.items()}
    trained = [values[name].requires_grad_() for name, each in subject.graph.parameters.items() if each.trainable]
    optimizer = way.make(trained)
    draws = torch.Generator().manual_seed(1000 + seed)
    losses: list[float] = []
    for step in range(STEPS):
        loss = _loss(subject, program, values, draws)
        losses.append(loss.item() / chance)
        if not math.isfinite(losses[-1]):
            return math.inf
        recent = sum(losses[-WINDOW:]) / min(len(losses), WINDOW)
        if (len(losses) >= WINDOW and recent < LEARNT) or (step >= PATIENCE and recent >= BEATEN):
            break
        if not _step(loss, trained, optimizer, way.clipping):
            return math.inf
    return sum(losses[-WINDOW:]) / len(losses[-WINDOW:])


def _loss(subject: Subject, program: Program, values: Mapping[str, Tensor], draws: torch.Generator) -> Tensor:
    inputs, target = subject.batch.inputs, subject.target
    if len(target) > SAMPLES:
        chosen = torch.randperm(len(target), generator=draws)[:SAMPLES]
        inputs, target = {name: each[chosen] for name, each in inputs.items()}, target[chosen]
    return subject.loss(program.run(inputs, values, training=True, generator=draws)[subject.output], target)


def _step(loss: Tensor, trained: list[Tensor], optimizer: torch.optim.Optimizer, clipping: Clipping | None) -> bool:
    """Take a step; False where no gradient came, or one that is not finite."""
    optimizer.zero_grad()
    if not loss.requires_grad:
        return False
    loss.backward()
    given = [each for each in trained if each.grad is not None]
    norm = torch.nn.utils.clip_grad_norm_(given, clipping.limit if clipping else math.inf)
    if not torch.isfinite(norm):
        return False
    optimizer.step()
    return True


def _add(tally: Tally, subject: Subject, seed: int, ends: float) -> None:
    """Train one more seed, in one way after another, until it has learnt."""
    tally.seeds += 1
    best = math.inf
    for tried, way in enumerate(list(tally.ways), 1):
        best = min(best, ratio(subject, way, seed))
        if best < LEARNT:
            tally.ways.remove(way)
            tally.ways.insert(0, way)
            break
        if tried >= RATES and time.process_time() > ends:
            break
    if best >= LEARNT:
        tally.rates = min(tally.rates, tried)
    tally.learnt += best < LEARNT
    tally.beaten += best < BEATEN


def _ways(options: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[Way]]]:
    yield "adam", [Way(_maker("adam", rate), rate) for rate in ADAM]
    yield "sgd", [Way(_maker("sgd", rate), rate) for rate in SGD]
    if "optimizer" in options:
        chosen = Options.model_validate(dict(options))
        rate = chosen.learning_rate or ADAM[1]
        made = _maker(options["optimizer"], rate, chosen.momentum, chosen.weight_decay)
        yield "declared", [Way(made, rate, chosen.clipping)]


def _maker(name: str, rate: float, momentum: float | None = None, decay: float = 0.0) -> Make:
    """Return what makes torch's own optimizer of that name."""
    kinds: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "sgd": torch.optim.SGD,
        "momentum": torch.optim.SGD,
    }
    more = {"momentum": momentum or 0.9} if name == "momentum" else {}
    return lambda values: kinds[name](values, lr=rate, weight_decay=decay, **more)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", help="start of the names of the cases that are measured")
    parser.add_argument("--half", default="", help="held-out or tuning; both by default")
    parser.add_argument("--again", action="store_true", help="measure also what has a label already")
    parser.add_argument(
        "--limit", type=float, default=60, help="processor seconds after which a case gets no further seed"
    )
    return parser.parse_args()


def main() -> None:
    """Measure the cases and keep what came out after each."""
    asked = _arguments()
    torch.set_num_threads(1)
    kept = json.loads(LABELS.read_text(encoding="utf-8"))["cases"] if LABELS.exists() else {}
    names = set()
    for case in constructed():
        names.add(case.name)
        wanted = case.name.startswith(asked.only) and case.half.startswith(asked.half)
        if wanted and (asked.again or case.name not in kept):
            kept[case.name] = _entry(case, asked.limit)
            _keep(kept)
            print(f"{case.name:36} {json.dumps(kept[case.name])}", flush=True)
    _keep({name: entry for name, entry in kept.items() if name in names})


def _entry(case: Case, limit_s: float) -> dict[str, Any]:
    tallies = measured(case, limit_s)
    said, reason = label(case, tallies)
    told = {name: tally.told() for name, tally in sorted(tallies.items())}
    return {"label": said, **({"reason": reason} if reason else {}), **told}


def _keep(entries: Mapping[str, Any]) -> None:
    lines = ",\n".join(f"    {json.dumps(name)}: {json.dumps(entries[name])}" for name in sorted(entries))
    LABELS.write_text(f'{{\n  "torch": "{torch.__version__}",\n  "cases": {{\n{lines}\n  }}\n}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
