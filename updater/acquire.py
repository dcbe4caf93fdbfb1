"""Getting hold of a release: its manifest first, by one range request, then the package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urljoin

from updater.errors import DownloadError, FeedError
from updater.events import Event, Phase, Reporter
from updater.package import PackageReader, read_tail
from updater.schema.feed import Release
from updater.schema.manifest import Manifest, ManifestFile
from updater.site.files import hash_file, make_private_directory
from updater.transport import Transport, download

__all__ = ["PackageSource", "download_package", "open_package", "package_path", "package_urls", "read_manifest"]

MOST_TIME = 6 * 3600.0
"""Seconds for one package, where no settings say otherwise."""


class PackageSource:
    """New files out of a verified package."""

    def __init__(self, reader: PackageReader) -> None:
        self._reader = reader

    def copy(self, file: ManifestFile, out: BinaryIO) -> None:
        self._reader.extract(file.path, out)


def package_urls(release: Release, feed_url: str) -> tuple[str, ...]:
    """Where the package lies; relative references are resolved against the feed's URL."""
    return tuple(urljoin(feed_url, url) for url in release.package.urls)


def package_path(directory: Path, release: Release) -> Path:
    """Where a downloaded package is kept, named by its digest so that two releases never share a file."""
    return directory / f"{release.version}-{release.package.sha256[:16]}.zip"


def read_manifest(
    release: Release,
    urls: tuple[str, ...],
    directory: Path,
    transport: Transport,
    report: Reporter,
    *,
    deadline: float = MOST_TIME,
) -> tuple[Manifest, bytes]:
    """The release's verified manifest, and its bytes: from the package if it is here, else by one range request,
    else (a server without ranges) out of the whole package, which is kept for the install."""
    if not package_path(directory, release).exists():
        for url in urls:
            try:
                tail = _fetch_tail(release, url, transport)
                if tail is not None:
                    found = read_tail(
                        tail,
                        release.package.tail_offset,
                        manifest_sha256=release.manifest_sha256,
                        manifest_size=release.manifest_size,
                        name=f"the package of {release.version}",
                    )
                    return found.manifest, found.manifest_bytes
            except (DownloadError, FeedError):
                continue  # the next address; the download of the whole package tells what is wrong
        download_package(release, urls, directory, transport, report, deadline=deadline)
    with open_package(release, directory) as reader:
        return reader.manifest, reader.manifest_bytes


def _fetch_tail(release: Release, url: str, transport: Transport) -> bytes | None:
    """The package's last bytes, or None when the server does not answer with exactly that range."""
    package = release.package
    with transport.open(url, max_bytes=package.tail_size, start=package.tail_offset, end=package.size) as response:
        if response.status != 206 or response.start != package.tail_offset:
            return None
        data = b"".join(response.chunks)
    return data if len(data) == package.tail_size else None


def download_package(
    release: Release,
    urls: tuple[str, ...],
    directory: Path,
    transport: Transport,
    report: Reporter,
    *,
    deadline: float = MOST_TIME,
) -> Path:
    """Fetch the package, resuming what an earlier attempt left; verified by size and digest. ``deadline``: seconds
    for all attempts together."""
    make_private_directory(directory)
    path = package_path(directory, release)
    total = release.package.size

    def progress(done: int) -> None:
        report(Event(Phase.DOWNLOAD, "progress", "", done, total, "bytes"))

    message = (
        f"The package of {release.version} is here already." if path.exists() else f"Downloading {release.version}."
    )
    report(Event(Phase.DOWNLOAD, "start", message, 0, total, "bytes"))
    download(transport, urls, path, size=total, sha256=release.package.sha256, progress=progress, deadline=deadline)
    report(Event(Phase.DOWNLOAD, "done", "", total, total, "bytes"))
    return path


@contextmanager
def open_package(release: Release, directory: Path) -> Iterator[PackageReader]:
    """The downloaded package, open for reading. Its digest was checked before it got its name; every member is
    checked against the signed manifest as it is read."""
    path = package_path(directory, release)
    digest, size = hash_file(path)
    if (digest, size) != (release.package.sha256, release.package.size):
        path.unlink()
        raise FeedError(
            f"The downloaded package of {release.version} was changed on disk; it has been removed.",
            hint="Start the update again: it will be downloaded anew.",
        )
    with (
        path.open("rb") as file,
        PackageReader.open(
            file,
            manifest_sha256=release.manifest_sha256,
            manifest_size=release.manifest_size,
            name=path.name,
        ) as reader,
    ):
        yield reader
