"""Documents for patches, and what a treatment makes of one."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from service.contract.architecture import parse
from service.contract.words import LossName
from tests.probe.subjects import normal, with_target
from worker.budget import Deadline
from worker.load.architecture import lower
from worker.network.graph import Graph
from worker.patch import Patch, Unsaid, patch
from worker.patch.own import Own
from worker.probe.evidence import Evidence
from worker.probe.training import Ask
from worker.subject import Settings, Subject
from worker.treatments import Change, Inapplicable, treatments
from worker.trial import measured

Document = dict[str, Any]


def described(document: Document, *, seed: int = 0) -> Graph:
    """Return the network that a document describes."""
    return lower(parse(json.dumps(document).encode()), seed=seed)


@cache
def measured_once(text: str) -> tuple[Graph, Subject, Evidence]:
    """Return a document's network, a subject of it on inputs far from unit scale, and what was measured on it."""
    document = json.loads(text)
    graph, given = (
        described(document),
        document.get("inputs") or {document["input"].get("name", "input"): document["input"]},
    )
    loss = LossName(document.get("loss", "mse"))
    inputs = {name: 3 + 10 * normal(32, *each["shape"], seed=index) for index, (name, each) in enumerate(given.items())}
    subject = with_target(graph, inputs, loss=loss, settings=Settings(learning_rate=document.get("learning_rate")))
    subject = subject.replace(declared_loss="loss" in document)
    return graph, subject, measured(subject, Ask(10), Deadline.after(1e9))


def changed(document: Document, *names: str) -> Change | None:
    """Return what treatments, one behind the other, make of a document's network."""
    _, subject, evidence = measured_once(json.dumps(document))
    changes: list[str] = []
    for name in names:
        change = treatments[name].apply(subject, evidence)
        if isinstance(change, Inapplicable):
            return None
        subject, changes = change.subject, [*changes, *change.changes]
    return Change(subject, tuple(changes))


def patched(document: Document, *names: str) -> Patch | Unsaid:
    """Return the patch of a document that stands for treatments which have something to change in it."""
    change = changed(document, *names)
    assert change is not None
    graph, subject, _ = measured_once(json.dumps(document))
    return patch(document, Own(), graph, subject, change.subject)


def operations(document: Document, *names: str) -> list[Mapping[str, Any]]:
    """Return the operations of a patch that there must be."""
    made = patched(document, *names)
    assert isinstance(made, Patch), made
    return list(made.operations)
