"""Gradient gains against theory, for every kind of network in `truths/`, printed as JSON.

Every network starts at its theory's fixed point, so that each layer has the same expected gain.  `theory` is ln of the
squared gain per layer (or time step) less the bias κ/2n of a finite width; `sd` is √(κ/(n·layers·seeds)), what redraws
of the weights explain; `z` is the deviation in these units, beyond the `slack` that theory leaves open.

    python benchmarks/theory.py [width] [layers] [seeds]
"""

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.truths import convolved, normed, plain, recurrent, residual
from benchmarks.truths.truth import Truth, subject
from worker.probe.along_time import measure_recurrent
from worker.probe.gain import measure_gain
from worker.probe.sweep import sweep

TRUTHS = (*plain.TRUTHS, *normed.TRUTHS, *residual.TRUTHS, *convolved.TRUTHS, *recurrent.TRUTHS)
_NARROWER = 8
"""Channels of a convolution by the width of a dense layer: they have as many weights, and a row takes as long."""


@dataclass(frozen=True)
class Row:
    """Theory and measurement of one kind of network."""

    name: str
    theory: float
    measured: float
    sd: float
    slack: float

    @property
    def z(self) -> float:
        """The deviation beyond the slack, in standard deviations."""
        return max(abs(self.measured - self.theory) - self.slack, 0.0) / max(self.sd, 1e-5)


def gain(truth: Truth, width: int, depth: int, seed: int) -> float:
    """Return the measured gain per layer, or per step."""
    run = sweep(subject(truth, width, depth, seed))
    if truth.in_time:
        (found,) = measure_recurrent(run)
        return found.total / (found.steps - 1)
    measured = measure_gain(run)
    if measured is None:
        msg = f"{truth.name}: a chain of layers has a gain"
        raise AssertionError(msg)
    return measured.total / len(measured.segments)


def measure(truth: Truth, width: int, depth: int, seeds: int) -> Row:
    """Return the mean gain per layer over seeds, beside theory's."""
    width = width // _NARROWER if truth.image else width
    measured = mean(gain(truth, width, depth, seed) for seed in range(seeds))
    sd = truth.spread * math.sqrt(truth.kurtosis / (width * (depth - 1) * seeds))
    return Row(truth.name, truth.gain - truth.kurtosis / (2 * width), measured, sd, truth.slack)


def main() -> None:
    """Measure every truth."""
    given = [int(each) for each in sys.argv[1:]]
    width, depth, seeds = (*given, *(512, 30, 4)[len(given) :])
    rows = [measure(truth, width, depth, seeds) for truth in TRUTHS]
    shown = [{**vars(row), "z": round(row.z, 2)} for row in rows]
    print(json.dumps({"width": width, "layers": depth, "seeds": seeds, "rows": shown}, indent=2))


if __name__ == "__main__":
    main()
