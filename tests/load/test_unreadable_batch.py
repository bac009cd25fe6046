"""What is no batch is refused by name, before it can do harm."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from service.contract.problem import Trouble, UnreadableBatch
from tests.load.batch_files import GOOD, archive, graph, header, saved
from worker.load.batch import read
from worker.load.batch.archive import npz


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


def test_a_directory_that_lies_about_sizes_is_refused(tmp_path: Path) -> None:
    content = bytearray(archive(x=np.zeros(1000)))
    place = content.rindex(b"PK\x01\x02")
    content[place + 24 : place + 28] = (200).to_bytes(4, "little")
    with pytest.raises(UnreadableBatch):
        read(saved(tmp_path / "a.npz", bytes(content)), graph(), seed=0)


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
