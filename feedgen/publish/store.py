"""Where packages are kept and served from: one small interface, and the local folder."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from feedgen.errors import ConfigError, PublishError
from feedgen.publish.writer import replace_file
from updater.schema import PublisherConfig

__all__ = ["PACKAGES_FOLDER", "LocalStore", "Store", "StoredFile", "local_store", "sha256_of"]

PACKAGES_FOLDER = "packages"


@dataclass(frozen=True)
class StoredFile:
    """A file in a store: size in bytes, SHA-256 in hex, and where it lies on this machine, if it does."""

    size: int
    sha256: str
    path: Path | None = None


class Store(Protocol):
    """Keeps the files of releases. ``tag`` is the git tag of the release that a file belongs to."""

    def find(self, tag: str, name: str) -> StoredFile | None:
        """The stored file, or None. Raises ``PublishError`` or ``OSError`` when the store cannot be read."""
        ...

    def read(self, tag: str, name: str) -> bytes:
        """The bytes of a small stored file (a signature)."""
        ...

    def put(self, tag: str, files: Mapping[str, Path]) -> None:
        """Store the files of a release, by name. Safe to repeat; files that are there with the same bytes stay.

        Raises ``PublishError`` when a file is there with other bytes: what has been served is never exchanged.
        """
        ...

    def replace(self, tag: str, name: str, data: bytes) -> None:
        """Store a small file, replacing another one: for what is checked by people only, such as a signature."""
        ...

    def url(self, tag: str, name: str) -> str:
        """How the feed refers to a stored file: absolute, or relative to the feed."""
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

    def put(self, tag: str, files: Mapping[str, Path]) -> None:
        """See ``Store.put``."""
        for name, source in files.items():
            stored = self.find(tag, name)
            if stored is None:
                self._copy(source, self.folder / name)
            elif stored.sha256 != sha256_of(source):
                raise PublishError(
                    f"{self.folder / name} is there already with other bytes",
                    hint="If this version was published, give the changed tree a new version and tag. If it never was"
                    " (no feed lists it), remove the file and publish again.",
                )

    def replace(self, tag: str, name: str, data: bytes) -> None:  # noqa: ARG002
        """See ``Store.replace``."""
        replace_file(self.folder / name, data)

    def url(self, tag: str, name: str) -> str:  # noqa: ARG002
        """See ``Store.url``."""
        return self.base + name

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
