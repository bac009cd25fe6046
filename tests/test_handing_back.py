"""A treated model is a valid file, lists its changes, and is found healthy when it is examined itself."""

import json
from pathlib import Path
from typing import Any

import jsonpatch
import onnx
import pytest
import torch

from service import __version__
from service.contract.architecture import parse
from service.contract.options import Options
from service.contract.words import Verdict
from tests.probe.subjects import chain, dense
from worker.examine import examine
from worker.handing_back import treated_model
from worker.load.architecture import lower
from worker.load.subject import Loaded, load
from worker.network.export import to_onnx
from worker.network.graph import Graph
from worker.treatments import Change


def written(folder: Path, layers: int, activation: str, init: str) -> Path:
    """Return an ONNX file of dense layers, each with its activation, and a head of four classes."""
    model = {"gradgate": "1", "input": {"shape": [16]}, "layers": chain(layers, dense(32, init), {"kind": activation})}
    path = folder / "model.onnx"
    path.write_bytes(to_onnx(lower(parse(json.dumps(model).encode()), seed=0)).SerializeToString())
    return path


def test_the_treated_model_is_valid_says_what_was_changed_and_passes(tmp_path: Path) -> None:
    vanishing = written(tmp_path, 12, "sigmoid", "xavier_normal")
    treated = tmp_path / "treated.onnx"
    report = examine(vanishing, None, Options(), treated=treated)
    assert report.verdict is Verdict.FAIL
    assert report.prescription is not None
    assert report.prescription.treated_model
    model = onnx.load(treated)
    onnx.checker.check_model(model, full_check=True)
    said = {entry.key: entry.value for entry in model.metadata_props}
    recommended = next(remedy for remedy in report.remedies if remedy.id == report.prescription.remedies[0])
    assert [said[f"gradgate.change.{number}"] for number, _ in enumerate(recommended.changes, 1)] == [
        *recommended.changes
    ]
    assert said["gradgate.model.sha256"] == report.model.sha256
    assert said["gradgate.treatments"] == ",".join(report.prescription.remedies)
    assert said["gradgate.version"] == __version__
    assert recommended.changes[0] in model.doc_string
    again = examine(treated, None, Options())
    assert again.verdict is Verdict.PASS
    assert again.fidelity.ok


def test_no_treated_model_where_the_model_is_not_what_is_changed(tmp_path: Path) -> None:
    path, treated = written(tmp_path, 2, "relu", "he_normal"), tmp_path / "treated.onnx"
    report = examine(path, None, Options(optimizer="sgd", learning_rate=1e3), treated=treated)
    assert report.prescription is not None
    assert not report.prescription.treated_model
    assert not treated.exists()


def _loaded(folder: Path) -> Loaded:
    path = written(folder, 2, "relu", "he_normal")
    model = onnx.load(path)
    model.producer_name, model.doc_string = "somebody", "The file's own words."
    model.metadata_props.add(key="license", value="free")
    model.metadata_props.add(key="gradgate.change.1", value="An earlier change.")
    path.write_bytes(model.SerializeToString())
    return load(path, None, Options(), {}, torch.device("cpu"))


def _halved(loaded: Loaded) -> Change:
    graph = loaded.subject.graph
    halves = {name: each.value / 2 for name, each in graph.parameters.items()}
    return Change(loaded.subject.replace(graph=graph.with_parameters(halves)), ("Halve all weights.",))


def test_the_files_own_words_are_kept_and_earlier_changes_told_apart(tmp_path: Path) -> None:
    loaded = _loaded(tmp_path)
    raw = treated_model(loaded, _halved(loaded), ["halving"]).model
    assert raw is not None
    model = onnx.load_from_string(raw)
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert said == {
        "license": "free",
        "gradgate.before.change.1": "An earlier change.",
        "gradgate.version": __version__,
        "gradgate.model.sha256": loaded.sha256,
        "gradgate.treatments": "halving",
        "gradgate.change.1": "Halve all weights.",
    }
    assert model.producer_name == "somebody"
    assert model.doc_string == f"The file's own words.\n\nChanged by Gradgate {__version__}: Halve all weights."


def test_what_does_not_fit_one_file_is_withheld_with_its_size_and_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = _loaded(tmp_path)
    assert treated_model(loaded, _halved(loaded), ["halving"]).notes == ()
    monkeypatch.setattr("worker.network.export.LARGEST", 10)
    model, (said,) = treated_model(loaded, _halved(loaded), ["halving"])
    assert model is None
    assert "take 0.0 GiB" in said
    assert "holds 2 GiB" in said


def test_a_file_that_cannot_be_written_costs_no_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(graph: Graph) -> None:
        raise ZeroDivisionError(len(graph.nodes))

    monkeypatch.setattr("worker.handing_back.to_onnx", broken)
    loaded = _loaded(tmp_path)
    model, (said,) = treated_model(loaded, _halved(loaded), ["halving"])
    assert model is None
    assert said.endswith("being handed back (ZeroDivisionError).")


ONE_DRAW = Options(seeds=1, time_limit_s=600)


def described(folder: Path, layers: list[dict[str, Any]], **more: Any) -> Path:  # noqa: ANN401
    """Return a description as a file."""
    path = folder / "model.json"
    path.write_text(json.dumps({"gradgate": "1", "input": {"shape": [16]}, "layers": layers, **more}), encoding="utf-8")
    return path


def test_a_description_comes_back_treated_by_the_patches_and_passes(tmp_path: Path) -> None:
    layers = chain(12, dense(32, "xavier_normal"), {"kind": "sigmoid"})
    path, treated = described(tmp_path, layers, loss="cross_entropy"), tmp_path / "treated.json"
    report = examine(path, None, ONE_DRAW, treated=treated)
    assert report.verdict is Verdict.FAIL
    assert report.prescription is not None
    assert report.prescription.treated_model
    document = json.loads(path.read_text("utf-8"))
    tried = [remedy for remedy in report.remedies if remedy.changes]
    assert tried
    for remedy in tried:
        assert remedy.patch, remedy.patch_note
        parse(json.dumps(jsonpatch.apply_patch(document, remedy.patch)).encode())
    text = treated.read_text("utf-8")
    given = json.loads(text)
    assert text == json.dumps(given, indent=2) + "\n"
    assert list(given) == list(document)
    (name,) = report.prescription.remedies
    (recommended,) = [remedy for remedy in report.remedies if remedy.id == name]
    assert given == jsonpatch.apply_patch(document, recommended.patch)
    assert examine(treated, None, ONE_DRAW).verdict is Verdict.PASS


def test_a_description_carries_its_settings_too(tmp_path: Path) -> None:
    layers = chain(2, dense(32, "he_normal"), {"kind": "relu"})
    path = described(tmp_path, layers, optimizer="sgd", learning_rate=1e3, loss="cross_entropy")
    report = examine(path, None, ONE_DRAW, treated=tmp_path / "treated.json")
    assert report.prescription is not None
    assert report.prescription.treated_model
    given = json.loads((tmp_path / "treated.json").read_text("utf-8"))
    assert given["layers"] == layers
    assert given["learning_rate"] < 1e3


def test_a_change_that_a_description_cannot_say_is_withheld_with_the_reason(tmp_path: Path) -> None:
    loaded = load(described(tmp_path, [dense(4)]), None, Options(), {}, torch.device("cpu"))
    model, (said,) = treated_model(loaded, _halved(loaded), ["halving"])
    assert model is None
    assert said.startswith("A treated model is not handed back.")
    assert "numbers of its own" in said
