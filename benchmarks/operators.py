"""The gradients of every case of ONNX's suite; prints JSON.  `--write` writes them to tests/network/gradients.txt.

What is judged and how stands in tests/network/gradient_judge.py.
"""

import json
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "network"))

from gradient_cases import gradient_cases
from gradient_judge import judge
from gradient_results import COUNTED, RESULTS, share, table, written


def main() -> None:
    """Judge everything."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    begun = time.perf_counter()
    found = {case.key: judge(case.key, case.model, case.inputs) for case in gradient_cases()}
    if "--write" in sys.argv:
        RESULTS.write_text(written(found), encoding="utf-8")
    document = {
        "seconds": round(time.perf_counter() - begun),
        "by category": table(found),
        "with a gradient": sum(each.verdict in COUNTED for each in found.values()),
        "right": sum(each.verdict == "right" for each in found.values()),
        "share": round(share(found), 4),
        "reference, where right": Counter(each.reference for each in found.values() if each.verdict == "right"),
        "not right": {
            key: f"{each.verdict}: {each.reason}"
            for key, each in found.items()
            if each.verdict in COUNTED and each.verdict != "right"
        },
    }
    print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
