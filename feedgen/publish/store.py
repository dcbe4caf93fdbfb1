"""Where packages are kept and served from: one small interface, and the local folder.

``feedgen.github`` holds the other implementation. One contract test suite runs against both.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from feedgen.errors import ConfigError, PublishError
from updater.schema import PublisherConfig
from updater.transport import DirectoryTransport, Transport

__all__ = ["PACKAGES_FOLDER", "LocalStore", "ReleasePage", "Store", "StoredFile", "local_store", "sha256_of"]

PACKAGES_FOLDER = "packages"


@dataclass(frozen=True)
class StoredFile:
    """A file in a store: size in bytes, SHA-256 in hex, whether sites can fetch it, and where it lies on this machine.

    ``path`` is None when the store is elsewhere.
    """

    size: int
    sha256: str
    path: Path | None = None
    public: bool = True


@dataclass(frozen=True)
class ReleasePage:
    """What a store shows people of a release. ``commit``: full id of what the git tag ``tag`` names; empty: unknown.

    ``latest``: it is the newest stable release, which visitors shall be led to.
    """

    tag: str
    commit: str
    title: str
    notes: str = ""
    prerelease: bool = False
    latest: bool = False


class Store(Protocol):
    """Keeps the files of releases. ``tag`` is the git tag of the release that a file belongs to."""

    def find(self, tag: str, name: str) -> StoredFile | None:
        """The stored file, or None. Raises ``PublishError`` or ``OSError`` when the store cannot be read."""
        ...

    def read(self, tag: str, name: str) -> bytes:
        """The bytes of a small stored file (a signature)."""
        ...

    def fetch(self, tag: str, name: str, target: Path, *, limit: int) -> None:
        """Copy a stored file of at most ``limit`` bytes to ``target``; the caller compares its digest.

        Raises ``PublishError`` when it is not there or larger, and ``OSError``.
        """
        ...

    def publish(
        self, page: ReleasePage, files: Mapping[str, Path], *, replaceable: Collection[str] = ()
    ) -> tuple[str, ...]:
        """Store the files of a release, by name, and make them public; returns the names that were written.

        Safe to repeat: files that are there with the same bytes stay. Afterwards each ``url`` answers with the bytes
        given. ``replaceable``: names that may be exchanged when they are there with other bytes, for what is checked
        by people only (a signature). Raises ``PublishError`` for any other: what has been served is never exchanged.
        """
        ...

    def url(self, tag: str, name: str) -> str:
        """How the feed refers to a file, absolute or relative to the feed: final once the file is public."""
        ...

    def routes(self) -> list[tuple[str, Transport]]:
        """How this machine reads what ``url`` gives, as beginnings of URLs and transports; empty for the usual ways."""
        ...


class LocalStore:
    """A folder. ``base`` is what names are appended to for their URL: ``packages/``, or an absolute URL."""

    def __init__(self, folder: Path, base: str) -> None:
        self.folder = folder
        self.base = base

    def find(self, tag: str, name: str) -> StoredFile | None:  # noqa: ARG002 - one folder for all tags
        """See ``Store.find``."""
        path = self.folder / name
        if not path.is_file():
            return None
        return StoredFile(path.stat().st_size, sha256_of(path), path)

    def read(self, tag: str, name: str) -> bytes:  # noqa: ARG002
        """See ``Store.read``."""
        return (self.folder / name).read_bytes()

    def fetch(self, tag: str, name: str, target: Path, *, limit: int) -> None:
        """See ``Store.fetch``."""
        stored = self.find(tag, name)
        if stored is None or stored.size > limit:
            raise PublishError(f"{self.folder / name} is {'missing' if stored is None else 'too large'}")
        shutil.copyfile(self.folder / name, target)

    def publish(
        self, page: ReleasePage, files: Mapping[str, Path], *, replaceable: Collection[str] = ()
    ) -> tuple[str, ...]:
        """See ``Store.publish``."""
        written = []
        for name, source in files.items():
            stored = self.find(page.tag, name)
            if stored is not None and stored.sha256 == sha256_of(source):
                continue
            if stored is not None and name not in replaceable:
                raise PublishError(
                    f"{self.folder / name} is there already with other bytes",
                    hint="If this version was published, give the changed tree a new version and tag. If it never was"
                    " (no feed lists it), remove the file and publish again.",
                )
            self._copy(source, self.folder / name)
            written.append(name)
        return tuple(written)

    def url(self, tag: str, name: str) -> str:  # noqa: ARG002
        """See ``Store.url``."""
        return self.base + name

    def routes(self) -> list[tuple[str, Transport]]:
        """See ``Store.routes``. URLs relative to the site need none."""
        return [(self.base, DirectoryTransport(self.base, self.folder))] if "://" in self.base else []

    def _copy(self, source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.feedgen-tmp")
        try:
            with source.open("rb") as reader, temporary.open("wb") as writer:
                shutil.copyfileobj(reader, writer, 1024 * 1024)
                writer.flush()
                os.fsync(writer.fileno())
            os.replace(temporary, target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


def local_store(folder: Path | None, site: Path, config: PublisherConfig) -> LocalStore:
    """The store in ``folder``, by default the site's ``packages/``.

    Inside the site, URLs are relative to the feed; elsewhere they begin with ``store_url``. Raises ``ConfigError``
    when that is needed and not set.
    """
    folder = (site / PACKAGES_FOLDER if folder is None else folder).resolve()
    if config.store_url:
        return LocalStore(folder, config.store_url)
    with suppress(ValueError):
        relative = folder.relative_to(site.resolve()).as_posix()
        return LocalStore(folder, "" if relative == "." else f"{relative}/")
    raise ConfigError(
        f"The store {folder} lies outside of the site {site}, so the feed must say where its files are served",
        hint='Set store_url = "https://..." under [publish] in feedgen.toml.',
    )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
