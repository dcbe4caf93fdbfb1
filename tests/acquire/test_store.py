"""The store of verified files: what is in it has its digest, whoever left it there."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from updater.acquire.store import ContentStore, GivenContent, StoredContent
from updater.errors import StateError
from updater.install.staging import GivingSource
from updater.schema.manifest import ManifestFile


def wanted(data: bytes, *, digits: int = 64) -> ManifestFile:
    return ManifestFile("a", hashlib.sha256(data).hexdigest()[:digits], len(data))


def put(store: ContentStore, data: bytes) -> str:
    with store.writer() as out:
        out.write(data)
        return out.commit()


@pytest.mark.parametrize("digits", [64, 8])
def test_what_was_written_is_found_by_digest_and_by_its_beginning(tmp_path: Path, digits: int) -> None:
    store = ContentStore(tmp_path / "content")
    assert store.find(wanted(b"data", digits=digits)) is None
    sha256 = put(store, b"data")
    assert store.find(wanted(b"data", digits=digits)) == sha256
    assert store.find(ManifestFile("a", sha256[:digits], 5)) is None, "another size"
    assert store.find(ManifestFile("a", "", 4)) is None, "of nothing known nothing is found"
    with store.open(sha256) as file:
        assert file.read() == b"data"


def test_nothing_stays_of_what_was_not_committed(tmp_path: Path) -> None:
    store = ContentStore(tmp_path)
    with store.writer() as out:
        out.write(b"data")
    assert list(tmp_path.iterdir()) == []


def test_what_an_earlier_process_left_is_read_before_it_is_used(tmp_path: Path) -> None:
    good, bad = put(ContentStore(tmp_path), b"good"), put(ContentStore(tmp_path), b"bad")
    (tmp_path / bad).write_bytes(b"torn")
    store = ContentStore(tmp_path)
    assert store.find(wanted(b"good")) == good
    assert store.find(wanted(b"bad", digits=8)) is None
    assert not (tmp_path / bad).exists()
    with pytest.raises(KeyError):
        store.open(bad)


def test_what_the_site_may_write_to_is_not_used(tmp_path: Path) -> None:
    """An update that was killed had put it into the site."""
    sha256 = put(ContentStore(tmp_path), b"data")
    os.link(tmp_path / sha256, tmp_path / "live")
    assert ContentStore(tmp_path).find(wanted(b"data")) is None
    assert (tmp_path / "live").read_bytes() == b"data"


def test_files_of_no_bytes_are_always_here(tmp_path: Path) -> None:
    assert ContentStore(tmp_path).find(wanted(b"")) is not None
    assert ContentStore(tmp_path).find(wanted(b"", digits=8)) is not None


def test_a_file_is_given_away_without_writing_it_again_and_a_second_time_as_a_copy(tmp_path: Path) -> None:
    store = ContentStore(tmp_path / "content")
    sha256 = put(store, b"data")
    source = GivenContent(store)
    assert isinstance(source, GivingSource) and not isinstance(StoredContent(store), GivingSource)
    for name in ("one", "two"):
        source.give(wanted(b"data"), tmp_path / name)
    assert os.path.samefile(tmp_path / "one", tmp_path / "content" / sha256)
    assert not os.path.samefile(tmp_path / "one", tmp_path / "two")
    assert (tmp_path / "two").read_bytes() == b"data"
    with pytest.raises(StateError, match="not fetched"):
        source.give(wanted(b"other"), tmp_path / "three")


def test_without_hard_links_it_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    store = ContentStore(tmp_path / "content")
    sha256 = put(store, b"data")
    for name in ("one", "two"):
        store.give(sha256, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes() == b"data"
    assert list((tmp_path / "content").iterdir()) == []
    assert store.find(wanted(b"data")) == sha256, "another use finds it where it was put"


def test_a_copy_is_compared(tmp_path: Path) -> None:
    store = ContentStore(tmp_path / "content")
    sha256 = put(store, b"data")
    (tmp_path / "content" / sha256).write_bytes(b"DATA")
    with (tmp_path / "out").open("wb") as out, pytest.raises(StateError, match="changed on disk"):
        StoredContent(store).copy(wanted(b"data"), out)


def test_local_files_are_copied_only_when_they_are_what_is_wanted(tmp_path: Path) -> None:
    store = ContentStore(tmp_path / "content")
    source = tmp_path / "source"
    source.write_bytes(b"data")
    assert store.add(source, wanted(b"data")) == wanted(b"data").sha256
    assert store.add(source, wanted(b"dat")) is None
    assert store.add(source, wanted(b"DATA")) is None
    assert store.add(tmp_path / "none", wanted(b"data")) is None
    assert store.add(tmp_path, wanted(b"data")) is None
    assert len(list((tmp_path / "content").iterdir())) == 1


def test_only_what_is_wanted_is_kept(tmp_path: Path) -> None:
    store = ContentStore(tmp_path)
    kept, dropped = put(store, b"kept"), put(store, b"dropped")
    (tmp_path / ".0123.tmp").write_bytes(b"half")
    store.keep_only([kept])
    assert [entry.name for entry in tmp_path.iterdir()] == [kept]
    assert store.find(wanted(b"dropped")) is None and dropped


def test_many_threads_may_write_the_same(tmp_path: Path) -> None:
    store = ContentStore(tmp_path)
    threads = [threading.Thread(target=put, args=(store, b"x" * 100_000)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [entry.name for entry in tmp_path.iterdir()] == [wanted(b"x" * 100_000).sha256]
