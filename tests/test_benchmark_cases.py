"""The labelled benchmark: its cases are what they say they are."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence

import onnx
import pytest

from benchmarks.diagnosis.case import LABELS, Case, cases
from benchmarks.diagnosis.families.mlp import mlp
from service.contract.architecture import Architecture
from service.contract.options import Options
from service.contract.words import Symptom


@pytest.fixture(scope="module")
def built() -> Sequence[Case]:
    return tuple(cases())


def test_every_model_is_well_formed(built: Sequence[Case]) -> None:
    for case in built:
        if case.suffix == ".json":
            Architecture.model_validate_json(case.model).checked()
        else:
            onnx.checker.check_model(onnx.load_from_string(case.model))
        Options.model_validate(dict(case.options))


def test_names_and_uploads_are_unique(built: Sequence[Case]) -> None:
    assert len({case.name for case in built}) == len(built)
    assert len({_digest(case) for case in built}) == len(built)


def test_the_halves_share_no_model_and_no_batch(built: Sequence[Case]) -> None:
    halves = {half: [case for case in built if case.half == half] for half in ("tuning", "held-out")}
    seeds = [{case.options["seed"] for case in half} for half in halves.values()]
    batches = [{_arrays(case) for case in half} for half in halves.values()]
    assert seeds[0].isdisjoint(seeds[1])
    assert batches[0].isdisjoint(batches[1])
    assert [case.family for case in halves["tuning"]] == [case.family for case in halves["held-out"]]


def test_half_of_what_is_scored_is_healthy(built: Sequence[Case]) -> None:
    for half in ("tuning", "held-out"):
        scored = [case for case in built if case.half == half and case.scored]
        assert 0.4 <= sum(case.sick for case in scored) / len(scored) <= 0.6


def test_there_are_enough_cases_of_every_kind(built: Sequence[Case]) -> None:
    scored = [case for case in built if case.scored]
    kinds = Counter((case.sick, case.hard) for case in scored)
    assert len(scored) >= 120
    assert min(kinds.values()) >= 20
    assert len(kinds) == 4


def test_the_sick_and_no_others_have_symptoms(built: Sequence[Case]) -> None:
    for case in built:
        assert case.symptoms <= set(Symptom)
        assert bool(case.symptoms) == case.sick or not case.scored
        assert (case.severity == "healthy") == (not case.sick) or not case.scored


def test_every_case_is_labelled_and_nothing_else_is(built: Sequence[Case]) -> None:
    labels = json.loads(LABELS.read_text(encoding="utf-8"))["cases"]
    assert labels.keys() == {case.name for case in built}


def test_a_case_is_scored_where_construction_and_training_agree(built: Sequence[Case]) -> None:
    labels = json.loads(LABELS.read_text(encoding="utf-8"))["cases"]
    for case in built:
        entry = labels[case.name]
        assert case.scored == (entry["label"] != "borderline")
        if case.scored:
            assert case.sick == (entry["label"] in {"untrainable", "fault"})
            assert case.certain or entry["label"] != "fault"
            assert "reason" not in entry


def test_a_case_is_built_alike_every_time() -> None:
    assert [_digest(case) for case in mlp()] == [_digest(case) for case in mlp()]


def _digest(case: Case) -> str:
    options = json.dumps(case.options, sort_keys=True).encode()
    return hashlib.sha256(case.model + options + _arrays(case)).hexdigest()


def _arrays(case: Case) -> bytes:
    return hashlib.sha256(b"".join(array.tobytes() for array in case.batch.values())).digest()
