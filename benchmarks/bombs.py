"""What becomes of uploads that ask for far more than they are: prints, per bomb, its end, seconds and peak memory.

Each is examined in a jail as in service, by a child that may take 1.5 GiB and three seconds; the memory is the child's,
what it shares with its zygote (torch, mostly) included.  The bombs are those of tests/bombs.

    python benchmarks/bombs.py [word …]     those whose name holds one of the words
"""

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.bombs.bombs import BOMBS, Bomb
from tests.bombs.corpus import KINDS
from tests.bombs.jail import MIB, Jail, jail


def row(bomb: Bomb, cell: Jail) -> dict[str, object]:
    """Return what became of one bomb."""
    size, outcome = len(bomb.build()), cell.run(bomb)
    return {
        "bytes": size,
        "outcome": outcome.problem.type.removeprefix("/problems/") if outcome.problem else "report",
        "seconds": round(outcome.seconds, 2),
        "peak_mib": round(outcome.peak_bytes / MIB),
        "detail": outcome.problem.detail[:200] if outcome.problem else "",
    }


def main(words: list[str]) -> None:
    """Print the table as JSON."""
    chosen = {name: bomb for name, bomb in BOMBS.items() if not words or any(word in name for word in words)}
    with tempfile.TemporaryDirectory() as folder, jail(Path(folder)) as cell:
        rows = {name: row(bomb, cell) for name, bomb in chosen.items()}
        limits = {"memory_mib": cell.memory_limit_bytes // MIB, "seconds": cell.limit_s}
    kinds = [kind.__name__.rpartition(".")[2] for kind in KINDS]
    print(json.dumps({"benchmark": "bombs", "kinds": kinds, "limits": limits, "bombs": rows}, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
