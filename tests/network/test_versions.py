"""Each operator computes, in every version that opsets 7 and newer put in force, what that version means.

The truth is onnxruntime's, which knows each version by itself, or the reference evaluator's where it has none.
"""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import defs
from onnx.reference import ReferenceEvaluator

from tests.network.versions import elementwise, quantized, recurrent, reduce, sampling, shape, window
from tests.network.versions.case import NEWEST, Array, Case
from worker.network.model import interpret
from worker.network.run import Program

CASES = [
    each for family in (elementwise, shape, reduce, window, sampling, recurrent, quantized) for each in family.CASES
]
OLDEST = 7
QUIET = 4
ITS_NEWEST = 26
"""The newest opset that onnxruntime runs."""


def versions() -> dict[str, dict[int, tuple[int, int]]]:
    """Return the oldest and the newest opset in which each version of each operator is in force."""
    known: dict[str, list[int]] = defaultdict(list)
    for each in defs.get_all_schemas_with_history():
        if not each.domain:
            known[each.name].append(each.since_version)
    spans = {}
    for name, found in known.items():
        ends = [*(version - 1 for version in sorted(found)[1:]), NEWEST]
        both = zip(sorted(found), ends, strict=True)
        spans[name] = {since: (max(since, OLDEST), until) for since, until in both if until >= OLDEST}
    return spans


VERSIONS = versions()


def opsets(case: Case) -> Iterator[int]:
    """Yield the oldest and the newest opset of every version that a case fits."""
    for since, until in VERSIONS[case.operator].values():
        if (low := max(since, case.since)) <= (high := min(until, case.until)):
            yield from sorted({low, high})


def truth(case: Case, opset: int) -> list[Array]:
    """Return the outputs that are right."""
    if case.stated:
        return list(case.stated)
    errors = []
    for name, run in (("onnxruntime", by_onnxruntime), ("reference", by_reference)):
        if case.truth in {"", name}:
            try:
                return run(case, opset)
            except Exception as error:  # noqa: BLE001  each runtime has its own way of not knowing an operator
                errors.append(f"{name}: {error}")
    raise AssertionError("; ".join(errors))


def by_onnxruntime(case: Case, opset: int) -> list[Array]:
    """Return onnxruntime's outputs, by the newest opset it knows that has the same version of the operator."""
    since = max(each for each, (low, _) in VERSIONS[case.operator].items() if low <= opset)
    known = case.same_as or (ITS_NEWEST if since <= ITS_NEWEST < opset else opset)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = QUIET
    model = case.model(min(opset, known)).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return list(session.run(None, case.fed()))


def by_reference(case: Case, opset: int) -> list[Array]:
    """Return the reference evaluator's outputs."""
    with np.errstate(all="ignore"):
        return [np.asarray(each) for each in ReferenceEvaluator(case.model(opset)).run(None, case.fed())]


def ours(case: Case, opset: int) -> list[torch.Tensor]:
    """Return what we compute."""
    graph = interpret(case.model(opset))
    outputs = Program(graph).run({name: torch.from_numpy(value.copy()) for name, value in case.fed().items()})
    return [outputs[name] for name in graph.outputs]


def difference(mine: torch.Tensor, right: Array) -> str:
    """Return what is wrong with an output; "" where nothing is."""
    value = mine.float().numpy() if mine.dtype == torch.bfloat16 else mine.numpy()
    right = right.astype("float32") if mine.dtype == torch.bfloat16 else right
    if (value.dtype, value.shape) != (right.dtype, right.shape):
        return f"{value.dtype} {value.shape} for {right.dtype} {right.shape}"
    loose = 2e-3 if right.dtype == np.float16 else 1e-4
    same = np.allclose(value.astype("float64"), right.astype("float64"), loose, loose / 10, equal_nan=True)
    return "" if same else f"{value.reshape(-1)[:8]} for {right.reshape(-1)[:8]}"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("operator", sorted({case.operator for case in CASES}))
def test_an_operator_computes_what_its_version_means(operator: str) -> None:
    wrong = []
    for case in CASES:
        for opset in opsets(case) if case.operator == operator else ():
            right, mine = truth(case, opset), ours(case, opset)
            differing = [difference(*both) for both in zip(mine, right, strict=True)]
            wrong += [f"opset {opset}, {case.attributes}: {each}" for each in differing if each]
    assert not wrong


DEPRECATED = {"Scatter 11"}
"""Versions that no valid file holds."""
ELSEWHERE = {
    "ImageDecoder": "decodes files of pictures, which no network here is given; it is refused by name",
    "RegexFullMatch": "matches text by another library's expressions; it is refused by name",
    "StringConcat": "text; the suite's own cases hold it",
    "StringNormalizer": "text; the suite's own cases hold it",
    "StringSplit": "text; the suite's own cases hold it",
    "TfIdfVectorizer": "counts n-grams; the suite's own cases hold it",
    **dict.fromkeys(
        (
            *("ConcatFromSequence", "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase"),
            *("SequenceInsert", "SequenceLength", "SequenceMap", "SplitToSequence"),
        ),
        "sequences; the suite's own cases hold them",
    ),
    **dict.fromkeys(
        ("Optional", "OptionalGetElement", "OptionalHasElement"), "optional values; the suite's own cases hold them"
    ),
}
"""Operators that are tried in no version here, and why."""


def test_every_version_of_every_operator_is_tried() -> None:
    known = {(name, since) for name, found in VERSIONS.items() for since in found if name not in ELSEWHERE}
    tried = {(case.operator, since) for case in CASES for since in VERSIONS[case.operator] if fits(case, since)}
    assert {f"{name} {since}" for name, since in known - tried} <= DEPRECATED
    assert not ELSEWHERE.keys() & {name for name, _ in tried}


def fits(case: Case, since: int) -> bool:
    """Whether a case is one of this version's."""
    low, high = VERSIONS[case.operator][since]
    return max(low, case.since) <= min(high, case.until)
