"""What a storage promises: bytes come back, half-written ones never show, and no key leads out of the directory."""

import hashlib
from pathlib import Path

import pytest

from service.contract.problem import NotFound, Unavailable
from service.storage import Storage, open_storage


@pytest.fixture(params=["file", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return open_storage(f"file:{tmp_path}/deep/er" if request.param == "file" else "memory:")


def test_what_is_written_comes_back_with_its_hash(storage: Storage) -> None:
    stored = storage.write("job/model", b"abc")
    assert stored == (3, hashlib.sha256(b"abc").hexdigest())
    assert storage.read("job/model") == storage.path("job/model").read_bytes() == b"abc"


def test_pieces_become_one_file(storage: Storage) -> None:
    with storage.writer("job/batch") as writer:
        assert [writer.write(b"ab"), writer.write(b"c")] == [2, 3]
        assert not storage.exists("job/batch")
        assert writer.commit() == (3, hashlib.sha256(b"abc").hexdigest())
    assert storage.read("job/batch") == b"abc"


def test_what_is_not_committed_leaves_nothing(storage: Storage) -> None:
    storage.write("job/model", b"kept")
    with storage.writer("job/model") as writer:
        writer.write(b"lost")
    assert storage.read("job/model") == b"kept"
    assert storage.names("job") == ("model",)


def test_erasing_a_job_leaves_the_others(storage: Storage) -> None:
    for key in ("one/model", "one/data/weights.bin", "two/model"):
        storage.write(key, b"x")
    assert storage.names("one/data") == ("weights.bin",)
    storage.erase("one/")
    storage.erase("never/")
    assert storage.exists("two/model")
    assert not storage.exists("one/model")
    assert storage.names("one/data") == ()


@pytest.mark.parametrize("key", ["../x", "a/../../x", "/etc/passwd", "a//b", "", ".", "a/.", "a\\b", "a/\x00", "a\nb"])
def test_a_key_never_leads_out(storage: Storage, key: str) -> None:
    with pytest.raises(NotFound):
        storage.write(key, b"x")
    with pytest.raises(NotFound):
        storage.read(key)


def test_a_missing_key_is_not_found(storage: Storage) -> None:
    with pytest.raises(NotFound):
        storage.path("job/model")


def test_a_storage_says_whether_it_takes_writes(tmp_path: Path) -> None:
    storage = open_storage(f"file://{tmp_path}/here")
    assert storage.ready()
    (tmp_path / "here").rmdir()
    assert not storage.ready()


def test_an_unknown_scheme_is_named() -> None:
    with pytest.raises(Unavailable, match="'ftp' is not one of file, memory"):
        open_storage("ftp://example")
