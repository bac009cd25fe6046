"""What is known of the suite's gradients: `gradients.txt`, a line per case with the verdict on it and the reason."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from gradient_cases import GradientCase
from gradient_judge import Judgement
from suite import cases

RESULTS = Path(__file__).with_name("gradients.txt")
COUNTED = ("right", "wrong", "missing", "kink", "failed")
"""The verdicts on cases that have a gradient; of the others nothing can be right or wrong."""


def results() -> dict[str, Judgement]:
    """Return the verdicts of the last run over everything."""
    found = {}
    for line in RESULTS.read_text(encoding="utf-8").splitlines():
        key, verdict, reference, reason = line.split(" | ")
        found[key] = Judgement(verdict, reason, reference)
    return found


def written(found: Mapping[str, Judgement]) -> str:
    """Return the text of `gradients.txt`."""
    rows = ((key, each.verdict, each.reference, " ".join(each.reason.split())) for key, each in sorted(found.items()))
    return "".join(" | ".join(row) + "\n" for row in rows)


def table(found: Mapping[str, Judgement]) -> dict[str, dict[str, int]]:
    """Return how many cases of each category have which verdict."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for key, each in found.items():
        counts[cases()[key].category][each.verdict] += 1
    return {category: dict(sorted(counts[category].items())) for category in sorted(counts)}


def share(found: Mapping[str, Judgement]) -> float:
    """Return the share of cases with a gradient in which it is right."""
    counts = Counter(each.verdict for each in found.values())
    return counts["right"] / sum(counts[verdict] for verdict in COUNTED)


def at_fault(found: Mapping[str, Judgement]) -> dict[str, str]:
    """Return why cases with a gradient are not right."""
    return {
        key: f"{each.verdict}: {each.reason}"
        for key, each in found.items()
        if each.verdict in COUNTED and each.verdict != "right"
    }


def one_of_each(given: Iterable[GradientCase]) -> list[GradientCase]:
    """Return the smallest case of each form."""
    smallest: dict[tuple[str, ...], GradientCase] = {}
    for case in given:
        other = smallest.get(case.form)
        if other is None or case.size < other.size:
            smallest[case.form] = case
    return list(smallest.values())
