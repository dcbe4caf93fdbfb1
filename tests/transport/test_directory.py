"""The folder transport must not serve anything but the folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from updater.errors import DownloadError, DownloadHTTPError
from updater.transport import DirectoryTransport

BASE = "https://example.org/x/"


def _read(transport: DirectoryTransport, url: str) -> bytes:
    with transport.open(url, max_bytes=1000) as response:
        return b"".join(response.chunks)


@pytest.mark.parametrize(
    "path", ["../secret", "a/../../secret", "%2e%2e/secret", "..%2fsecret", "/secret", "", "a//b", "link", "up/secret"]
)
def test_escapes_are_refused(tmp_path: Path, path: str) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    (site / "link").symlink_to(tmp_path / "secret")
    (site / "up").symlink_to(tmp_path)
    with pytest.raises(DownloadError):
        _read(DirectoryTransport(BASE, site), BASE + path)


def test_only_below_the_base_url(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    transport = DirectoryTransport(BASE.rstrip("/"), tmp_path)
    assert _read(transport, BASE + "a") == b"a"
    with pytest.raises(DownloadError) as caught:
        _read(transport, "https://other.example/x/a")
    assert not isinstance(caught.value, DownloadHTTPError)


def test_quoted_names(tmp_path: Path) -> None:
    (tmp_path / "a b%c").write_bytes(b"a")
    assert _read(DirectoryTransport(BASE, tmp_path), BASE + "a%20b%25c") == b"a"
