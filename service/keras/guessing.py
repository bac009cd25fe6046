"""What a word that is not Keras's may have been meant for."""

from collections.abc import Iterable
from difflib import get_close_matches


def meant(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return the end of a sentence about an unknown word: the nearest known one, or what to do otherwise."""
    near = get_close_matches(word[:40], list(known), 1, cutoff=0.75)
    return f"; did you mean {near[0]!r}?" if near else f"{otherwise}."
