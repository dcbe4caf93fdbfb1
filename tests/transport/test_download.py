"""Resumable downloads of files whose size and digest are known."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import server as faults
from tests.support.server import LoopbackServer
from tests.support.trust_repository import TrustRepository
from updater.errors import (
    DownloadHTTPError,
    DownloadTruncatedError,
    StateError,
    TargetMismatchError,
    UpdaterError,
)
from updater.transport import HTTPTransport, download

DATA = bytes(range(256)) * 400
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer({"a": DATA, "mirror": DATA, "bad": DATA[:-1] + b"?", "long": DATA + b"?"}) as server:
        yield server


@pytest.fixture
def http() -> Iterator[HTTPTransport]:
    with HTTPTransport() as transport:
        yield transport


class Get:
    """Downloads into ``folder/file`` and keeps what was reported."""

    def __init__(self, transport: HTTPTransport, server: LoopbackServer, folder: Path) -> None:
        self.transport, self.server = transport, server
        self.file = folder / "file"
        self.part = folder / "file.part"
        self.progress: list[int] = []
        self.slept: list[float] = []

    def __call__(self, *paths: str, **options: Any) -> None:
        options = {"size": len(DATA), "sha256": SHA256, "backoff": (), **options}
        urls = [self.server.url + path for path in paths]
        download(self.transport, urls, self.file, progress=self.progress.append, sleep=self.slept.append, **options)

    def ranges(self) -> list[str | None]:
        return [request.headers.get("range") for request in self.server.requests]


@pytest.fixture
def get(http: HTTPTransport, server: LoopbackServer, tmp_path: Path) -> Get:
    return Get(http, server, tmp_path / "new")


@pytest.fixture
def with_part(get: Get) -> Get:
    get.file.parent.mkdir()
    get.part.write_bytes(DATA[:1000])
    return get


def test_download(get: Get) -> None:
    get("a")
    assert get.file.read_bytes() == DATA
    assert not get.part.exists()
    assert get.progress[-1] == len(DATA)
    assert get.progress == sorted(get.progress)


def test_nothing_is_asked_for_when_it_is_there(get: Get) -> None:
    get("a")
    get.server.reset()
    get("a")
    assert get.server.requests == []
    get.file.write_bytes(DATA[:-1] + b"?")
    get("a")
    assert get.file.read_bytes() == DATA


def test_resumes(with_part: Get) -> None:
    with_part("a")
    assert with_part.file.read_bytes() == DATA
    assert with_part.ranges() == ["bytes=1000-"]
    assert with_part.server.body_bytes == len(DATA) - 1000


def test_starts_over_when_the_server_ignores_ranges(with_part: Get) -> None:
    with_part.server.ranges = False
    with_part("a")
    assert with_part.file.read_bytes() == DATA


def test_starting_over_leaves_nothing_of_the_old_part(with_part: Get) -> None:
    with_part.part.write_bytes(b"?" * 1000)
    with_part.server.behaviours["a"] = faults.status(200, DATA[:500])
    with pytest.raises(DownloadTruncatedError):
        with_part("a")
    assert with_part.part.read_bytes() == DATA[:500]


def test_a_wrong_range_is_never_appended(with_part: Get) -> None:
    with_part.server.behaviours["a"] = faults.wrong_range(DATA, 5)
    with pytest.raises(UpdaterError):
        with_part("a")
    assert with_part.part.read_bytes() == DATA[:1000]
    with_part("a", "mirror")
    assert with_part.file.read_bytes() == DATA


def test_a_part_of_something_else_is_replaced(with_part: Get) -> None:
    with_part.part.write_bytes(b"?" * 1000)
    with_part("a")
    assert with_part.file.read_bytes() == DATA
    assert with_part.ranges() == ["bytes=1000-", None]


@pytest.mark.parametrize("part", [DATA + b"more", b"?" * len(DATA)])
def test_a_part_that_cannot_be_continued(with_part: Get, part: bytes) -> None:
    with_part.part.write_bytes(part)
    with_part("a")
    assert with_part.file.read_bytes() == DATA


def test_a_complete_part_needs_no_request(with_part: Get) -> None:
    with_part.part.write_bytes(DATA)
    with_part("a")
    assert with_part.file.read_bytes() == DATA
    assert with_part.server.requests == []


def test_a_link_in_place_of_the_part_is_not_followed(get: Get, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    get.file.parent.mkdir()
    get.part.symlink_to(victim)
    get("a")
    assert victim.read_bytes() == b"precious"
    assert get.file.read_bytes() == DATA
    assert not get.file.is_symlink()


def test_truncated_keeps_the_part_and_retries_continue_it(get: Get) -> None:
    get.server.behaviours["a"] = faults.truncated(DATA, 40_000)
    with pytest.raises(DownloadTruncatedError):
        get("a")
    assert get.part.read_bytes() == DATA[:40_000]
    get("a", backoff=(1.5, 2.5))
    assert get.file.read_bytes() == DATA
    assert get.slept == [1.5]
    assert get.ranges() == [None, "bytes=40000-", "bytes=80000-"]


def test_failover_continues_the_part(get: Get) -> None:
    get.server.behaviours["a"] = faults.truncated(DATA, 40_000)
    get("a", "mirror")
    assert get.file.read_bytes() == DATA
    assert get.ranges() == [None, "bytes=40000-"]


def test_transient_errors_are_retried_and_others_are_not(get: Get) -> None:
    get.server.behaviours["a"] = faults.status(503)
    with pytest.raises(DownloadHTTPError):
        get("a", backoff=(1, 2))
    assert (len(get.server.requests), get.slept) == (3, [1, 2])
    get.server.reset()
    with pytest.raises(DownloadHTTPError):
        get("missing", backoff=(1, 2))
    assert len(get.server.requests) == 1


@pytest.mark.parametrize("path", ["bad", "long"])
def test_wrong_bytes(get: Get, path: str) -> None:
    with pytest.raises(TargetMismatchError):
        get(path)
    assert not get.part.exists()
    assert not get.file.exists()
    get(path, "missing", "mirror")
    assert get.file.read_bytes() == DATA


def test_wrong_bytes_are_reported_even_if_another_address_is_down(get: Get) -> None:
    with pytest.raises(TargetMismatchError):
        get("bad", "missing")


def test_endless_data_stops_at_the_size(get: Get) -> None:
    get.server.behaviours["a"] = faults.endless()
    with pytest.raises(TargetMismatchError):
        get("a")
    assert get.server.body_bytes < 50_000_000
    assert not get.part.exists()


def test_empty_file(get: Get) -> None:
    get("a", size=0, sha256=hashlib.sha256(b"").hexdigest())
    assert get.file.read_bytes() == b""
    assert get.server.requests == []


def test_disk_errors_are_ours(get: Get, tmp_path: Path) -> None:
    get.file.parent.write_bytes(b"a file where the folder should be")
    with pytest.raises(StateError) as caught:
        get("a")
    assert caught.value.hint


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    part=st.one_of(st.integers(0, 3000).map(lambda n: DATA[:n]), st.binary(max_size=3000)),
    served=st.sampled_from([DATA[:2000], DATA[:1999], DATA[:2001], b"?" * 2000, b""]),
    ranges=st.booleans(),
)
def test_ends_with_the_right_file_or_none(tmp_path: Path, part: bytes, served: bytes, ranges: bool) -> None:
    """Whatever lies in the part and whatever is served: never a wrong file."""
    want = DATA[:2000]
    file = tmp_path / "f"
    file.unlink(missing_ok=True)
    file.with_name("f.part").write_bytes(part)
    repository = TrustRepository.__new__(TrustRepository)
    repository.base_url, repository.files, repository.faults = "https://x.example/", {"f": served}, {}
    repository.requests, repository.ranges = [], ranges
    try:
        download(
            repository,
            ["https://x.example/f"],
            file,
            size=2000,
            sha256=hashlib.sha256(want).hexdigest(),
            progress=None,
            backoff=(),
        )
    except UpdaterError:
        assert not file.exists()
        assert served != want
    else:
        assert file.read_bytes() == want
