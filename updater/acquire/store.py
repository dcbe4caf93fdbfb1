"""Verified new files, by the digest of their content: written once, kept until an update is committed."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import re
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from updater.errors import StateError
from updater.schema.manifest import ManifestFile
from updater.site.files import hash_file, make_private_directory
from updater.site.reading import open_regular

__all__ = ["ContentStore", "ContentWriter", "GivenContent", "StoredContent"]

_CHUNK = 1 << 20
_NAME = re.compile(r"[0-9a-f]{64}")
_PREFIX = 8
"""Hex digits of a digest that an outline has at least."""

_EMPTY = hashlib.sha256().hexdigest()


class ContentWriter:
    """One file on its way into the store: ``write`` all of it, then ``commit``. Without that, nothing stays."""

    def __init__(self, directory: Path, name: str, committed: Callable[[str, int], None]) -> None:
        self._directory = directory
        self._committed = committed
        self._part = f"{directory}/{name}"
        self._digest = hashlib.sha256()
        self._done = False
        self.size = 0
        handle = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        self._file: BinaryIO = io.BufferedWriter(io.FileIO(handle, "wb"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if not self._done:
            Path(self._part).unlink(missing_ok=True)

    def write(self, data: bytes | memoryview, /) -> int:
        """Take the next bytes. Raises OSError."""
        self._digest.update(data)
        self.size += len(data)
        return self._file.write(data)

    @property
    def sha256(self) -> str:
        """The digest (hex) of what was written so far."""
        return self._digest.hexdigest()

    def commit(self) -> str:
        """Put it in place and return its digest. Raises OSError."""
        self._file.close()
        sha256 = self.sha256
        os.replace(self._part, f"{self._directory}/{sha256}")
        self._done = True
        self._committed(sha256, self.size)
        return sha256


class ContentStore:
    """The files of one directory, each named by its SHA-256. May be used from several threads.

    What this process wrote was hashed on the way. What an earlier one left is hashed before it is first used: nothing
    here is flushed, and after a power cut a file may hold anything.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        make_private_directory(directory)
        self._verified: dict[str, int] = {}
        """Sizes in bytes."""
        self._twice: set[str] = set()
        """What has a second name, in the site or on its way there."""
        self._unique, self._numbers = secrets.token_hex(8), itertools.count()
        self._left = {entry.name for entry in os.scandir(directory) if _NAME.fullmatch(entry.name)}
        self._given: dict[str, Path] = {}
        self._by_prefix: dict[str, set[str]] = {}
        for name in self._left:
            self._by_prefix.setdefault(name[:_PREFIX], set()).add(name)

    def writer(self) -> ContentWriter:
        """For new content."""
        return ContentWriter(self._directory, f".{self._unique}-{next(self._numbers)}.tmp", self._take_in)

    def _take_in(self, sha256: str, size: int) -> None:
        self._verified[sha256] = size
        self._twice.discard(sha256)
        self._by_prefix.setdefault(sha256[:_PREFIX], set()).add(sha256)

    def find(self, file: ManifestFile) -> str | None:
        """The digest of content here that ``file`` has, as far as it says (`ManifestFile.has_content`), or None."""
        if not file.sha256:
            return None
        names = (file.sha256,) if len(file.sha256) == len(_EMPTY) else self._by_prefix.get(file.sha256, ())
        for name in tuple(names):
            if self._holds(name) and file.has_content(name, self._verified[name]):
                return name
        if file.size == 0 and _EMPTY.startswith(file.sha256):
            with self.writer() as out:
                return out.commit()
        return None

    def _path(self, sha256: str) -> Path:
        return self._given.get(sha256) or self._directory / sha256

    def _holds(self, sha256: str) -> bool:
        if sha256 in self._verified:
            return True
        if sha256 not in self._left:
            return False
        self._left.discard(sha256)
        path = self._directory / sha256
        # Two names: an update that did not end has put it into the site, where the app may write to it.
        if path.lstat().st_nlink == 1:
            digest, size = hash_file(path)
            if digest == sha256:
                self._verified[sha256] = size
                return True
        path.unlink()
        return False

    def add(self, source: str | Path, file: ManifestFile) -> str | None:
        """Copy ``source`` into the store if it has the content of ``file``. None when it has not, or cannot be read."""
        try:
            with open_regular(source) as read, self.writer() as out:
                left = file.size + 1
                while left > 0 and (chunk := read.read(min(_CHUNK, left))):
                    out.write(chunk)
                    left -= len(chunk)
                return out.commit() if file.has_content(out.sha256, out.size) else None
        except OSError as error:
            if error.filename is not None and Path(error.filename) == Path(source):
                return None
            raise

    def open(self, sha256: str) -> BinaryIO:
        """Read stored content. Raises KeyError when it is not here."""
        if not self._holds(sha256):
            raise KeyError(sha256)
        return open_regular(self._path(sha256))

    def give(self, sha256: str, target: str | Path) -> None:
        """Put content at ``target``, where nothing is, without writing it again where that can be avoided.

        It stays in the store as a second name, so that another attempt finds it, where the filesystem has hard links;
        otherwise ``target`` is the store's own file from now on. A file that has a second name already is copied: each
        target can get an owner and a mode of its own. Raises KeyError as `open`, OSError.
        """
        if not self._holds(sha256):
            raise KeyError(sha256)
        path = f"{self._directory}/{sha256}"
        if sha256 in self._twice:
            with self.open(sha256) as source, Path(target).open("xb") as out:
                _copy(source, out, sha256)
            return
        try:
            os.link(path, target)
        except OSError:
            os.replace(path, target)
            self._given[sha256] = Path(target)
        self._twice.add(sha256)

    def keep_only(self, wanted: Iterable[str]) -> None:
        """Remove all content but that with these digests, and what a killed process left half written."""
        kept = set(wanted)
        for entry in list(self._directory.iterdir()):
            if entry.name not in kept:
                entry.unlink()
                self._verified.pop(entry.name, None)
                self._left.discard(entry.name)


class StoredContent:
    """The store as a source of new files, which are copied out of it: what is made of them may change.

    ``digests``: the digest of each path's content.
    """

    def __init__(self, store: ContentStore) -> None:
        self._store = store

    def copy(self, file: ManifestFile, out: BinaryIO) -> None:
        """See `updater.install.staging.Source`."""
        try:
            source = self._store.open(file.sha256)
        except KeyError:
            raise _missing(file) from None
        with source:
            _copy(source, out, file.sha256)

    def _give(self, file: ManifestFile, target: str | Path) -> None:
        try:
            self._store.give(file.sha256, target)
        except KeyError:
            raise _missing(file) from None


class GivenContent(StoredContent):
    """The same for an update: its files are put into place as they are."""

    def give(self, file: ManifestFile, target: str | Path) -> None:
        """See `updater.install.staging.GivingSource`."""
        self._give(file, target)


def _missing(file: ManifestFile) -> StateError:
    return StateError(f"The new content of {file.path} was not fetched.", hint="Start the update again.")


def _copy(source: BinaryIO, out: BinaryIO, sha256: str) -> None:
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        out.write(chunk)
    if digest.hexdigest() != sha256:
        raise StateError(
            "A file that had been fetched and verified was changed on disk.",
            hint="Start the update again: it is fetched anew. Check the disk.",
        )
