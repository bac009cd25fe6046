"""Writes `docs/treatments.md`: the catalogue from the code, with the benchmark's figures before it.

    python -m benchmarks.treatments.page

The figures come from results.json beside this file; nothing is measured here.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.diagnosis.tables import Table
from benchmarks.treatments.curable import INCURABLE
from benchmarks.treatments.tables import curable, failures, statuses, tables
from worker.catalogue import treatments_page

RESULTS: Final = Path(__file__).with_name("results.json")
PAGE: Final = Path(__file__).parents[2] / "docs" / "treatments.md"
_HEAD: Final = """\
## How often prescriptions cure

Measured by `make bench-treatments` on {models} sick models of the labelled benchmark (`benchmarks/diagnosis/`), made by
script, each examined as a caller's upload is.  Whether a model is cured is asked without the service: its prescription
is applied to weights drawn under seeds that it was not examined with, and trained by a plain loop around torch's own
optimizers, 400 steps where the trial sees 200.  It is cured where in at least two of three such draws the loss ends
below half of the best constant prediction's: at the rate that the treated model names, or, where it names none, under
SGD or under Adam, each at its best of several rates, one of them that did not teach the untreated model.  (A sound
model of the benchmark is one that learns under either, a sick one fails under one or both.)  A model whose fault is
certain though training gets round it (a dead branch, a wrong head) has to train as it did, and the finding has to be
gone under a fresh seed.

The tuning half is the one that treatments and trials were mended on.  The held-out half was run at the end.  At its
first run 54 of 61 were cured; five of the seven missed were recurrent ones, as on the tuning half.  Treatments for
these were added, and both halves were run again, which is what stands here.  Both come from the same families, so this
measures luck with seeds, widths and depths, not with kinds of networks.  Other choices were compared on the held-out
half, but for its transformers, on which that takes longest.
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """Return docs/treatments.md, with figures where there are results."""
    catalogue = treatments_page()
    if not RESULTS.exists():
        return catalogue
    return composed(catalogue, json.loads(RESULTS.read_text(encoding="utf-8")))


def composed(catalogue: str, rows: Sequence[dict[str, Any]]) -> str:
    """Return the catalogue with the figures between its head and its first treatment."""
    head, mark, rest = catalogue.partition("\n## ")
    return f"{head}\n{figures(rows)}{mark}{rest}"


def figures(rows: Sequence[dict[str, Any]]) -> str:
    """Return the figures as Markdown."""
    parts = [_HEAD.format(models=len(rows)), *map(_section, tables(rows)), *_listed(rows), _section(statuses(rows))]
    return "\n".join(parts)


def _listed(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the lists of models that are not cured, and of those that cannot be."""
    missed = failures(rows)
    grid = _grid(("half", "model", "it is", "what became of it"), missed) if missed else "None.\n"
    yield f"### Not cured\n\n{len(missed)} of {len(curable(rows))} models that may be cured.\n\n{grid}"
    lines = [(f"`{name}`", reason) for name, reason in sorted(INCURABLE.items())]
    yield (
        "### Not to be cured by any change of network or training\n\nLeft out of every figure above but the counts of "
        f"outcomes; listed by hand.\n\n{_grid(('models', 'why'), lines)}"
    )


def _section(table: Table) -> str:
    return f"### {table.title}\n\n{table.note}\n\n{_grid(table.header, table.rows)}"


def _grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
