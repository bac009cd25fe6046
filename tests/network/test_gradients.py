"""Gradients of ONNX's own suite: one case of each form of each operator; `benchmarks/operators.py` judges all."""

import sys
from collections import defaultdict
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from gradient_cases import gradient_cases, version_cases
from gradient_judge import judge
from gradient_results import at_fault, one_of_each, results, share

from worker.network.ops import find

ENOUGH = 0.99
"""The least share of right ones among cases with a gradient."""
SILENT = {"zero", "cut", "missing"}
UNASKED = {"nothing float", "unsupported", "failed"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_what_was_right_is_right() -> None:
    """The verdict on each is the one noted; asking onnx's reference evaluator is left to the benchmark."""
    noted = results()
    chosen = one_of_each(gradient_cases())
    found = {case.key: judge(case.key, case.model, case.inputs, reference=False) for case in chosen}
    changed = {key: (noted[key].verdict, each) for key, each in found.items() if each.verdict != noted[key].verdict}
    assert not changed, "run `benchmarks/operators.py --write` where this is for the better"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_gradients_of_every_version_are_right() -> None:
    found = {
        case.key: judge(case.key, case.model, case.inputs, reference=False) for case in one_of_each(version_cases())
    }
    assert {key: why for key, why in at_fault(found).items() if not why.startswith("kink")} == {}
    assert share(found) >= ENOUGH
    assert sum(each.verdict == "right" for each in found.values()) > 1000


def test_every_case_is_judged_and_enough_are_right() -> None:
    noted = results()
    assert noted.keys() == {case.key for case in gradient_cases()}
    assert share(noted) >= ENOUGH


def test_the_marks_of_operators_are_what_their_cases_say() -> None:
    """An operator is marked as passing no gradient exactly if none comes back in any of its cases."""
    noted = results()
    verdicts: defaultdict[tuple[str, bool], set[str]] = defaultdict(set)
    for case in gradient_cases():
        (node, *others), opset = case.model.graph.node, case.model.opset_import[0].version
        operator = None if others else find(node.domain, node.op_type, opset)
        if operator is not None:
            verdicts[node.op_type, operator.gradient].add(noted[case.key].verdict)
    unmarked = [
        name for (name, passes), found in verdicts.items() if passes and found & SILENT and "right" not in found
    ]
    assert not unmarked, "no gradient comes back, and nothing says so"
    marked = [name for (name, passes), found in verdicts.items() if not passes and found - SILENT - UNASKED]
    assert not marked, "a gradient comes back, and a mark says that none does"
    assert len(verdicts) > 150
