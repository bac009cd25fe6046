"""The arithmetic of the labelled benchmark: rates with their intervals, over rows of results.

A row is what `run` writes of a case.  A verdict is positive where it is not `pass`; what could not be examined at all
(`refused`, `crashed`) is negative on a sick model, and positive on a healthy one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, Final

Row = Mapping[str, Any]
Told = Callable[[Row], bool]
"""Whether something was said of a row's model."""

Z: Final = 1.959963984540054
"""Standard normal quantile of .975."""
MOST: Final = 0.5
WEIGHTY: Final = frozenset({"warning", "error"})


@dataclass(frozen=True)
class Rate:
    """How many of how many."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """The share; not a number where there is nothing to share."""
        return self.hits / self.of if self.of else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval, 95% (Wilson 1927): the shares that a score test does not reject."""
        if not self.of:
            return 0.0, 1.0
        share, n = self.value, self.of
        middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
        half = Z / (1 + Z**2 / n) * sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
        return max(middle - half, 0.0), min(middle + half, 1.0)

    @property
    def complement(self) -> "Rate":
        """The rate of the others."""
        return Rate(self.of - self.hits, self.of)


@dataclass(frozen=True)
class Detection:
    """How well something parts the sick from the healthy."""

    sick: Rate
    """Of the sick, how many were told of."""
    healthy: Rate
    """Of the healthy, how many were told of: false alarms."""

    @property
    def balanced(self) -> float:
        """Balanced accuracy: the mean of the true positive rate and the true negative rate."""
        return (self.sick.value + self.healthy.complement.value) / 2

    @property
    def interval(self) -> tuple[float, float]:
        """Newcombe's 95% interval of it, from Wilson's of both rates (Newcombe 1998, method 10)."""
        rates = (self.sick, self.healthy.complement)
        below = sqrt(sum((rate.value - rate.interval[0]) ** 2 for rate in rates)) / 2
        above = sqrt(sum((rate.interval[1] - rate.value) ** 2 for rate in rates)) / 2
        return max(self.balanced - below, 0.0), min(self.balanced + above, 1.0)


def scored(rows: Iterable[Row], half: str | None = None) -> list[Row]:
    """Return the rows that count, of one half or of both."""
    return [row for row in rows if row["severity"] != "borderline" and half in {None, row["half"]}]


def flagged(row: Row) -> bool:
    """Whether the verdict is a warning or a rejection; of a healthy model also whether it could not be examined."""
    return row["verdict"] in {"warn", "fail"} or (not row["sick"] and row["verdict"] != "pass")


def rejected(row: Row) -> bool:
    """Whether the verdict is a rejection."""
    return bool(row["verdict"] == "fail")


def detection(rows: Sequence[Row], told: Told = flagged) -> Detection:
    """Return how well `told` parts sick rows from healthy ones."""
    return Detection(rate((row for row in rows if row["sick"]), told), rate((r for r in rows if not r["sick"]), told))


def rejection(rows: Sequence[Row]) -> Detection:
    """Return how well a rejection parts what no way of training teaches from what is healthy."""
    return Detection(
        rate((row for row in rows if hopeless(row)), rejected), rate((row for row in rows if not row["sick"]), rejected)
    )


def rate(rows: Iterable[Row], told: Told) -> Rate:
    """Return how many of the rows `told` is true of."""
    answers = [told(row) for row in rows]
    return Rate(sum(answers), len(answers))


def told_symptoms(row: Row) -> list[str]:
    """Return the symptoms of findings that weigh, first cause first."""
    return [symptom for _, symptom, severity in row["findings"] if severity in WEIGHTY]


def named(row: Row) -> bool:
    """Whether some finding that weighs names the fault."""
    return not set(row["symptoms"]).isdisjoint(told_symptoms(row))


def named_first(row: Row) -> bool:
    """Whether the first finding that weighs names the fault."""
    return told_symptoms(row)[:1] != [] and told_symptoms(row)[0] in row["symptoms"]


def recall(rows: Sequence[Row], symptom: str | None = None, told: Told = named) -> Rate:
    """Return how many sick rows, or those that `symptom` is a name for, have their fault named."""
    return rate((r for r in rows if r["sick"] and (symptom is None or symptom in r["symptoms"])), told)


def hopeless(row: Row) -> bool:
    """Whether a sick model beats the best constant prediction under most seeds in no way of training that was tried."""
    return bool(row["sick"] and row["trains"] is not None and row["trains"] < MOST)


def has(row: Row, symptom: str) -> bool:
    """Whether a row's model has a symptom; training stalls wherever nothing teaches it, whatever the fault is."""
    return symptom in row["symptoms"] or (symptom == "stalled_training" and hopeless(row))


def precision(rows: Sequence[Row], symptom: str | None = None) -> Rate:
    """Return how many of the symptoms told, or of the tellings of this one, are true of their model."""
    told = [(each, row) for row in rows for each in told_symptoms(row) if symptom in {None, each}]
    return Rate(sum(has(row, each) for each, row in told), len(told))


def by_peer(peer: str, rules: Iterable[str] | None = None) -> Told:
    """Return whether any rule of a peer fires, or any of these."""
    chosen = None if rules is None else frozenset(rules)

    def told(row: Row) -> bool:
        fired = row["peers"].get(peer, ())
        return bool(fired if chosen is None else chosen.intersection(fired))

    return told


def best_rules(rows: Sequence[Row], peer: str, rules: Sequence[str]) -> tuple[str, ...]:
    """Return the set of a peer's rules with the highest balanced accuracy on these rows, built rule by rule."""
    chosen: tuple[str, ...] = ()
    reached = 0.5
    while True:
        sets = [(*chosen, rule) for rule in rules if rule not in chosen]
        scores = [detection(rows, by_peer(peer, each)).balanced for each in sets]
        if not scores or not max(scores) > reached:
            return chosen
        reached = max(scores)
        chosen = sets[scores.index(reached)]
