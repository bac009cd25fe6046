"""The stages of an examination: told as they come, timed as they go."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.contract.words import Stage
from worker.passes import Passes, counted

Progress = Callable[[Stage, float], None]
"""Takes the stage and how much of the whole is done, 0 to 1."""


def silent(stage: Stage, done: float) -> None:
    """Tell nobody."""


class Stopwatch:
    """Tells progress, keeps seconds per stage, and counts passes within stages."""

    def __init__(self, progress: Progress) -> None:
        """Tell each step to `progress`."""
        self._progress = progress
        self.seconds: dict[str, float] = {}
        self.passes = Passes()

    @contextmanager
    def stage(self, stage: Stage, done: float) -> Iterator[None]:
        """Time a stage; `done` is the share of the whole that lies before it."""
        self._progress(stage, done)
        start = time.monotonic()
        with counted(self.passes):
            yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - start

    def tell(self, stage: Stage, done: float) -> None:
        """Tell progress within a stage."""
        self._progress(stage, done)
