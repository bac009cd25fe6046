"""Batches: every format gives the same tensors, and whatever does not fit is refused with its value and the limit."""

import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from service.contract.problem import BatchMismatch, Trouble, UnreadableBatch
from worker.load.batch import read
from worker.load.batch.archive import npz
from worker.network.graph import Graph, Input

IMAGES = np.random.default_rng(0).standard_normal((5, 3, 8, 6))
LABELS = np.arange(5)
FREE = ("batch", 3, 8, 6)


def graph(*inputs: Input) -> Graph:
    """Return a graph with these inputs; nothing else of it matters here."""
    return Graph((), inputs or (Input("pixels", torch.float32, FREE),), (), {})


def saved(path: Path, content: bytes) -> Path:
    """Write a file and return its path."""
    path.write_bytes(content)
    return path


def archive(**arrays: Any) -> bytes:  # noqa: ANN401  whatever numpy saves
    """Return an npz file's bytes."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def written(values: Mapping[str, Any], form: str) -> bytes:
    """Return a batch's bytes in a format."""
    match form:
        case "npz":
            return archive(**values)
        case "safetensors":
            return safetensors.torch.save({name: torch.from_numpy(value) for name, value in values.items()})
        case "json":
            return json.dumps({name: value.tolist() for name, value in values.items()}).encode()
    types = {"f": "FP64", "i": "INT64"}
    tensors = [
        {
            "name": name,
            "shape": list(value.shape),
            "datatype": types[value.dtype.kind],
            "data": value.ravel().tolist(),
        }
        for name, value in values.items()
    ]
    return json.dumps({"inputs": tensors}).encode()


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


TOKENS = Input("tokens", torch.int64, ("batch", 4), classes=10)


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


