"""Writing an exported restore point: the structure of a package, streamed (docs/formats.md section 9.1)."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from updater.errors import StateError
from updater.package.archive import MemberSpec
from updater.package.content import CHUNK
from updater.package.structure import (
    DEFLATE,
    END,
    MAX_MEMBERS,
    MAX_SIZE,
    STORE,
    SYMLINK_MODE,
    Member,
    pack_central,
    pack_end,
    pack_local,
)
from updater.schema.paths import check_path, check_symlink
from updater.site.reading import open_regular

__all__ = ["ArchiveWriter"]

_STAMP = (0, 1 << 5 | 1)  # 1980-01-01 00:00:00: the same content gives the same bytes
_LEVEL = 6


class ArchiveWriter:
    """Writes an archive that `ArchiveReader` accepts. Members are added in order of their paths' UTF-8 bytes.

    The file appears at ``path`` (mode 0600: it holds the site's data) when `close` has written the index and all of
    it is on disk; when anything fails before, nothing appears. The same content gives the same bytes on machines with
    the same zlib. Raises StateError when writing fails or a limit of the format is passed, and ValueError when
    a path or its order is not acceptable.
    """

    def __init__(self, path: Path, *, index: str = "restore_point.json") -> None:
        self._path = path
        self._index = index
        self._part = path.with_name(path.name + ".part")
        self._members: list[Member] = []
        self._done = False
        try:
            self._part.unlink(missing_ok=True)
            descriptor = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise StateError(f"cannot write {path}: {error}") from error
        self._file: BinaryIO = os.fdopen(descriptor, "w+b")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Without a `close` before, nothing is left behind."""
        self._file.close()
        if not self._done:
            self._part.unlink(missing_ok=True)

    def add(self, path: str, source: Path, *, mode: int | None = None) -> MemberSpec:
        """Add a regular file, streamed. ``mode`` (permission bits) is the file's own unless given.

        Returns what `ArchiveReader.expect` shall be told of it.
        """
        try:
            with open_regular(source) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise StateError(f"{source} is not a regular file, and cannot be exported")
                return self._add(path, file, (status.st_mode if mode is None else mode) & 0o777)
        except OSError as error:
            raise StateError(f"cannot export {source}: {error}") from error

    def add_bytes(self, path: str, data: bytes, *, mode: int = 0o644) -> MemberSpec:
        """Add a small file from memory."""
        return self._add(path, io.BytesIO(data), mode & 0o777)

    def add_symlink(self, path: str, target: str) -> MemberSpec:
        """Add a symlink."""
        check_symlink(path, target)
        spec = self._add(path, io.BytesIO(target.encode("utf-8")), None)
        return MemberSpec(spec.size, spec.sha256, 0, target)

    def close(self, index: bytes) -> None:
        """Write the index as the last member and put the archive in place, durably."""
        self._write(self._index, io.BytesIO(index), stat.S_IFREG | 0o644)
        try:
            start = self._file.tell()
            directory = b"".join(pack_central(member) for member in self._members)
            self._check_limit(start + len(directory) + END.size)
            self._file.write(directory + pack_end(len(self._members), start, len(directory)))
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            os.replace(self._part, self._path)
            self._done = True
            self._sync_name()
        except OSError as error:
            raise StateError(f"cannot write {self._path}: {error}") from error

    def _sync_name(self) -> None:
        """Make the new name durable; one that may not be is taken back, so that the export can be repeated."""
        try:
            _sync_directory(self._path.parent)
        except OSError as error:
            try:
                self._path.unlink(missing_ok=True)
            except OSError:
                raise StateError(
                    f"{self._path} is complete, but its name may not outlive a power cut: {error}",
                    hint="Copy it to another disk, or remove it and export again.",
                ) from error
            raise

    def _add(self, path: str, source: BinaryIO, mode: int | None) -> MemberSpec:
        check_path(path)
        if path == self._index:
            raise ValueError(f"{path!r} is the index, which close() writes")
        if self._members and self._members[-1].raw_name >= path.encode("utf-8"):
            raise ValueError(f"{path!r} is added after {self._members[-1].path!r}, which sorts behind it")
        member, sha256 = self._write(path, source, SYMLINK_MODE if mode is None else stat.S_IFREG | mode)
        return MemberSpec(member.size, sha256, mode or 0)

    def _write(self, path: str, source: BinaryIO, mode: int) -> tuple[Member, str]:
        """Content first and header last: sizes stand before the content, and are known after it."""
        if len(self._members) >= MAX_MEMBERS:
            raise StateError(f"cannot write {self._path}: more than {MAX_MEMBERS} files")
        try:
            blank = Member(path, self._file.tell(), STORE, 0, 0, 0, mode, _STAMP)
            member, sha256 = self._write_content(blank, source, deflate=True)
            if member.packed_size >= member.size:
                member, again = self._write_content(blank, source, deflate=False)
                if again != sha256:
                    raise StateError(f"{path!r} changed while it was exported", hint="Try again.")
            self._file.seek(member.offset)
            self._file.write(pack_local(member))
            self._file.seek(member.end)
            self._file.truncate()
        except OSError as error:
            raise StateError(f"cannot write {self._path}: {error}") from error
        self._members.append(member)
        return member, sha256

    def _write_content(self, blank: Member, source: BinaryIO, *, deflate: bool) -> tuple[Member, str]:
        source.seek(0)
        self._file.seek(blank.data_offset)
        digest, crc, size, packed = hashlib.sha256(), 0, 0, 0
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS) if deflate else None
        for chunk in _chunks(source):
            digest.update(chunk)
            crc = zlib.crc32(chunk, crc)
            size += len(chunk)
            packed += self._file.write(packer.compress(chunk) if packer else chunk)
            self._check_limit(max(size, blank.data_offset + packed))
        if packer:
            packed += self._file.write(packer.flush())
        method = DEFLATE if deflate else STORE
        member = Member(blank.path, blank.offset, method, crc, packed, size, blank.mode, blank.stamp)
        return member, digest.hexdigest()

    def _check_limit(self, size: int) -> None:
        if size > MAX_SIZE:
            raise StateError(
                f"cannot write {self._path}: an export ends at 4 GiB",
                hint="Copy the restore point's folder instead, or dump the database on its own.",
            )


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    while chunk := source.read(CHUNK):
        yield chunk


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
