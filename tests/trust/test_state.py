"""The trust directory: damaged, shared, old. Never a traceback, and never a silent loss of memory."""

from __future__ import annotations

import os
import shutil
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.trust_repository import TrustRepository
from tests.trust.conftest import GOOD, NEWER, NOW, Site, accept_all
from updater.errors import LockedError, StateError, UpdaterError
from updater.trust import FeedClient
from updater.trust.storage import locked

GARBAGE = (b"", b"{", b"\0" * 50, b"null", b'{"signed":{}}', b"\xff\xfe")
CACHED = ("root.json", "timestamp.json", "snapshot.json", "targets.json", "stable.json", "root_history/1.root.json")


def test_modes(warm: Site) -> None:
    assert stat.S_IMODE(warm.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((warm.folder / "metadata").stat().st_mode) == 0o700
    assert stat.S_IMODE((warm.folder / "last_good.json").stat().st_mode) == 0o600
    os.chmod(warm.folder, 0o755)
    warm.fetch()
    assert stat.S_IMODE(warm.folder.stat().st_mode) == 0o700


def test_only_the_current_feed_is_kept(repository: TrustRepository, warm: Site) -> None:
    (warm.folder / "metadata" / "tmpabc").write_bytes(b"left by a killed process")
    (warm.folder / "feeds" / ".new-x").write_bytes(b"left by a killed process")
    repository.publish("stable", NEWER)
    warm.fetch()
    assert len(list((warm.folder / "feeds").iterdir())) == 1
    assert not (warm.folder / "metadata" / "tmpabc").exists()


@pytest.mark.parametrize("name", CACHED)
@pytest.mark.parametrize("garbage", [*GARBAGE, None])
def test_damaged_metadata_heals(repository: TrustRepository, warm: Site, name: str, garbage: bytes | None) -> None:
    path = warm.folder / "metadata" / name
    path.unlink()
    if garbage is not None:
        path.write_bytes(garbage)
    repository.publish("stable", NEWER)
    assert warm.fetch().data == NEWER
    assert warm.fetch().data == NEWER


@pytest.mark.parametrize("garbage", GARBAGE)
def test_damaged_record_heals(warm: Site, garbage: bytes) -> None:
    (warm.folder / "last_good.json").write_bytes(garbage)
    feed = warm.fetch()
    assert (feed.data, feed.freshness.state) == (GOOD, "fresh")


@pytest.mark.parametrize("garbage", [b"", b"?"])
def test_damaged_feed_is_fetched_again_and_never_shown(repository: TrustRepository, warm: Site, garbage: bytes) -> None:
    feed = next((warm.folder / "feeds").iterdir())
    feed.write_bytes(garbage)
    repository.faults["metadata/timestamp.json"] = 503
    with pytest.raises(UpdaterError):
        warm.fetch()
    repository.faults.clear()
    assert warm.fetch().data == GOOD


@pytest.mark.parametrize("lost", [("timestamp.json",), ("timestamp.json", "snapshot.json"), CACHED])
@pytest.mark.parametrize("how", ["torn", "missing"])
def test_lost_metadata_does_not_open_the_way_back(
    repository: TrustRepository, warm: Site, lost: tuple[str, ...], how: str
) -> None:
    """python-tuf alone would take an older site for a new one once its cache is gone."""
    old = repository.photograph()
    repository.publish("stable", NEWER)
    assert warm.fetch().data == NEWER
    for name in lost:
        path = warm.folder / "metadata" / name
        path.unlink(missing_ok=True)
        if how == "torn":
            path.write_bytes(b'{"signed')
    with repository.serving(old):
        for _ in range(2):
            feed = warm.fetch()
            assert (feed.data, feed.freshness.state) == (NEWER, "stale")
    assert warm.fetch().freshness.state == "fresh"


def test_lost_roots_do_not_bring_stolen_keys_back(repository: TrustRepository, warm: Site) -> None:
    attacker = repository.thief("online", "stable")
    attacker.signed["timestamp"].version = attacker.signed["snapshot"].version = 1000
    attacker.publish("stable", b'{"sequence":666}')
    repository.rotate("online", "stable")
    repository.publish("stable", NEWER)
    assert warm.fetch().data == NEWER
    shutil.rmtree(warm.folder / "metadata")
    assert warm.fetch(attacker).data == NEWER
    assert warm.fetch().freshness.state == "fresh"


def test_memory_lost_entirely_is_said(warm: Site) -> None:
    (warm.folder / "last_good.json").write_bytes(b"{")
    (warm.folder / "metadata" / "timestamp.json").write_bytes(b"{")
    with pytest.raises(StateError) as caught:
        warm.fetch()
    assert f"Delete {warm.folder}" in caught.value.hint
    shutil.rmtree(warm.folder)
    assert warm.fetch().data == GOOD


@pytest.mark.parametrize(
    "name", ["metadata", "feeds", "lock", "metadata/timestamp.json", "last_good.json", "metadata/root_history"]
)
def test_things_of_the_wrong_kind(repository: TrustRepository, warm: Site, name: str) -> None:
    path = warm.folder / name
    if path.is_dir():
        shutil.rmtree(path)
        path.write_bytes(b"a file where a folder should be")
    else:
        path.unlink()
        path.mkdir()
    repository.publish("stable", NEWER)
    with pytest.raises(StateError) as caught:
        warm.fetch()
    assert caught.value.hint


def test_the_trust_directory_is_a_file(fresh: Site) -> None:
    fresh.folder.write_bytes(b"")
    with pytest.raises(StateError):
        fresh.fetch()


def test_one_at_a_time(repository: TrustRepository, warm: Site) -> None:
    client = FeedClient(repository.location(), warm.folder, warm.root, repository, lock_wait=0.1)
    with locked(warm.folder, wait=0), pytest.raises(LockedError):
        client.fetch(now=NOW, accept=accept_all)
    assert client.fetch(now=NOW, accept=accept_all).data == GOOD


def test_many_at_once(repository: TrustRepository, fresh: Site) -> None:
    problems: list[BaseException] = []

    def check() -> None:
        try:
            for _ in range(4):
                assert fresh.fetch().data in (GOOD, NEWER)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=check) for _ in range(4)]
    for thread in threads:
        thread.start()
    repository.publish("stable", NEWER)
    for thread in threads:
        thread.join()
    assert problems == []
    assert fresh.fetch().data == NEWER


