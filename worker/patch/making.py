"""From a treated copy to a patch that gives it."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import jsonpatch
import structlog

from service.contract.problem import Trouble
from worker.network.graph import Graph
from worker.patch.alike import alike
from worker.patch.dialect import Dialect
from worker.patch.difference import Difference, without_joins
from worker.patch.edits import Edit, Operation, Put, operations
from worker.patch.places import Atlas, NoWay, Steps, Stuck
from worker.patch.survey import Survey
from worker.subject import Subject

log = structlog.get_logger(__name__)

_MOST_OPENINGS: Final = 200


@dataclass(frozen=True)
class Patch:
    """Operations that turn the uploaded document into the treated one."""

    operations: tuple[Operation, ...]
    document: Any
    """The treated document."""
    note: str = ""
    """What the operations add beside what was changed."""


@dataclass(frozen=True)
class Unsaid:
    """Why there is no patch, as a sentence."""

    reason: str


def patch(
    document: Any,  # noqa: ANN401  JSON
    dialect: Dialect,
    graph: Graph,
    untreated: Subject,
    treated: Subject,
) -> Patch | Unsaid:
    """Return the patch of `document` that makes of it what the treated copy is.

    `graph` is the model with all its outputs; the subjects have the one that the loss reads.
    """
    try:
        return _proven(document, dialect, graph, untreated, treated)
    except (NoWay, Trouble) as error:
        return Unsaid(str(error))
    except Exception as error:  # a report is not lost over a patch
        log.exception("a patch could not be written")
        return Unsaid(f"A fault of ours keeps this patch from being written ({type(error).__name__}).")


def _proven(
    document: Any,  # noqa: ANN401  JSON
    dialect: Dialect,
    graph: Graph,
    untreated: Subject,
    treated: Subject,
) -> Patch | Unsaid:
    """Return the patch if the document that it makes, read again, is the treated copy."""
    after = treated.graph.replace(outputs=_outputs(graph, untreated, treated))
    changed = dict(_settings(untreated, treated))
    try:
        made = _in_stages(document, dialect, graph, after, changed)
    except NoWay:
        guessed = _guessed(document, dialect, after, changed)
        if guessed is None:
            raise
        return guessed
    if not _says(dialect, made.document, after, changed):
        return _guessed(document, dialect, after, changed) or Unsaid(
            "The file's format has no way to say this change exactly."
        )
    return replace(made, note=dialect.remark(document, changed))


def _says(dialect: Dialect, document: Any, after: Graph, changed: dict[str, Any]) -> bool:  # noqa: ANN401  JSON
    """Whether a document, read again, is the treated copy."""
    again = dialect.read(document)
    right = all(again.settings.get(name) == value for name, value in changed.items())
    return right and alike(after, again.graph) is not None


def _guessed(document: Any, dialect: Dialect, after: Graph, changed: dict[str, Any]) -> Patch | None:  # noqa: ANN401
    """Return the first of the dialect's guesses that is right, with the settings; None where none is."""
    for edits in dialect.guesses(document):
        made = operations(document, [*edits, *dialect.settings(document, changed)])
        treated = applied(document, made)
        if edits and _says(dialect, treated, after, changed):
            return Patch(tuple(made), treated, dialect.remark(document, changed))
    return None


def _in_stages(
    document: Any,  # noqa: ANN401  JSON
    dialect: Dialect,
    graph: Graph,
    after: Graph,
    changed: dict[str, Any],
) -> Patch:
    """Return the patch, unproven; layers are changed first, and then joined across others."""
    middle = without_joins(graph, after)
    made = _made(document, dialect, Difference.between(graph, middle), changed)
    if middle is after:
        return made
    more = _made(made.document, dialect, Difference.between(middle, after), {})
    return Patch((*made.operations, *more.operations), more.document)


def _made(document: Any, dialect: Dialect, difference: Difference, changed: dict[str, Any]) -> Patch:  # noqa: ANN401
    """Return the patch of one stage."""
    done: list[Operation] = []
    for _ in range(_MOST_OPENINGS):
        likeness = alike(difference.before, read := dialect.read(document).graph)
        if likeness is None:
            message = "The file's format cannot be written out here."
            raise NoWay(message)
        survey = Survey(difference, Atlas.of(read, likeness))
        edits, stuck = _edits(document, dialect, survey)
        if not stuck:
            edits += [*dialect.at_inputs(document, survey), *dialect.settings(document, changed)]
        more = operations(document, _once(edits if not stuck else dialect.opened(document, survey, stuck)))
        document = applied(document, more)
        done += more
        if not stuck:
            return Patch(tuple(done), document)
    message = "The change differs at too many places of one layer of the file."
    raise NoWay(message)


def _once(edits: Iterable[Edit]) -> Iterator[Edit]:
    """Yield edits, but what is put in one place only once."""
    put: dict[Steps, Any] = {}
    for edit in edits:
        if isinstance(edit, Put) and edit.steps in put and put[edit.steps] == edit.value:
            continue
        if isinstance(edit, Put):
            put[edit.steps] = edit.value
        yield edit


def _edits(document: Any, dialect: Dialect, survey: Survey) -> tuple[list[Edit], list[NoWay]]:  # noqa: ANN401  JSON
    """Return the edits of all layers, and where one place stands for several that must become different."""
    edits: list[Edit] = []
    stuck: list[NoWay] = []
    for steps in survey.wanted:
        try:
            edits.extend(dialect.edits(document, steps, survey))
        except Stuck as problem:
            stuck.append(problem)
    return edits, stuck


def applied(document: Any, made: Sequence[Operation]) -> Any:  # noqa: ANN401  JSON
    """Return the document with operations applied, which shares nothing with it or with them."""
    return jsonpatch.apply_patch(document, json.dumps(made))


def _outputs(graph: Graph, untreated: Subject, treated: Subject) -> tuple[str, ...]:
    """Return the model's outputs after the change: where the loss reads another value, that stands for its output."""
    if treated.output == untreated.output:
        return graph.outputs
    makers = graph.producers()

    def leads(value: str) -> bool:
        while value in makers and value != untreated.output:
            value = makers[value].inputs[0] if makers[value].inputs else ""
        return value == untreated.output

    read = next((name for name in graph.outputs if leads(name)), graph.outputs[0])
    return tuple(treated.output if name == read else name for name in graph.outputs)


def _settings(untreated: Subject, treated: Subject) -> Iterator[tuple[str, Any]]:
    """Yield what changes in how the network is trained, as JSON."""
    before, after = untreated.settings, treated.settings
    for name in ("optimizer", "learning_rate", "momentum", "weight_decay", "warmup", "loss_scale", "precision"):
        if getattr(before, name) != getattr(after, name):
            yield name, getattr(after, name)
    if before.clipping != after.clipping:
        yield "clipping", after.clipping and after.clipping.model_dump(mode="json")
    if (untreated.loss.name, untreated.output) != (treated.loss.name, treated.output):
        yield "loss", str(treated.loss.name)
