"""The adapter around python-tuf's client. Imports ``tuf``, hence only loaded when it is used."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from tuf.api import exceptions as tuf_errors

from updater.errors import DownloadHTTPError, FeedError
from updater.frozen import frozen
from updater.transport import Transport
from updater.transport.urls import shown
from updater.trust.translate import translated
from updater.trust.tuf_api import FetcherInterface, TargetFile, Updater

__all__ = ["Target", "TufClient"]

_NO_NEWER_ROOT = frozenset({403, 404})


@frozen
class Target:
    """A signed file: ``path`` in the repository, ``length`` in bytes, ``hashes`` by algorithm (hex digests)."""

    path: str
    length: int
    hashes: Mapping[str, str]


class TufClient:
    """One look at a TUF repository: trusted metadata in ``metadata_dir``, files below ``targets_url``.

    ``root`` is the root the site was installed with; every new client starts from it and walks to the newest,
    so a damaged cache cannot replace it. Only one process at a time may use a metadata directory: callers lock.
    python-tuf compares expiry dates with the system clock.

    Methods raise ``SignatureError``, ``ExpiredError``, ``DowngradeError``, ``SchemaError``,
    ``TargetMismatchError``, another ``FeedError``, a ``DownloadError``, or ``StateError`` for local files.
    """

    def __init__(
        self,
        metadata_dir: Path,
        metadata_url: str,
        targets_url: str | None,
        transport: Transport,
        root: bytes,
    ) -> None:
        self._directory = metadata_dir
        self._document = f"Update metadata of {shown(metadata_url)}"
        with translated(self._document, directory=metadata_dir):
            self._updater = Updater(
                str(metadata_dir),
                metadata_url,
                target_base_url=targets_url,
                fetcher=_Fetcher(transport),
                bootstrap=root,
            )
        self._found: dict[str, TargetFile] = {}

    def refresh(self) -> None:
        """Bring root, timestamp, snapshot and targets up to date. At most once per client."""
        with translated(self._document, directory=self._directory):
            self._updater.refresh()

    def find(self, path: str) -> Target | None:
        """Size and digests of a file, or None when no role that may speak for ``path`` lists it. Refreshes."""
        with translated(self._document, directory=self._directory):
            info = self._updater.get_targetinfo(path)
        if info is None:
            return None
        self._found[path] = info
        return Target(info.path, info.length, dict(info.hashes))

    def download(self, path: str, destination: Path) -> None:
        """Fetch the file that ``find`` found, verify it and put it at ``destination`` (flushed, then renamed).

        An existing file there that is the right one is kept without a request.
        """
        info = self._found.get(path)
        if info is None and self.find(path) is not None:
            info = self._found[path]
        if info is None:
            raise FeedError(f"{self._document} lists no file {path!r}")
        with translated(f"File {path!r} of {self._document}", directory=destination.parent):
            if self._updater.find_cached_target(info, str(destination)) is None:
                self._download(info, destination)

    def _download(self, info: TargetFile, destination: Path) -> None:
        destination.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".new-", dir=destination.parent)
        try:
            self._updater.download_target(info, filepath=name)
            os.fsync(handle)
            os.replace(name, destination)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
        finally:
            os.close(handle)


class _Fetcher(FetcherInterface):
    """Our transport, as python-tuf wants it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _fetch(self, url: str) -> Iterator[bytes]:
        # The interface counts the bytes against the length of each file, so no cap of our own is needed. Being a
        # generator, this raises while python-tuf iterates, where it lets our errors through as they are.
        try:
            with self._transport.open(url, max_bytes=sys.maxsize) as response:
                yield from response.chunks
        except DownloadHTTPError as error:
            if error.status not in _NO_NEWER_ROOT:
                raise
            raise tuf_errors.DownloadHTTPError(str(error), error.status) from error
