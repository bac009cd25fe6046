"""The gradients of every case of ONNX's suite, and of every version of every operator; prints JSON.

`--write` notes those of the suite in tests/network/gradients.txt, which tests hold later versions to.

What is judged and how stands in tests/network/gradient_judge.py.
"""

import json
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "network"))

from gradient_cases import GradientCase, gradient_cases, version_cases
from gradient_judge import Judgement, judge
from gradient_results import RESULTS, at_fault, share, table, written


def main() -> None:
    """Judge everything."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    begun = time.perf_counter()
    suite, versions = (judged(cases) for cases in (gradient_cases(), version_cases()))
    if "--write" in sys.argv:
        RESULTS.write_text(written(suite), encoding="utf-8")
    document = {
        "seconds": round(time.perf_counter() - begun),
        "suite, by category": table(suite),
        "suite": summary(suite),
        "every version of every operator": summary(versions),
    }
    print(json.dumps(document, indent=2))


def judged(given: Iterable[GradientCase]) -> dict[str, Judgement]:
    """Return the verdict on each case."""
    return {case.key: judge(case.key, case.model, case.inputs) for case in given}


def summary(found: dict[str, Judgement]) -> dict[str, object]:
    """Return how many are right, what the reference evaluator said of those, and why the others are not."""
    right = [each for each in found.values() if each.verdict == "right"]
    return {
        "verdicts": dict(Counter(each.verdict for each in found.values())),
        "right": len(right),
        "share of those with a gradient": round(share(found), 4),
        "reference, where right": dict(Counter(each.reference for each in right)),
        "not right": at_fault(found),
    }


if __name__ == "__main__":
    main()