def header(shape: str, *, descr: str = "'<f4'") -> bytes:
    """Return an npy file's header."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"
    return b"\x93NUMPY\x01\x00" + (len(text) + 1).to_bytes(2, "little") + text.encode() + b"\n"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GIF89a....",
        b"PK\x03\x04 not really",
        b"{",
        b"[1, 2",
        b'{"x": NaN}',
        b'{"x": "words"}',
        b'{"x": [[1], [1, 2]]}',
        b'{"x": [null]}',
        b'{"x": {"a": 1}}',
        b"[" * 5000 + b"]" * 5000,
        b'{"inputs": [{"name": "x"}]}',
        b'{"inputs": [{"name": "x", "shape": [3], "datatype": "FP32", "data": [1]}]}',
        b'{"inputs": [{"name": "x", "shape": [-1], "datatype": "FP32", "data": [1]}]}',
        b'{"inputs": [{"name": "x", "shape": "no", "datatype": "FP32", "data": [1]}]}',
        b'{"inputs": [{"name": "x", "shape": [1], "datatype": "BYTES", "data": ["a"]}]}',
        b"\x93NUMPY",
        b"\x93NUMPY\x07\x00",
        header("(2, 3)") + b"1234",
        header("(1000000000, 1000000000)"),
        header("(-1,)"),
        header("(1,)", descr="'|O'") + b"12345678",
        header("(1,)", descr="'<c8'") + b"12345678",
        header("(((") + b"1234",
        header("(1,)", descr="[('a', '<f4')]") + b"1234",
        (20).to_bytes(8, "little") + b'{"x": 3}' + b" " * 40,
        (8).to_bytes(8, "little") + b'{"x": 3}',
    ],
)
def test_what_is_no_batch_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UnreadableBatch):
        read(saved(tmp_path / "batch", content), graph(), seed=0)


class Loud:
    """An object whose unpickling would be noticed."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        """Raise when unpickled."""
        return pytest.fail, ("a pickle was read",)


def test_pickles_are_never_read(tmp_path: Path) -> None:
    objects = np.empty(1, dtype=object)
    objects[0] = Loud()
    for content in (archive(x=objects), pickle.dumps(Loud())):
        with pytest.raises(UnreadableBatch):
            read(saved(tmp_path / "batch", content), graph(), seed=0)


def test_an_archive_may_hold_flat_arrays_only_each_once(tmp_path: Path) -> None:
    for names in (["../x.npy"], ["a/x.npy"], ["x.txt"], ["x.npy", "x.npy"], [f"a{n}.npy" for n in range(65)], []):
        file = tmp_path / "a.npz"
        with zipfile.ZipFile(file, "w") as target, pytest.MonkeyPatch.context() as patch:
            patch.setattr("warnings.warn", lambda *_, **__: None)
            for name in names:
                target.writestr(name, header("(1,)") + b"1234")
        with pytest.raises(UnreadableBatch):
            read(file, graph(), seed=0)


def test_a_bomb_is_refused_before_it_inflates(tmp_path: Path) -> None:
    """Twenty megabytes of zeros deflate a thousandfold."""
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros(20 * 2**20, dtype=np.uint8))
    with pytest.raises(UnreadableBatch, match="the limit is 200"):
        read(tmp_path / "a.npz", graph(), seed=0)
    np.savez(tmp_path / "b.npz", x=np.zeros(1000), y=np.zeros(1000))
    with pytest.raises(UnreadableBatch, match="the limit is 10000"):
        npz(tmp_path / "b.npz", most_bytes=10_000)


def test_an_endless_directory_is_refused_unread(tmp_path: Path) -> None:
    content = archive(x=np.zeros(3)) + b"PK\x01\x02" * 10_000
    with pytest.raises(UnreadableBatch, match="10000"):
        read(saved(tmp_path / "a.npz", content), graph(), seed=0)


def test_numbers_beyond_int64_and_complex_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableBatch, match="18446744073709551615"):
        read(saved(tmp_path / "a.npz", archive(x=np.array([2**64 - 1]))), graph(), seed=0)
    complex_numbers = safetensors.torch.save({"x": torch.zeros(2, dtype=torch.complex64)})
    with pytest.raises(UnreadableBatch, match="complex64"):
        read(saved(tmp_path / "a", complex_numbers), graph(), seed=0)


@pytest.mark.parametrize("dtype", [torch.uint16, torch.uint32, torch.int8, torch.float8_e4m3fn, torch.bfloat16])
def test_safetensors_own_types_serve_as_tokens(tmp_path: Path, dtype: torch.dtype) -> None:
    content = safetensors.torch.save({"x": torch.full((2, 4), 3).to(dtype)})
    assert read(saved(tmp_path / "a", content), graph(TOKENS), seed=0).inputs["tokens"].eq(3).all()


def test_a_directory_that_lies_about_sizes_is_refused(tmp_path: Path) -> None:
    content = bytearray(archive(x=np.zeros(1000)))
    place = content.rindex(b"PK\x01\x02")
    content[place + 24 : place + 28] = (200).to_bytes(4, "little")
    with pytest.raises(UnreadableBatch):
        read(saved(tmp_path / "a.npz", bytes(content)), graph(), seed=0)


GOOD = [written({"x": IMAGES[:1], "y": LABELS[:1]}, form) for form in ("npz", "safetensors", "json", "protocol")]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(GOOD), st.integers(0, 4000), st.binary(min_size=1, max_size=4), st.booleans())
def test_damaged_files_end_in_a_trouble_or_a_batch(
    tmp_path_factory: pytest.TempPathFactory,
    content: bytes,
    place: int,
    noise: bytes,
    cut: bool,  # noqa: FBT001
) -> None:
    at = place % len(content)
    damaged = content[:at] + noise + (b"" if cut else content[at + len(noise) :])
    path = saved(tmp_path_factory.getbasetemp() / "damaged", damaged)
    try:
        assert read(path, graph(), seed=0).size >= 1
    except Trouble as trouble:
        assert trouble.detail  # noqa: PT017  the claim is that nothing else is raised


def test_a_drawn_batch_is_standard_normal_and_says_so() -> None:
    batch = read(None, graph(Input("x", torch.float32, ("batch", 50))), seed=0)
    drawn = batch.inputs["x"]
    assert drawn.shape == (64, 50)
    assert abs(drawn.mean().item()) < 5 / 3200**0.5
    assert drawn.var().item() == pytest.approx(1, rel=0.13)
    assert batch.synthetic
    assert batch.notes
    assert batch.sha256 is None


@pytest.mark.parametrize(("shape", "samples"), [((16,), 64), ((3, 64, 64), 32), ((3, 224, 224), 16)])
def test_large_samples_are_drawn_in_smaller_batches(shape: tuple[int, ...], samples: int) -> None:
    assert read(None, graph(Input("x", torch.float32, ("batch", *shape))), seed=0).size == samples
    assert read(None, graph(Input("x", torch.float32, ("batch", *shape))), seed=0, size=3).size == 3


def test_drawn_tokens_stay_within_the_table() -> None:
    drawn = read(None, graph(TOKENS), seed=0).inputs["tokens"]
    assert set(drawn.unique().tolist()) == set(range(10))
    unknown = read(None, graph(Input("tokens", torch.int64, ("batch", 40))), seed=0)
    assert set(unknown.inputs["tokens"].unique().tolist()) == {0, 1}
    assert any("tokens" in note for note in unknown.notes)


def test_free_axes_of_one_name_get_one_size() -> None:
    batch = read(
        None,
        graph(
            Input("ids", torch.int64, ("n", "time"), classes=7),
            Input("attention_mask", torch.int64, ("n", "time")),
            Input("bias", torch.float32, ("time", "time")),
        ),
        seed=0,
    )
    assert {name: tuple(value.shape) for name, value in batch.inputs.items()} == {
        "ids": (64, 16),
        "attention_mask": (64, 16),
        "bias": (16, 16),
    }
    assert batch.inputs["attention_mask"].unique().tolist() == [1]


def test_a_seed_draws_the_same_batch_and_another_seed_another() -> None:
    first, again, other = (read(None, graph(), seed=seed).inputs["pixels"] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_model_that_asks_for_too_much_is_refused_not_drawn() -> None:
    with pytest.raises(BatchMismatch, match="134217728"):
        read(None, graph(Input("x", torch.float32, (1, 2**20, 2**20))), seed=0)
