"""The families of the benchmark: a module each, with a function that yields its cases."""

from collections.abc import Callable, Iterator

from benchmarks.diagnosis.case import Case
from benchmarks.diagnosis.families.mlp import mlp

FAMILIES: tuple[Callable[[], Iterator[Case]], ...] = (mlp,)
