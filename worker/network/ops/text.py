"""Text: arrays of numpy's objects.  No float network holds it, but a label or a word may stand at its edges."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from worker.network.graph import Text
from worker.network.ops import Result, find, op

NUMBERS_ONLY = 18
"""The last version of Equal that knows no text."""
CASES: dict[str, Callable[[str], str]] = {"LOWER": str.lower, "UPPER": str.upper, "NONE": str}


@op("Equal", since=19, gradient=False)
def equal(a: Tensor | Text, b: Tensor | Text) -> Result:
    """Whether a and b are the same, element by element."""
    if isinstance(a, np.ndarray):
        return torch.from_numpy(np.asarray(a == b, bool))
    numbers = find("", "Equal", NUMBERS_ONLY)
    assert numbers is not None  # noqa: S101  it is one of ours
    return numbers.function(a, b)


@op("StringConcat", gradient=False)
def concat(a: Text, b: Text) -> Any:  # noqa: ANN401  text is no tensor
    """A and b one after the other, element by element."""
    return np.asarray(a + b, object)


@op("StringSplit", gradient=False)
def split(x: Text, *, delimiter: str | None = None, maxsplit: int | None = None) -> Any:  # noqa: ANN401  text is no tensor
    """The parts of each text along a new last axis, filled up with empty ones, and how many there are."""
    parts = [each.split(delimiter or None, -1 if maxsplit is None else maxsplit) for each in x.reshape(-1)]
    width = max(map(len, parts), default=0)
    rows = np.array([each + [""] * (width - len(each)) for each in parts], object)
    counts = torch.tensor([len(each) for each in parts], dtype=torch.int64)
    return rows.reshape(*x.shape, width), counts.reshape(x.shape)


@op("StringNormalizer", gradient=False)
def normalize(
    x: Text,
    *,
    case_change_action: str = "NONE",
    is_case_sensitive: int = 0,
    locale: str = "",
    stopwords: Sequence[str] = (),
) -> Any:  # noqa: ANN401  text is no tensor
    """The words of a row that are no stop words, in the case asked for; one empty word where none is left."""
    compared = str if is_case_sensitive else str.lower
    stops = {compared(word) for word in stopwords}
    words = [CASES[case_change_action](word) for word in x.reshape(-1) if compared(word) not in stops]
    return np.array(words or [""], object).reshape([1] * (x.ndim - 1) + [-1])
