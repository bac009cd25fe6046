"""The stages of an examination: told as they come, timed as they go."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.contract.words import Stage
from worker.passes import Passes, counted

Progress = Callable[[Stage, float, str], None]
"""Takes the stage, how much of the whole is done (0 to 1), and what is being done, which may be nothing."""


def silent(stage: Stage, done: float, detail: str) -> None:
    """Tell nobody."""


class Stopwatch:
    """Tells progress, keeps seconds per stage, and counts passes within stages."""

    def __init__(self, progress: Progress) -> None:
        """Tell each step to `progress`."""
        self._progress = progress
        self._done = 0.0
        self.seconds: dict[str, float] = {}
        self.passes = Passes()

    @contextmanager
    def stage(self, stage: Stage, done: float) -> Iterator[None]:
        """Time a stage; `done` is the share of the whole that lies before it."""
        self.tell(stage, done)
        start = time.monotonic()
        with counted(self.passes):
            yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - start

    def tell(self, stage: Stage, done: float, detail: str = "") -> None:
        """Tell progress within a stage: `detail` is what is being done, such as `trying layer-norm, 3 of 14`.

        What is told never falls: where work turns out to be more than was planned for, it stands still.
        """
        self._done = max(self._done, done)
        self._progress(stage, self._done, detail)
