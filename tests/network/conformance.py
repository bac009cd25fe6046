"""The whole suite in one run: prints how many cases of each category pass, and writes down how each ended.

    python tests/network/conformance.py

What it writes, `conformance.txt`, is what tests hold later versions to, and what docs/operators.md is made from.
"""

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

from suite import Verdict, cases, verdict

RESULTS = Path(__file__).with_name("conformance.txt")
ORDER = ("float", "int/bool", "light")
"""Categories of plain tensors, which come first in the table."""


def results() -> dict[str, Verdict]:
    """Return how each case ended when the suite was last run as a whole."""
    lines = (line.split(" ", 2) for line in RESULTS.read_text(encoding="utf-8").splitlines())
    return {key: Verdict(status, *why) for key, status, *why in lines}


def written(found: dict[str, Verdict]) -> str:
    """Return the text of `conformance.txt`."""
    return "".join(f"{key} {each.status} {each.why}".rstrip() + "\n" for key, each in sorted(found.items()))


def table(found: dict[str, Verdict]) -> dict[str, dict[str, int]]:
    """Return, for each category, how many cases there are and how they ended."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for key, case in cases().items():
        counts[case.category].update({"cases": 1, found[key].status: 1})
    ordered = sorted(counts, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
    return {name: dict(counts[name]) for name in ordered}


def main() -> None:
    """Run everything."""
    torch.set_num_threads(1)
    found = {key: verdict(key) for key in cases()}
    RESULTS.write_text(written(found), encoding="utf-8")
    for name, counts in table(found).items():
        ended = ", ".join(
            f"{counts[status]} {status}" for status in ("pass", "fail", "unsupported") if status in counts
        )
        print(f"{name:12} {counts['cases']:5} cases: {ended}")  # noqa: T201  the script's answer
    for key, each in sorted(found.items()):
        if each.status != "pass":
            print(f"{each.status:12} {key}: {each.why}")  # noqa: T201  the script's answer
    print(json.dumps(table(found)))  # noqa: T201  the script's answer


if __name__ == "__main__":
    main()
