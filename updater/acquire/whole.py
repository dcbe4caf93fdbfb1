"""The whole package: fetched, kept, and read file by file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from updater.acquire.progress import TransferProgress
from updater.errors import FeedError
from updater.events import Reporter
from updater.package import PackageReader
from updater.schema.feed import Release
from updater.schema.manifest import ManifestFile
from updater.site.files import hash_file, make_private_directory
from updater.transport import Transport, download
from updater.transport.part_file import useful_size
from updater.transport.patience import Patience

__all__ = ["PackageSource", "download_package", "open_package", "package_path"]

MOST_TIME = 6 * 3600.0
"""Seconds for one package, where no settings say otherwise."""


class PackageSource:
    """New files out of a verified package."""

    def __init__(self, reader: PackageReader) -> None:
        self._reader = reader

    def copy(self, file: ManifestFile, out: BinaryIO) -> None:
        self._reader.extract(file.path, out)


def package_path(directory: Path, release: Release) -> Path:
    """Where a downloaded package is kept, named by its digest so that two releases never share a file."""
    return directory / f"{release.version}-{release.package.sha256[:16]}.zip"


def download_package(
    release: Release,
    urls: tuple[str, ...],
    directory: Path,
    transport: Transport,
    report: Reporter,
    *,
    patience: Patience | None = None,
) -> Path:
    """Fetch the package, resuming what an earlier attempt left; verified by size and digest."""
    make_private_directory(directory)
    path, total = package_path(directory, release), release.package.size
    patience = patience or Patience.until_deadline(MOST_TIME)
    here = useful_size(path.with_name(f"{path.name}.part"), total)
    progress = TransferProgress(report)
    message = (
        f"The package of {release.version} is here already." if path.exists() else f"Downloading {release.version}."
    )
    progress.start(message, total, here)
    download(
        transport,
        urls,
        path,
        size=total,
        sha256=release.package.sha256,
        progress=progress.reach,
        deadline=patience.left,
        backoff=patience.backoff,
    )
    progress.done()
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
