"""What every transport promises, checked against all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.support.server import LoopbackServer
from tests.support.trust_repository import TrustRepository
from updater.errors import DownloadHTTPError, DownloadTooLargeError
from updater.transport import DirectoryTransport, HTTPTransport, Response, Transport

DATA = bytes(range(256)) * 1000
FILES = {"a.bin": DATA, "sub/b.json": b"{}", "empty": b""}

Site = tuple[Transport, str]


@contextmanager
def _http(_: Path) -> Iterator[Site]:
    with LoopbackServer(FILES) as server, HTTPTransport() as transport:
        yield transport, server.url


@contextmanager
def _directory(folder: Path) -> Iterator[Site]:
    for name, data in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    yield DirectoryTransport("https://example.org/x/", folder), "https://example.org/x/"


@contextmanager
def _memory(_: Path) -> Iterator[Site]:
    repository = TrustRepository()
    repository.files.update(FILES)
    yield repository, repository.base_url


@pytest.fixture(params=[_http, _directory, _memory], ids=["http", "directory", "memory"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    make: Callable[[Path], AbstractContextManager[Site]] = request.param
    with make(tmp_path) as made:
        yield made


def _get(site: Site, path: str, *, max_bytes: int = 1 << 20, start: int = 0, end: int | None = None) -> bytes:
    transport, base = site
    with transport.open(base + path, max_bytes=max_bytes, start=start, end=end) as response:
        return b"".join(response.chunks)


def _head(site: Site, start: int = 0, end: int | None = None) -> Response:
    transport, base = site
    with transport.open(base + "a.bin", max_bytes=1 << 20, start=start, end=end) as response:
        return response


def test_whole_file(site: Site) -> None:
    assert _get(site, "a.bin") == DATA
    assert _get(site, "sub/b.json") == b"{}"
    assert _get(site, "empty") == b""
    response = _head(site)
    assert (response.status, response.start, response.total) == (200, 0, len(DATA))
    assert response.url == site[1] + "a.bin"


@pytest.mark.parametrize(("start", "end"), [(1, None), (0, 10), (100, 101), (len(DATA) - 1, None), (5, 10 * len(DATA))])
def test_ranges(site: Site, start: int, end: int | None) -> None:
    assert _get(site, "a.bin", start=start, end=end) == DATA[start:end]
    response = _head(site, start, end)
    assert (response.status, response.start, response.total) == (206, start, len(DATA))


def test_range_after_the_end_is_416(site: Site) -> None:
    with pytest.raises(DownloadHTTPError) as caught:
        _get(site, "a.bin", start=len(DATA))
    assert caught.value.status == 416


@pytest.mark.parametrize(("start", "end"), [(-1, None), (5, 5), (5, 4), (0, 0)])
def test_impossible_ranges_are_programming_errors(site: Site, start: int, end: int | None) -> None:
    with pytest.raises(ValueError, match="byte range"):
        _get(site, "a.bin", start=start, end=end)


def test_missing_file_is_404(site: Site) -> None:
    for path in ("nope", "sub/nope", "sub"):
        with pytest.raises(DownloadHTTPError) as caught:
            _get(site, path)
        assert caught.value.status == 404


def test_cap(site: Site) -> None:
    assert _get(site, "a.bin", max_bytes=len(DATA)) == DATA
    with pytest.raises(DownloadTooLargeError):
        _get(site, "a.bin", max_bytes=len(DATA) - 1)
    assert _get(site, "a.bin", max_bytes=10, start=10, end=20) == DATA[10:20]
    with pytest.raises(DownloadTooLargeError):
        _get(site, "a.bin", max_bytes=9, start=10, end=20)


def test_answer_can_be_abandoned_and_the_transport_used_again(site: Site) -> None:
    transport, base = site
    with transport.open(base + "a.bin", max_bytes=1 << 20) as response:
        next(response.chunks)
    assert _get(site, "a.bin") == DATA
