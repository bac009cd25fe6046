"""The catalogues, from the code: what `service/catalogue/*.json` and the pages in `docs/` hold."""

from collections.abc import Iterator, Mapping
from inspect import getdoc
from typing import Any

from worker.network.ops import operators
from worker.rules import Rule, rules
from worker.treatments import Treatment, treatments

Entry = Mapping[str, Any]


def rule_entries() -> list[Entry]:
    """Return every rule with its page."""
    return [
        {
            "code": rule.code,
            "title": rule.title,
            "symptom": rule.symptom,
            "severity": "error where it is certain or the training trial fails, else warning",
            "thresholds": rule.thresholds,
            "aliases": list(rule.aliases),
            "sections": rule.sections,
        }
        for rule in rules.values()
    ]


def treatment_entries() -> list[Entry]:
    """Return every treatment with its page."""
    return [
        {
            "name": treatment.name,
            "kind": treatment.kind,
            "title": treatment.title,
            "symptoms": sorted(treatment.symptoms),
            "cost": treatment.cost,
            "retrains": treatment.retrains,
            "hints": treatment.hints.filled({}),
            "sections": treatment.sections,
        }
        for treatment in treatments.values()
    ]


def operator_entries() -> list[Entry]:
    """Return every operator that a function computes; what else has a body in the specification runs by that."""
    found = []
    for key, operator in operators.items():
        domain, name, _ = key.split("/")
        title = (getdoc(operator.function) or "").partition("\n")[0]
        found.append({"name": name, "domain": domain or "ai.onnx", "since": operator.since, "title": title})
    return sorted(found, key=lambda entry: (entry["domain"], entry["name"], entry["since"]))


def rules_page() -> str:
    """Return docs/rules.md."""
    return "\n".join(_page("Rules", (_rule(rule) for rule in rules.values())))


def treatments_page() -> str:
    """Return docs/treatments.md."""
    return "\n".join(_page("Treatments", (_treatment(treatment) for treatment in treatments.values())))


def _page(title: str, parts: Iterator[list[str]]) -> Iterator[str]:
    yield f"# {title}\n"
    yield "Written by `make generate` from the code's own docstrings.\n"
    for part in parts:
        yield from part


def _rule(rule: Rule) -> list[str]:
    limits = ", ".join(f"`{name}` = {value:g}" for name, value in rule.thresholds.items()) or "none"
    aliases = ", ".join(rule.aliases) or "none"
    facts = f"Symptom: `{rule.symptom}`. Limits: {limits}. Elsewhere called: {aliases}.\n"
    return [f"## {rule.code} {rule.title}\n", facts, *_sections(rule.sections)]


def _treatment(treatment: Treatment) -> list[str]:
    symptoms = ", ".join(f"`{symptom}`" for symptom in sorted(treatment.symptoms))
    tried = f"Tried against: {symptoms}." if symptoms else "Tried where it is asked for by name."
    lost = "Trained weights are lost." if treatment.retrains else "Trained weights are kept."
    facts = f"Kind: `{treatment.kind}`. Cost: {treatment.cost}. {tried} {lost}\n"
    return [f"## {treatment.name}: {treatment.title}\n", facts, *_sections(treatment.sections), *_hints(treatment)]


def _hints(treatment: Treatment) -> Iterator[str]:
    """Yield the code that makes the same change in each framework."""
    for framework, lines in treatment.hints.filled({}).items():
        yield f"In {'Keras' if framework == 'keras' else framework}:\n\n```python\n{lines}\n```\n"


def _sections(sections: Mapping[str, str]) -> list[str]:
    return [f"**{heading}.** {text}\n" for heading, text in sections.items()]
