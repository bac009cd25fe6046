"""Counting which sequences of words, or of numbers that stand for them, a row holds."""

from collections import Counter
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from worker.network.graph import Text
from worker.network.ops import op


@op("TfIdfVectorizer", gradient=False)
def tf_idf(
    x: Tensor | Text,
    *,
    max_gram_length: int,
    max_skip_count: int,
    min_gram_length: int,
    mode: str,
    ngram_counts: Sequence[int],
    ngram_indexes: Sequence[int],
    pool_int64s: Sequence[int] = (),
    pool_strings: Sequence[str] = (),
    weights: Sequence[float] = (),
) -> Tensor:
    """How often each of some sequences occurs in a row (TF), its weight where it does (IDF), or both multiplied."""
    places = dict(zip(_pool(pool_strings or pool_int64s, ngram_counts), ngram_indexes, strict=True))
    rows = x.reshape(1, -1) if len(x.shape) == 1 else x
    found = torch.zeros(len(rows), max(ngram_indexes) + 1)
    for row, words in enumerate(rows.tolist()):
        grams = _grams(words, range(min_gram_length, max_gram_length + 1), max_skip_count)
        for gram, count in Counter(gram for gram in grams if gram in places).items():
            found[row, places[gram]] = count
    if mode == "IDF":
        found = (found > 0).float()
    if mode != "TF" and weights:
        scale = torch.ones(found.shape[1])
        scale[list(ngram_indexes)] = torch.tensor(list(weights))
        found = found * scale
    return found.reshape(-1) if len(x.shape) == 1 else found


def _pool(pool: Sequence[object], begins: Sequence[int]) -> Iterator[tuple[object, ...]]:
    """Yield the sequences that a pool holds: those of length n lie from the n-th begin on."""
    for length, (begin, end) in enumerate(zip(begins, [*begins[1:], len(pool)], strict=True), 1):
        for at in range(begin, end, length):
            yield tuple(pool[at : at + length])


def _grams(words: Sequence[object], lengths: Sequence[int], skips: int) -> Iterator[tuple[object, ...]]:
    """Yield a row's sequences, with up to so many words left out between two."""
    for length in lengths:
        for step in range(1, skips + 2 if length > 1 else 2):
            for begin in range(len(words) - step * (length - 1)):
                yield tuple(words[begin : begin + step * (length - 1) + 1 : step])
