"""The second batch is read as the first one is, and what is wrong with it is said to be so of it."""

import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch

from service.contract.options import Options
from service.contract.problem import BatchMismatch, UnreadableBatch
from worker.load.second import on_second
from worker.load.subject import Loaded, load

MODEL = {
    "gradgate": "1",
    "input": {"shape": [2]},
    "layers": [{"kind": "dense", "units": 3}, {"kind": "softmax"}],
}
FIRST = {"input": [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], "target": [0, 1, 2]}


def loaded(folder: Path, first: dict[str, Any] | None = FIRST) -> Loaded:
    """A model with its first batch."""
    model, batch = folder / "model.json", folder / "first.json"
    model.write_text(json.dumps(MODEL))
    batch.write_text(json.dumps(first))
    return load(model, batch if first else None, Options(), MappingProxyType({}), torch.device("cpu"))


def second(folder: Path, content: object) -> Path:
    """A file of this content."""
    path = folder / "second.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_the_subject_stands_on_the_other_samples_and_is_the_same_else(tmp_path: Path) -> None:
    one = loaded(tmp_path)
    other = on_second(one, second(tmp_path, {"input": [[2.0, 2.0], [3.0, 3.0]], "target": [[2], [1]]}))
    assert other.batch.inputs["input"].tolist() == [[2, 2], [3, 3]]
    assert other.target.tolist() == [2, 1]
    assert other.graph is one.subject.graph
    assert (other.loss, other.output) == (one.subject.loss, one.subject.output)
    assert one.subject.target.tolist() == [0, 1, 2]


def test_a_target_is_drawn_where_the_first_batch_has_none(tmp_path: Path) -> None:
    one = loaded(tmp_path, {"input": FIRST["input"]})
    assert len(on_second(one, second(tmp_path, {"input": [[2.0, 2.0], [3.0, 3.0]]})).target) == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"input": [[1.0, 2.0, 3.0]], "target": [0]}, "'input' has the shape [1, 3]"),
        ({"input": [[1.0, 2.0]], "target": [0, 1]}, "target"),
        ({"input": [[1.0, 2.0]], "target": [7]}, "7"),
        ({"input": [[1.0, 2.0]]}, "no target"),
        ({"other": [[1.0, 2.0]], "extra": [[1.0]], "target": [0]}, "input"),
        (FIRST, "first batch once more"),
    ],
)
def test_what_does_not_fit_is_said_of_the_second_batch(tmp_path: Path, content: object, says: str) -> None:
    with pytest.raises(BatchMismatch) as caught:
        on_second(loaded(tmp_path), second(tmp_path, content))
    assert caught.value.detail.startswith("In the second batch: ")
    assert says in caught.value.detail


def test_what_cannot_be_read_is_said_of_the_second_batch(tmp_path: Path) -> None:
    with pytest.raises(UnreadableBatch, match="In the second batch: "):
        on_second(loaded(tmp_path), second(tmp_path, "{"))
