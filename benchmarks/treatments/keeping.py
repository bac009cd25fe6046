"""Keeps what models came to under build/treatments/, by what it depends on, so that a rerun costs what has changed."""

import hashlib
import io
import json
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.diagnosis.case import Case

ROOT: Final = Path(__file__).parents[2]
_CODE: Final = ("worker", "service", "benchmarks/treatments")
_TELLING: Final = {"tables.py", "page.py", "__init__.py"}
"""Files of the benchmark that measure nothing."""


class Kept:
    """The rows of one kind of run."""

    def __init__(self, kind: str) -> None:
        """Read what is kept of this kind."""
        self._path = ROOT / "build" / "treatments" / f"{kind}.jsonl"

    def read(self, case: Case) -> dict[str, Any] | None:
        """Return what a model came to, if the model and the code are what they were."""
        return self._rows.get(self._key(case))

    def write(self, case: Case, row: dict[str, Any]) -> None:
        """Keep what a model came to."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": self._key(case), "row": row}) + "\n")

    @cached_property
    def _rows(self) -> dict[str, dict[str, Any]]:
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        return {line["key"]: line["row"] for line in map(json.loads, lines)}

    def _key(self, case: Case) -> str:
        """Return a digest of everything that what a model comes to depends on."""
        held = io.BytesIO()
        for name in sorted(case.batch):
            np.save(held, case.batch[name])
        options = json.dumps(dict(case.options), sort_keys=True, default=str)
        parts = (case.model, held.getvalue(), options.encode(), self._state)
        return hashlib.sha256(b"|".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()

    @cached_property
    def _state(self) -> bytes:
        """A digest of the code as it is now."""
        digest = hashlib.sha256()
        for path in sorted(each for top in _CODE for each in (ROOT / top).rglob("*.py")):
            if path.parent.name == "treatments" and path.parents[1].name == "benchmarks" and path.name in _TELLING:
                continue
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
        return digest.digest()