WHERE = ("root", "timestamp", "snapshot", "targets", "stable", "feed")


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), where=st.sampled_from(WHERE), known=st.booleans())
def test_garbage_from_the_server(tmp_path: Path, data: st.DataObject, where: str, known: bool) -> None:
    """Whatever comes from whichever URL: one of our errors or a good feed, and the site still works after."""
    repository = TrustRepository()
    repository.publish("stable", GOOD)
    folder = tmp_path / "site"
    shutil.rmtree(folder, ignore_errors=True)
    site = Site(repository, folder)
    if known:
        site.fetch()
    repository.rotate("targets")
    repository.publish("stable", NEWER)
    sha256 = repository.signed["stable"].targets["stable.json"].hashes["sha256"]
    path = f"feeds/{sha256}.stable.json" if where == "feed" else repository.path_of(where)
    repository.faults[path] = data.draw(st.one_of(st.binary(max_size=200), mutations(repository.files[path])))
    try:
        feed = site.fetch()
    except UpdaterError as error:
        assert str(error)
    else:
        assert feed.data in (GOOD, NEWER)
    repository.faults.clear()
    assert site.fetch().data == NEWER


def mutations(original: bytes) -> st.SearchStrategy[bytes]:
    """The real file with a few bytes replaced, or cut short."""
    position = st.integers(0, len(original) - 1)

    def replace(at: int, by: bytes) -> bytes:
        return original[:at] + by + original[at + len(by) :]

    digits = st.sampled_from([b"0", b"-1", b"1e999", b"null", b'"', b"{", b"]", b"9" * 30])
    return st.one_of(
        st.builds(replace, position, st.binary(min_size=1, max_size=3) | digits),
        position.map(lambda at: original[:at]),
    )
