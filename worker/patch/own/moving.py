"""Norms moved from behind the sums of residual branches to the front of the branches.

A block that says where its norm stands says so otherwise; a norm behind a residual layer goes inside it.  The last norm
of a row of branches stays where it was, behind them all.
"""

from collections.abc import Iterator
from typing import Any

from worker.patch.edits import Drop, Edit, Insert, Put
from worker.patch.places import Steps

_NORMS = frozenset({"layer_norm", "rms_norm", "batch_norm", "group_norm"})


def norms_in_front(document: Any) -> list[Edit]:  # noqa: ANN401  JSON
    """Return the edits that move every norm behind a residual sum of a chain to the front of its branch."""
    if "layers" not in document:
        return []
    row = _Row(("layers",), document["layers"])
    edits = list(row.edits())
    return edits + [Insert(("layers", len(document["layers"])), row.last)] * (row.last is not None)


class _Row:
    """A list of layers, and the norm that stood behind the sum before, which has no place yet."""

    def __init__(self, steps: Steps, layers: list[Any]) -> None:
        self.steps, self.layers = steps, layers
        self.last: dict[str, Any] | None = None

    def edits(self) -> Iterator[Edit]:
        """Yield the edits of the list, from its start."""
        skipped = False
        for index, layer in enumerate(self.layers):
            if skipped:
                skipped = False
                continue
            moved = self._moved(index, layer)
            if moved is None and self.last is not None:
                yield Insert((*self.steps, index), self.last)
                self.last = None
            edits, skipped = moved or ([], False)
            yield from edits

    def _moved(self, index: int, layer: dict[str, Any]) -> tuple[list[Edit], bool] | None:
        """Return the edits of one layer, and whether they take the next one in; None where it has no such norm."""
        at = (*self.steps, index)
        if layer["kind"] in {"transformer_block", "transformer_encoder"} and layer.get("norm") == "post":
            kept = {"epsilon": layer["norm_epsilon"]} if "norm_epsilon" in layer else {}
            self.last = {"kind": layer.get("norm_kind", "layer_norm"), **kept}
            return [Put((*at, "norm"), "pre")], False
        following = self.layers[index + 1] if index + 1 < len(self.layers) else {"kind": ""}
        if layer["kind"] == "residual" and following["kind"] in _NORMS:
            self.last = {key: following[key] for key in following if key != "name"}
            return [Insert((*at, "layers", 0), self.last), Drop((*self.steps, index + 1))], True
        if layer["kind"] == "repeat" and not layer.get("shared"):
            inner = _Row((*at, "layers"), layer["layers"])
            edits = list(inner.edits())
            if edits and inner.last is not None and not any(_is_added(edit, inner) for edit in edits):
                self.last = inner.last
                return edits, False
        return None


def _is_added(edit: Edit, row: _Row) -> bool:
    """Whether an edit puts a norm into the list itself."""
    return isinstance(edit, Insert) and edit.steps[:-1] == row.steps
