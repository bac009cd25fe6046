"""What a peer is: a name, where its thresholds stand, and rules that read a trace."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.diagnosis.traces import Trace


@dataclass(frozen=True)
class PeerRule:
    """One rule of a peer."""

    name: str
    """The peer's own word for it."""
    fires: Callable[[Trace], bool]
    symptoms: frozenset[str]
    """Our symptoms that it would be right about."""


@dataclass(frozen=True)
class Peer:
    """A published tool."""

    name: str
    source: str
    rules: tuple[PeerRule, ...]
    reading: str = ""
    """How its documents were read where they leave something open."""

    def symptoms(self, fired: list[str]) -> set[str]:
        """Return the symptoms that these rules of it stand for."""
        return {symptom for rule in self.rules if rule.name in fired for symptom in rule.symptoms}


def rule(name: str, fires: Callable[[Trace], bool], *symptoms: str) -> PeerRule:
    """Return a rule."""
    return PeerRule(name, fires, frozenset(symptoms))


def broken(trace: Trace) -> bool:
    """Whether a loss, a weight, a gradient or an activation is not finite at any step."""
    losses = any(abs(loss) == float("inf") or loss != loss for loss in trace.losses)  # noqa: PLR0124  not a number
    weights = (each.finite and each.gradient_finite for step in trace.steps for each in step.weights.values())
    return losses or not all(weights) or not all(a.finite for step in trace.steps for a in step.activations.values())
