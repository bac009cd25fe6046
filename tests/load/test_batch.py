"""Batches: every format gives the same tensors, and what does not fit is refused with its value and the limit."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from service.contract.problem import BatchMismatch
from tests.load.batch_files import FREE, IMAGES, LABELS, TOKENS, archive, graph, saved, written
from worker.load.batch import read
from worker.network.graph import Input


@pytest.mark.parametrize("form", ["npz", "safetensors", "json", "protocol"])
@pytest.mark.parametrize("name", ["pixels", "input", "x"])
@pytest.mark.parametrize("target", ["target", "y", "label", "labels", "targets"])
def test_every_format_and_name_gives_the_same_tensors(tmp_path: Path, form: str, name: str, target: str) -> None:
    content = written({name: IMAGES, target: LABELS}, form)
    batch = read(saved(tmp_path / "batch", content), graph(), seed=0)
    torch.testing.assert_close(batch.inputs["pixels"], torch.from_numpy(IMAGES).float())
    assert batch.target is not None
    assert batch.target.tolist() == [0, 1, 2, 3, 4]
    assert batch.sha256 == hashlib.sha256(content).hexdigest()
    assert (batch.size, batch.synthetic) == (5, False)


def test_an_array_without_a_name_is_the_input(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", IMAGES)
    saved(tmp_path / "a.json", json.dumps(IMAGES.tolist()).encode())
    for name in ("a.npy", "a.json"):
        given_here = read(tmp_path / name, graph(), seed=0).inputs["pixels"]
        torch.testing.assert_close(given_here, torch.from_numpy(IMAGES).float())


def test_numpys_own_numbering_goes_by_order(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", IMAGES, LABELS)
    batch = read(tmp_path / "a.npz", graph(), seed=0)
    assert batch.target is not None
    assert batch.inputs["pixels"].shape == IMAGES.shape


def test_an_input_named_like_a_target_is_an_input(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", y=IMAGES)
    batch = read(tmp_path / "a.npz", graph(Input("y", torch.float32, FREE)), seed=0)
    assert batch.target is None


@pytest.mark.parametrize("dtype", ["float16", "float64", ">f4", "uint8", ">u2", "uint32", "uint64", "int64", "bool"])
def test_numbers_of_any_type_become_the_inputs(tmp_path: Path, dtype: str) -> None:
    values = (IMAGES > 0).astype(dtype)
    np.savez(tmp_path / "a.npz", x=values)
    batch = read(tmp_path / "a.npz", graph(), seed=0)
    torch.testing.assert_close(batch.inputs["pixels"], torch.from_numpy((IMAGES > 0).astype("float32")))


def test_fortran_order_is_read_as_numpy_reads_it(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.asfortranarray(IMAGES))
    given_here = read(tmp_path / "a.npy", graph(), seed=0).inputs["pixels"]
    torch.testing.assert_close(given_here, torch.from_numpy(IMAGES).float())


def test_nan_is_a_finding_not_an_error(tmp_path: Path) -> None:
    values = IMAGES.copy()
    values[0, 0, 0, 0] = np.nan
    np.savez(tmp_path / "a.npz", x=values)
    assert read(tmp_path / "a.npz", graph(), seed=0).inputs["pixels"].isnan().sum() == 1


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": IMAGES[0]}, "batch axis seems to be missing"),
        ({"x": IMAGES.transpose(0, 2, 3, 1)}, "channels seem to stand last"),
        ({"x": IMAGES[:, :2]}, r"\[5, 2, 8, 6\]; the model takes \[batch, 3, 8, 6\]"),
        ({"x": IMAGES[:0]}, "holds no numbers"),
        ({"x": IMAGES, "y": LABELS[:4]}, r"target has the shape \[4\]; there are 5 samples"),
        ({"x": IMAGES, "y": np.zeros((5, 0))}, "holds no numbers"),
        ({"x": IMAGES, "y": LABELS, "label": LABELS}, "one target is enough"),
        ({"x": IMAGES, "taget": LABELS}, "lacks the input 'pixels'"),
        ({"pixels": IMAGES, "taget": LABELS}, "'taget'"),
        ({"y": LABELS}, "lacks the input 'pixels'"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    with pytest.raises(BatchMismatch, match=said):
        read(saved(tmp_path / "a.npz", archive(**arrays)), graph(), seed=0)


def test_samples_of_all_inputs_agree(tmp_path: Path) -> None:
    two = graph(Input("a", torch.float32, ("n", 2)), Input("b", torch.float32, ("n", 3)))
    np.savez(tmp_path / "a.npz", a=np.zeros((4, 2)), b=np.zeros((5, 3)))
    with pytest.raises(BatchMismatch, match="'b' has 5 along axis 0"):
        read(tmp_path / "a.npz", two, seed=0)


def test_a_fixed_batch_size_is_kept(tmp_path: Path) -> None:
    fixed = graph(Input("pixels", torch.float32, (2, 3, 8, 6)))
    with pytest.raises(BatchMismatch, match=r"\[2, 3, 8, 6\]"):
        read(saved(tmp_path / "a.npz", archive(x=IMAGES)), fixed, seed=0)
    assert read(None, fixed, seed=0).size == 2


@pytest.mark.parametrize("wrong", [10, -1])
def test_tokens_beyond_the_table_are_refused(tmp_path: Path, wrong: int) -> None:
    with pytest.raises(BatchMismatch, match=rf"'tokens' holds {wrong}; .*10 rows"):
        read(saved(tmp_path / "a.npz", archive(x=np.full((2, 4), wrong))), graph(TOKENS), seed=0)


def test_whole_numbers_in_floats_serve_as_tokens_and_fractions_do_not(tmp_path: Path) -> None:
    batch = read(saved(tmp_path / "a.npz", archive(x=np.full((2, 4), 3.0))), graph(TOKENS), seed=0)
    assert batch.inputs["tokens"].dtype == torch.int64
    assert "float64" in batch.notes[0]
    with pytest.raises(BatchMismatch, match="int64"):
        read(saved(tmp_path / "a.npz", archive(x=np.full((2, 4), 3.5))), graph(TOKENS), seed=0)


@pytest.mark.parametrize("dtype", [torch.uint16, torch.uint32, torch.int8, torch.float8_e4m3fn, torch.bfloat16])
def test_safetensors_own_types_serve_as_tokens(tmp_path: Path, dtype: torch.dtype) -> None:
    content = safetensors.torch.save({"x": torch.full((2, 4), 3).to(dtype)})
    assert read(saved(tmp_path / "a", content), graph(TOKENS), seed=0).inputs["tokens"].eq(3).all()
