"""docs/operators.md: every operator with its versions, whether a gradient passes, and what the suite says."""

from collections import Counter
from collections.abc import Iterator

from conformance import results, table
from onnx import defs
from reasons import reason
from suite import cases

from worker.network.ops import NEWEST, Operator, find, operators

HEAD = """# Operators

Written by `make conformance`; a test holds it to the code.

ONNX's own backend suite (`onnx.backend.test`), run by its own runner against `worker.network.backend`:

{summary}

Those that do not pass:

{failing}

An operator is computed by a function of ours, or by the definition that ONNX's schema gives of it.  A gradient passes
to every float input unless the last column but one says otherwise.  The suite's cases are those of its node part that
are about the operator.

"""
DOMAINS = {"": "ai.onnx", "ai.onnx.ml": "ai.onnx.ml", "com.microsoft": "com.microsoft"}
LEFT_OUT = {
    "ImageDecoder": "decodes pictures from bytes; no gradient could pass, and a batch comes decoded",
    "RegexFullMatch": "text only",
    "ZipMap": "left out: the probabilities before it are the output",
}
"""Why operators are not computed."""


def page() -> str:
    """Return the page."""
    rows = [row for domain in DOMAINS for row in _rows(domain)]
    head = HEAD.format(summary="\n".join(_summary()), failing="\n".join(_failing()))
    return head + "\n".join(rows) + "\n"


def _summary() -> Iterator[str]:
    yield "| values | cases | pass | fail | not supported |"
    yield "| --- | --- | --- | --- | --- |"
    for name, counts in table(results()).items():
        ended = " | ".join(str(counts.get(status, 0)) for status in ("cases", "pass", "fail", "unsupported"))
        yield f"| {name} | {ended} |"


def _failing() -> Iterator[str]:
    """Yield, for each reason, the cases that do not pass for it."""
    found: dict[str, list[str]] = {}
    for key, ended in results().items():
        if ended.status != "pass":
            found.setdefault(reason(key) or ended.why, []).append(f"`{key.rsplit('/', 1)[-1].removeprefix('test_')}`")
    for why, names in found.items():
        yield f"- {', '.join(names)}: {why}."


def _rows(domain: str) -> Iterator[str]:
    yield f"## {DOMAINS[domain]}\n"
    yield "| operator | versions | computed | gradient | suite |"
    yield "| --- | --- | --- | --- | --- |"
    seen = _seen()
    for name, versions in sorted(_versions(domain).items()):
        yield f"| {name} | {', '.join(map(str, versions))} | {_how(domain, name)} | {seen.get((domain, name), '')} |"
    yield ""


def _versions(domain: str) -> dict[str, list[int]]:
    """Return the versions of each operator: those of ONNX's schemas, or of our functions where ONNX has none."""
    found: dict[str, list[int]] = {}
    for schema in sorted(defs.get_all_schemas_with_history(), key=lambda each: each.since_version):
        if schema.domain == domain:
            found.setdefault(schema.name, []).append(schema.since_version)
    for key in operators:
        own, name, since = key.rsplit("/", 2)
        if own == domain and name not in found:
            found[name] = [int(since)]
    return found


def _how(domain: str, name: str) -> str:
    operator = find(domain, name, NEWEST)
    if operator is not None:
        return f"function | {_gradient(operator)}"
    schema = defs.get_schema(name, domain=domain)
    if schema.has_function or schema.has_context_dependent_function:
        return "definition | as its parts"
    return f"no: {LEFT_OUT.get(name, 'not a part of neural networks')} | "


def _gradient(operator: Operator) -> str:
    if not operator.gradient:
        return "none"
    if operator.fixed:
        return f"not to input {', '.join(str(place) for place in sorted(operator.fixed))}"
    return "yes"


def _seen() -> dict[tuple[str, str], str]:
    """Return how many of the node cases about each operator pass."""
    ended = results()
    counts: Counter[tuple[str, str]] = Counter()
    right: Counter[tuple[str, str]] = Counter()
    for key, case in cases().items():
        nodes = case.model.graph.node
        if case.kind == "node" and nodes and not case.name.endswith("_expanded"):
            about = nodes[-1].domain, nodes[-1].op_type
            counts[about] += 1
            right[about] += ended[key].status == "pass"
    return {about: f"{right[about]} of {count}" for about, count in counts.items()}
