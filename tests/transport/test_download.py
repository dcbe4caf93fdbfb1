"""Resumable downloads of files whose size and digest are known."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
    DownloadTimeoutError,
    DownloadTruncatedError,
    LockedError,
    StateError,
    TargetMismatchError,
    UpdaterError,
)
from updater.transport import HTTPTransport, Response, download

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
    with_part.server.behaviours["a"] = _whole_but_cut(500)
    with pytest.raises(DownloadTruncatedError):
        with_part("a")
    assert with_part.part.read_bytes() == DATA[:500]


def _whole_but_cut(keep: int) -> faults.Behaviour:
    """A server that ignores ranges, and whose connection is cut after ``keep`` bytes."""

    def behave(exchange: faults.Exchange) -> None:
        exchange.start(200, {"Content-Length": str(len(DATA))})
        exchange.write(DATA[:keep])
        exchange.hang_up()

    return behave


def test_what_is_sent_again_takes_nothing_away(with_part: Get) -> None:
    with_part.server.behaviours["a"] = _whole_but_cut(300)
    with pytest.raises(DownloadTruncatedError):
        with_part("a")
    assert with_part.part.read_bytes() == DATA[:1000]
    assert set(with_part.progress) == {1000}
    with_part.server.behaviours["a"] = _whole_but_cut(70_000)
    with pytest.raises(DownloadTruncatedError):
        with_part("a")
    assert with_part.part.read_bytes() == DATA[:70_000]


@pytest.mark.parametrize("at", [0, 1, 499, 999])
def test_a_part_is_kept_up_to_where_it_differs(with_part: Get, at: int) -> None:
    with_part.part.write_bytes(DATA[:at] + b"?" * (1000 - at))
    with_part.server.behaviours["a"] = _whole_but_cut(1200)
    with pytest.raises(DownloadTruncatedError):
        with_part("a")
    assert with_part.part.read_bytes() == DATA[:1200]


@pytest.mark.parametrize(("served", "kind"), [(DATA[:-1], DownloadTruncatedError), (DATA + b"?", TargetMismatchError)])
def test_another_size_is_turned_away_before_the_part_is_touched(
    with_part: Get, served: bytes, kind: type[UpdaterError]
) -> None:
    for ranges in (True, False):
        with_part.server.ranges = ranges
        with_part.server.files = {"a": served, "mirror": DATA}
        with pytest.raises(kind):
            with_part("a")
        assert with_part.part.read_bytes() == DATA[:1000]
    with_part.server.ranges = True
    with_part("a", "mirror")
    assert with_part.ranges()[-1] == "bytes=1000-"
    assert with_part.file.read_bytes() == DATA


def test_an_address_with_a_shorter_file_takes_nothing_away(with_part: Get) -> None:
    """Asked for what lies beyond its end it answers 416; another address goes on with the part."""
    with_part.server.files = {"a": DATA[:500], "mirror": DATA}
    with_part("a", "mirror")
    assert with_part.ranges() == ["bytes=1000-", None, "bytes=1000-"]
    assert with_part.file.read_bytes() == DATA


def test_a_server_that_refuses_every_range_is_asked_for_the_whole(with_part: Get) -> None:
    def behave(exchange: faults.Exchange) -> None:
        if "range" in exchange.request.headers:
            faults.status(416)(exchange)
        else:
            exchange.server.serve(exchange)

    with_part.server.behaviours["a"] = behave
    with_part("a")
    assert with_part.file.read_bytes() == DATA
    assert with_part.ranges() == ["bytes=1000-", None]


def test_the_server_says_when_to_come_back(get: Get) -> None:
    get.server.behaviours["a"] = faults.status(503, Retry_After="7")
    with pytest.raises(DownloadHTTPError):
        get("a", backoff=(1, 9))
    assert get.slept == [7, 9]
    get.server.reset()
    get.slept.clear()
    get.server.behaviours["a"] = faults.status(429, Retry_After="3600")
    with pytest.raises(DownloadHTTPError) as caught:
        get("a", backoff=(1, 9))
    assert (caught.value.retry_after, get.slept, len(get.server.requests)) == (3600, [], 1)
    get("a", "mirror", backoff=(1, 9))
    assert get.file.read_bytes() == DATA


def test_a_connection_that_is_cut_often_but_brings_much(server: LoopbackServer, http: HTTPTransport, tmp_path: Path):
    """Three pauses are for a server that brings nothing; one cut every two mebibytes still gets there."""
    data = DATA * 100
    server.files = {"a": data}
    server.behaviours["a"] = faults.truncated(data, 2 << 20)
    slept: list[float] = []
    file = tmp_path / "file"
    sha256 = hashlib.sha256(data).hexdigest()
    download(http, [server.url + "a"], file, size=len(data), sha256=sha256, backoff=(1, 2), sleep=slept.append)
    assert file.read_bytes() == data
    assert slept == [1] * (len(data) // (2 << 20))


def test_the_deadline_is_for_everything(get: Get) -> None:
    get.server.behaviours["a"] = faults.truncated(DATA, 100)
    with pytest.raises(DownloadTruncatedError):
        get("a", backoff=(0.1, 60, 60), deadline=30)
    assert get.slept == [0.1]
    get.server.behaviours["slow"] = faults.drip_body(DATA, 0.02, 1000)
    began = time.monotonic()
    with pytest.raises(DownloadTimeoutError) as caught:
        get("slow", "a", backoff=(0.1, 0.1, 0.1), deadline=0.3)
    assert time.monotonic() - began < 5
    assert "deadline" in caught.value.hint
    assert len(get.server.requests) == 3
    get.server.behaviours.clear()
    get("a")
    assert get.file.read_bytes() == DATA


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


def test_an_answer_that_ends_early_without_an_error_keeps_the_part(tmp_path: Path) -> None:
    """Not every transport knows how much was to come."""

    class Quiet:
        @contextmanager
        def open(self, url: str, *, max_bytes: int, start: int = 0, end: int | None = None) -> Iterator[Response]:
            yield Response(url, 206 if start else 200, start, None, iter([DATA[start : start + 40_000]]))

    where = {"size": len(DATA), "sha256": SHA256, "backoff": ()}
    with pytest.raises(DownloadTruncatedError):
        download(Quiet(), ["https://example.org/a"], tmp_path / "file", **where)
    assert (tmp_path / "file.part").read_bytes() == DATA[:40_000]


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


def test_two_at_once_do_not_meddle(get: Get, tmp_path: Path) -> None:
    """The second is turned away while the first goes on, and not by what the first left afterwards."""

    def second(done: int) -> None:
        with pytest.raises(LockedError) as caught:
            get("a")
        assert caught.value.hint

    sizes = {"size": len(DATA), "sha256": SHA256}
    download(get.transport, [get.server.url + "a"], get.file, progress=second, **sizes)
    assert get.file.read_bytes() == DATA
    assert len(get.server.requests) == 1
    get.file.unlink()
    get("a")


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
