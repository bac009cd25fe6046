"""What each remedy that five articles advise does on their networks, and on deep ones of their kind, printed as JSON.

    python benchmarks/articles.py [--only NETWORK ...] [--results FILE]

Every remedy is asked for by name and tried as any treatment is.  `docs/articles.md` is made from what `--results` puts
into benchmarks/treatments/articles.json (`make bench-treatments`).
"""

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any, Final

import numpy as np

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "examples")]

import batches  # noqa: E402  of the examples

from service.contract.options import Options  # noqa: E402
from service.contract.report import Remedy, Report  # noqa: E402
from worker.examine import examine  # noqa: E402
from worker.treatments import treatments  # noqa: E402

REMEDIES: Final = {
    "xavier-init": "A B C D",
    "he-init": "A C D",
    "batch-norm": "A",
    "relu": "A",
    "tanh": "D",
    "selu": "D",
    "add-skips": "A B D",
    "weight-sharing": "A C",
    "l1": "A C D",
    "l2": "A C D",
    "dropout": "A",
    "clip-value": "B C",
    "clip-norm": "B",
    "adam": "A B D E",
    "nadam": "E",
    "momentum": "E",
    "nesterov": "E",
    "rmsprop": "B C D",
    "adagrad": "C",
    "learning-rate": "C D",
}
"""Which articles advise what."""
_LIMIT_S: Final = 900
_WINDOW: Final = 10


@dataclass(frozen=True)
class Network:
    """An example of an article, or a deep network of its kind."""

    name: str
    article: str
    says: str
    batch: batches.Batch

    @property
    def path(self) -> Path:
        """The description."""
        return ROOT / "examples" / "articles" / f"{self.name}.json"


NETWORKS: Final = (
    Network("b_sigmoid_tanh", "B", "10 → 20 sigmoid → 1 tanh, as the article has it", batches.plane()),
    Network("c_cnn", "C", "convolutions of 32, 64, 64 and 256, as the article has it", batches.bars(20)),
    Network("d_one_unit", "D", "two layers of one unit for y = x + 1, as the article has it", batches.line()),
    Network("e_mlp", "E", "784 → 64 → 32 → 1, as the article has it", batches.strokes()),
    Network("a_deep", "A", "40 layers of 64 rectifiers by He's law: sound in itself", batches.clusters()),
    Network("b_deep", "B", "20 sigmoid layers of 20, by Xavier's law", batches.plane()),
    Network("c_deep", "C", "23 convolutions whose weights are drawn 1.5 times too large", batches.bars(40)),
    Network("d_deep", "D", "20 layers of 16 rectifiers, as PyTorch draws weights", batches.line()),
    Network("d_tanh", "D", "24 tanh layers of 32, as PyTorch draws weights", batches.line()),
    Network("e_deep", "E", "29 layers of 64 and 32 rectifiers by Xavier's law", batches.strokes()),
)


def main() -> None:
    """Measure what is asked for, print it, and put it into the results where that is asked for."""
    asked = _arguments()
    measured = [told(network) for network in NETWORKS if not asked.only or network.name in asked.only]
    document = {"benchmark": "articles", "networks": measured}
    print(json.dumps(document, indent=1, ensure_ascii=False))
    if asked.results:
        held = json.loads(asked.results.read_text(encoding="utf-8"))["networks"] if asked.results.exists() else []
        found = {each["name"]: each for each in (*held, *measured)}
        ordered = [found[network.name] for network in NETWORKS if network.name in found]
        text = json.dumps({**document, "networks": ordered}, indent=1, ensure_ascii=False)
        asked.results.write_text(text + "\n", encoding="utf-8")


def told(network: Network) -> dict[str, Any]:
    """Return what a network is like, and what each remedy did."""
    options = Options(treatments=tuple(name for name in REMEDIES if name in treatments), time_limit_s=_LIMIT_S)
    with tempfile.TemporaryDirectory() as folder:
        batch = Path(folder) / "batch.npz"
        np.savez(batch, **network.batch)  # type: ignore[arg-type]
        report = examine(network.path, batch, options)
    tried = {remedy.treatment: remedy for remedy in report.remedies}
    return {
        "name": network.name,
        "article": network.article,
        "says": network.says,
        **untreated(report),
        "remedies": [judged(tried[name]) for name in REMEDIES if name in tried],
        "prescription": list(report.prescription.remedies) if report.prescription else [],
    }


def untreated(report: Report) -> dict[str, Any]:
    """Return the verdict, what was found, and what was measured before any change."""
    gains = [remedy.trial.before.get("gain") for remedy in report.remedies if remedy.trial is not None]
    losses = report.training.loss if report.training else ()
    return {
        "verdict": report.verdict.value,
        "findings": [[each.code, each.symptom.value, each.severity.value] for each in report.findings],
        "gain": _round(next(iter(gains), None)),
        "optimizer": report.training.optimizer.value if report.training else "",
        "loss": _round(_lowest([each for each in losses if isinstance(each, float)])),
        "chance": _round(report.loss.chance),
    }


def _lowest(losses: Sequence[float]) -> float | None:
    """Return the lowest mean of so many neighbouring losses."""
    windows = [losses[start : start + _WINDOW] for start in range(len(losses) - _WINDOW + 1)]
    return min((mean(each) for each in windows), default=None)


def judged(remedy: Remedy) -> dict[str, Any]:
    """Return what a remedy did."""
    after = remedy.trial.after if remedy.trial else {}
    bounds = remedy.trial.bounds if remedy.trial else None
    row = {
        "name": remedy.treatment,
        "status": remedy.status.value,
        "note": remedy.note,
        "gain": _round(after.get("gain")),
        "loss": _round(after.get("lowest_loss")) or None,  # a copy that was not trained to the end has none
        "log_loss_gain": _round(after.get("log_loss_gain")),
        "bounds": [_round(each) for each in bounds] if bounds else None,
        "cures": list(remedy.cures),
        "causes": list(remedy.causes),
    }
    return {key: value for key, value in row.items() if value not in ("", None, [])}


def _round(value: float | str | None) -> float | None:
    """Return a number with four digits; None for what is no number, or not finite."""
    return float(f"{value:.4g}") if isinstance(value, int | float) and math.isfinite(value) else None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Try the articles' remedies.")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--results", type=Path, help="put the rows in here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
