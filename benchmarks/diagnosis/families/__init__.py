"""The families of the benchmark: a module each, with a function that yields its cases."""

from collections.abc import Callable, Iterator

from benchmarks.diagnosis.case import Case
from benchmarks.diagnosis.families.branching import branching
from benchmarks.diagnosis.families.files import files
from benchmarks.diagnosis.families.heads import heads
from benchmarks.diagnosis.families.mlp import mlp
from benchmarks.diagnosis.families.rates import rates
from benchmarks.diagnosis.families.recurrent import recurrent
from benchmarks.diagnosis.families.transformer import transformer
from benchmarks.diagnosis.families.units import units

FAMILIES: tuple[Callable[[], Iterator[Case]], ...] = (
    mlp,
    units,
    branching,
    recurrent,
    transformer,
    heads,
    rates,
    files,
)
