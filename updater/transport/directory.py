"""A local folder that answers like the web site it will become or is a copy of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from updater.errors import DownloadError, DownloadHTTPError
from updater.transport.base import CHUNK, Response, respond
from updater.transport.urls import shown

__all__ = ["DirectoryTransport"]


class DirectoryTransport:
    """Serves the URLs below ``base_url`` from ``directory``: for checking a site before it is uploaded.

    A URL outside ``base_url``, and a path that leaves the directory (also through a symbolic link), is a
    ``DownloadError``; a file that is not there a ``DownloadHTTPError`` with status 404.
    """

    def __init__(self, base_url: str, directory: Path) -> None:
        self._base = base_url if base_url.endswith("/") else f"{base_url}/"
        self._root = directory.resolve()

    @contextmanager
    def open(self, url: str, *, max_bytes: int, start: int = 0, end: int | None = None) -> Iterator[Response]:
        """See ``Transport.open``."""
        path = self._path(url)
        try:
            file = path.open("rb")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise DownloadHTTPError(
                f"{shown(url)} does not exist in {self._root} (HTTP 404)", status=404, url=shown(url)
            ) from error
        except OSError as error:
            raise DownloadError(f"{path} cannot be read: {error.strerror}", url=shown(url)) from error
        with file:
            size = path.stat().st_size
            yield respond(url, size, lambda a, b: _read(file, a, b, url), max_bytes=max_bytes, start=start, end=end)

    def _path(self, url: str) -> Path:
        name = unquote(url.removeprefix(self._base).partition("?")[0])
        parts = name.split("/")
        if not url.startswith(self._base) or any(part in ("", ".", "..") for part in parts) or "\0" in name:
            raise DownloadError(f"{shown(url)} is not below {shown(self._base)}", url=shown(url))
        path = self._root.joinpath(*parts)
        try:
            inside = path.resolve().is_relative_to(self._root)
        except (OSError, RuntimeError):
            inside = False
        if not inside:
            raise DownloadError(f"{shown(url)} leads out of {self._root}", url=shown(url))
        return path


def _read(file: BinaryIO, start: int, end: int, url: str) -> Iterator[bytes]:
    try:
        file.seek(start)
        while start < end and (chunk := file.read(min(CHUNK, end - start))):
            start += len(chunk)
            yield chunk
    except OSError as error:
        raise DownloadError(f"{shown(url)} cannot be read: {error.strerror}", url=shown(url)) from error
